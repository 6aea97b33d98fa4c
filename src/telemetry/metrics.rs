//! Every metric of the service, by name: the one file that names any.
//!
//! Handles are registered once, at start, for every series of every closed set, so a request only adds to atomics and a
//! dashboard sees zeros instead of gaps. Durations are in seconds, as Prometheus wants them.

mod clients;
mod journal;
mod jwks;
mod limits;
mod registry;
mod tls;

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label as KeyLabel, Recorder};

use self::clients::ClientMetrics;
pub use self::journal::JournalFigures;
use self::journal::JournalMetrics;
use self::jwks::JwksMetrics;
use self::limits::LimitMetrics;
use self::registry::{Family, Family2, Names};
use self::tls::TlsMetrics;
use super::labels::{
    ActorName, AuthMethod, AuthOutcome, ClientIntrospection, ClientToken, ClockStep, Code, CodeClass,
    ConnectionRefusal, Endpoint, FetchOutcome, HandshakeOutcome, IntrospectionOutcome, KeyState, Label, LimitMode,
    LimitName, Listener, RecordRefusal, ReloadSubject, RevocationOutcome, StoreConnectionState, StoreErrorKind,
    StoreOperation, TokenOutcome,
};

/// All handles. One for the process; every method is cheap and can be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    http_requests: Family2<Counter>,
    request_duration: Family2<Histogram>,
    token_requests: Family<Counter>,
    tokens_issued: Family<Counter>,
    introspections: Family<Counter>,
    revocations: Family<Counter>,
    client_authentications: Family2<Counter>,
    store_duration: Family<Histogram>,
    store_batch_size: Family<Histogram>,
    store_errors: Family2<Counter>,
    store_records_refused: Family<Counter>,
    store_epoch_changes: Counter,
    store_up: Gauge,
    store_connections: Family<Gauge>,
    store_eviction_policy_safe: Gauge,
    store_tokens: Gauge,
    store_tokens_max: Gauge,
    journal: JournalMetrics,
    limits: LimitMetrics,
    /// `None`: nothing is told of single clients.
    clients: Option<ClientMetrics>,
    jwks: JwksMetrics,
    mailbox_depth: Family<Gauge>,
    mailbox_wait: Family<Histogram>,
    mailbox_refusals: Family<Counter>,
    actor_restarts: Family<Counter>,
    connections: Family<Gauge>,
    connections_max: Family<Gauge>,
    connections_refused: Family2<Counter>,
    tls: TlsMetrics,
    worker_busy: Vec<Counter>,
    worker_connections: Vec<Gauge>,
    log_lines_dropped: Counter,
    clock_steps: Family<Counter>,
    reload_last_successful: Family<Gauge>,
    reload_last_success_timestamp: Family<Gauge>,
}

/// The one histogram that counts items and not seconds.
pub const BATCH_SIZE: &str = "jeton_store_batch_size";

const DESCRIPTIONS: &[(&str, &str)] = &[
    ("jeton_http_requests_total", "HTTP requests answered, by endpoint and status code."),
    ("jeton_request_duration_seconds", "From a request's head to its response, by endpoint and class of status code."),
    ("jeton_token_requests_total", "Token requests, by outcome."),
    ("jeton_tokens_issued_total", "Tokens issued, by the client's authentication method."),
    ("jeton_introspections_total", "Introspections, by outcome; inactive ones by reason."),
    ("jeton_revocations_total", "Revocations, by outcome."),
    ("jeton_client_authentications_total", "Client authentications, by method and outcome."),
    ("jeton_store_operation_duration_seconds", "One batch's round trip to the store, by operation."),
    (BATCH_SIZE, "Items in one batch to the store, by operation."),
    ("jeton_store_errors_total", "Items that the store could not answer, by operation and kind."),
    ("jeton_store_records_refused_total", "Records that were not believed, by reason."),
    (
        "jeton_store_epoch_changes_total",
        "Times that the store was found to have forgotten, or perhaps, which assertions and proofs were used.",
    ),
    ("jeton_store_up", "1 when every worker's connection to the store is up."),
    ("jeton_store_connections", "Connections to the store, by state."),
    ("jeton_store_eviction_policy_safe", "0 when the store was seen to evict keys when full (maxmemory_policy)."),
    ("jeton_store_tokens", "Live tokens in the embedded store."),
    ("jeton_store_tokens_max", "Tokens that the embedded store may hold."),
    ("jeton_mailbox_depth", "Messages that wait, by actor, as a sweep every 10 ms finds them."),
    ("jeton_mailbox_wait_seconds", "Time that the oldest message of a batch waited, by actor."),
    ("jeton_mailbox_refusals_total", "Messages refused at once because too many waited, by actor."),
    ("jeton_actor_restarts_total", "Actors started again after a panic."),
    ("jeton_connections", "Open connections, by listener."),
    ("jeton_connections_max", "Connections allowed, by listener."),
    ("jeton_connections_refused_total", "Connections closed at once, by listener and reason."),
    ("jeton_worker_busy_seconds_total", "CPU time of a worker's thread."),
    ("jeton_worker_connections", "Open connections of a worker."),
    ("jeton_log_lines_dropped_total", "Log lines that standard error did not take."),
    ("jeton_reload_last_successful", "1 when the last reload of the subject succeeded."),
    ("jeton_reload_last_success_timestamp_seconds", "When the subject was last read successfully."),
    ("jeton_clock_steps_total", "Steps of the machine's clock by more than 5 seconds, by direction."),
    ("jeton_key_info", "1 for each service key, by id and state."),
    ("jeton_build_info", "1, with version and revision."),
];

/// Names and help texts of every metric, for the exporter's `# HELP` lines and for the tests.
pub fn descriptions() -> impl Iterator<Item = (&'static str, &'static str)> {
    DESCRIPTIONS
        .iter()
        .copied()
        .chain(journal::DESCRIPTIONS)
        .chain(limits::DESCRIPTIONS)
        .chain(clients::DESCRIPTIONS)
        .chain(jwks::DESCRIPTIONS)
        .chain(tls::DESCRIPTIONS)
}

impl Metrics {
    /// Registers every series with `recorder`; `workers`: how many have series of their own.
    pub fn register(recorder: &dyn Recorder, workers: usize) -> Self {
        let names = Names(recorder);
        let worker = |index: usize| vec![KeyLabel::new("worker", index.to_string())];
        let metrics = Self {
            http_requests: Family2::new::<Endpoint, Code>(names.counter("jeton_http_requests_total")),
            request_duration: Family2::new::<Endpoint, CodeClass>(names.histogram("jeton_request_duration_seconds")),
            token_requests: Family::new::<TokenOutcome>(names.counter("jeton_token_requests_total")),
            tokens_issued: Family::new::<AuthMethod>(names.counter("jeton_tokens_issued_total")),
            introspections: Family::new::<IntrospectionOutcome>(names.counter("jeton_introspections_total")),
            revocations: Family::new::<RevocationOutcome>(names.counter("jeton_revocations_total")),
            client_authentications: Family2::new::<AuthMethod, AuthOutcome>(
                names.counter("jeton_client_authentications_total"),
            ),
            store_duration: Family::new::<StoreOperation>(names.histogram("jeton_store_operation_duration_seconds")),
            store_batch_size: Family::new::<StoreOperation>(names.histogram(BATCH_SIZE)),
            store_errors: Family2::new::<StoreOperation, StoreErrorKind>(names.counter("jeton_store_errors_total")),
            store_records_refused: Family::new::<RecordRefusal>(names.counter("jeton_store_records_refused_total")),
            store_epoch_changes: names.counter("jeton_store_epoch_changes_total")(vec![]),
            store_up: names.gauge("jeton_store_up")(vec![]),
            store_connections: Family::new::<StoreConnectionState>(names.gauge("jeton_store_connections")),
            store_eviction_policy_safe: names.gauge("jeton_store_eviction_policy_safe")(vec![]),
            store_tokens: names.gauge("jeton_store_tokens")(vec![]),
            store_tokens_max: names.gauge("jeton_store_tokens_max")(vec![]),
            journal: JournalMetrics::register(&names),
            limits: LimitMetrics::register(&names),
            clients: None,
            jwks: JwksMetrics::register(&names),
            mailbox_depth: Family::new::<ActorName>(names.gauge("jeton_mailbox_depth")),
            mailbox_wait: Family::new::<ActorName>(names.histogram("jeton_mailbox_wait_seconds")),
            mailbox_refusals: Family::new::<ActorName>(names.counter("jeton_mailbox_refusals_total")),
            actor_restarts: Family::new::<ActorName>(names.counter("jeton_actor_restarts_total")),
            connections: Family::new::<Listener>(names.gauge("jeton_connections")),
            connections_max: Family::new::<Listener>(names.gauge("jeton_connections_max")),
            connections_refused: Family2::new::<Listener, ConnectionRefusal>(
                names.counter("jeton_connections_refused_total"),
            ),
            tls: TlsMetrics::register(&names),
            worker_busy: (0..workers).map(|w| names.counter("jeton_worker_busy_seconds_total")(worker(w))).collect(),
            worker_connections: (0..workers).map(|w| names.gauge("jeton_worker_connections")(worker(w))).collect(),
            log_lines_dropped: names.counter("jeton_log_lines_dropped_total")(vec![]),
            clock_steps: Family::new::<ClockStep>(names.counter("jeton_clock_steps_total")),
            reload_last_successful: Family::new::<ReloadSubject>(names.gauge("jeton_reload_last_successful")),
            reload_last_success_timestamp: Family::new::<ReloadSubject>(
                names.gauge("jeton_reload_last_success_timestamp_seconds"),
            ),
        };
        // Nothing is said against a store that was not seen, nor against the embedded one, which evicts nothing.
        metrics.store_eviction_policy(true);
        metrics
    }

    /// The same, with series for these clients, and for all others together.
    pub fn with_clients<'a>(self, recorder: &dyn Recorder, client_ids: impl Iterator<Item = &'a str>) -> Self {
        Self { clients: Some(ClientMetrics::register(&Names(recorder), client_ids)), ..self }
    }

    /// Whether anything is told of single clients.
    pub fn tell_clients(&self) -> bool {
        self.clients.is_some()
    }

    /// A token request of this client ended so; `None`: of nobody who is registered.
    pub fn client_token(&self, client_id: Option<&str>, outcome: ClientToken) {
        if let Some(clients) = &self.clients {
            clients.token(client_id, outcome);
        }
    }

    /// An introspection by this client ended so.
    pub fn client_introspection(&self, client_id: Option<&str>, outcome: ClientIntrospection) {
        if let Some(clients) = &self.clients {
            clients.introspection(client_id, outcome);
        }
    }

    /// An HTTP request was answered after `took`.
    pub fn http_request(&self, endpoint: Endpoint, code: Code, took: Duration) {
        self.http_requests.get(endpoint, code).increment(1);
        self.request_duration.get(endpoint, code.class()).record(took.as_secs_f64());
    }

    /// A token request ended so.
    pub fn token_request(&self, outcome: TokenOutcome) {
        self.token_requests.get(outcome).increment(1);
    }

    /// A token was issued to a client that proved itself so.
    pub fn token_issued(&self, method: AuthMethod) {
        self.tokens_issued.get(method).increment(1);
    }

    /// An introspection ended so.
    pub fn introspection(&self, outcome: IntrospectionOutcome) {
        self.introspections.get(outcome).increment(1);
    }

    /// A revocation ended so.
    pub fn revocation(&self, outcome: RevocationOutcome) {
        self.revocations.get(outcome).increment(1);
    }

    /// A client's authentication ended so.
    pub fn client_authentication(&self, method: AuthMethod, outcome: AuthOutcome) {
        self.client_authentications.get(method, outcome).increment(1);
    }

    /// A batch of `size` went to the store and was answered after `took`.
    pub fn store_batch(&self, operation: StoreOperation, size: usize, took: Duration) {
        self.store_duration.get(operation).record(took.as_secs_f64());
        self.store_batch_size.get(operation).record(size as f64);
    }

    /// The store could not answer so many items.
    pub fn store_errors(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64) {
        self.store_errors.get(operation, kind).increment(items);
    }

    /// A record was not believed.
    pub fn record_refused(&self, reason: RecordRefusal) {
        self.store_records_refused.get(reason).increment(1);
    }

    /// The store may have forgotten which assertions and proofs were used.
    pub fn store_epoch_changed(&self) {
        self.store_epoch_changes.increment(1);
    }

    /// So many workers' connections to the store are up, of so many.
    pub fn store_connections(&self, up: usize, workers: usize) {
        self.store_up.set(if up == workers { 1.0 } else { 0.0 });
        self.store_connections.get(StoreConnectionState::Up).set(up as f64);
        self.store_connections.get(StoreConnectionState::Down).set((workers - up) as f64);
    }

    /// Whether the store keeps what it has when it is full.
    pub fn store_eviction_policy(&self, safe: bool) {
        self.store_eviction_policy_safe.set(if safe { 1.0 } else { 0.0 });
    }

    /// The embedded store holds so many tokens, of at most so many.
    pub fn store_tokens(&self, tokens: u64, tokens_max: u64) {
        self.store_tokens.set(tokens as f64);
        self.store_tokens_max.set(tokens_max as f64);
    }

    /// The journal of revocations has counted so much.
    pub fn journal(&self, figures: &JournalFigures) {
        self.journal.tell(figures);
    }

    /// A request was beyond a limit.
    pub fn limited(&self, limit: LimitName, mode: LimitMode) {
        self.limits.limited(limit, mode);
    }

    /// A fetch of somebody's keys ended so.
    pub fn keys_fetched(&self, outcome: FetchOutcome) {
        self.jwks.fetched(outcome);
    }

    /// One mailbox's handles.
    pub fn mailbox(&self, actor: ActorName) -> MailboxMetrics {
        MailboxMetrics {
            depth: self.mailbox_depth.get(actor).clone(),
            wait: self.mailbox_wait.get(actor).clone(),
            refusals: self.mailbox_refusals.get(actor).clone(),
        }
    }

    /// An actor was started again.
    pub fn actor_restarted(&self, actor: ActorName) {
        self.actor_restarts.get(actor).increment(1);
    }

    /// A connection was opened (`1.0`) or closed (`-1.0`).
    pub fn connections_changed(&self, listener: Listener, by: f64) {
        self.connections.get(listener).increment(by);
    }

    /// So many connections are allowed.
    pub fn connections_max(&self, listener: Listener, max: usize) {
        self.connections_max.get(listener).set(max as f64);
    }

    /// A connection was closed at once.
    pub fn connection_refused(&self, listener: Listener, reason: ConnectionRefusal) {
        self.connections_refused.get(listener, reason).increment(1);
    }

    /// A listener's certificate expires then.
    pub fn certificate_expires(&self, listener: Listener, unix_seconds: u64) {
        self.tls.expires(listener, unix_seconds);
    }

    /// A TLS handshake ended so.
    pub fn tls_handshake(&self, listener: Listener, outcome: HandshakeOutcome) {
        self.tls.handshake(listener, outcome);
    }

    /// A worker has so many connections, and its thread has used so much CPU in all.
    pub fn worker(&self, worker: usize, connections: usize, busy: Duration) {
        self.worker_connections[worker].set(connections as f64);
        self.worker_busy[worker].absolute(busy.as_secs());
    }

    /// So many log lines have been dropped in all.
    pub fn log_lines_dropped(&self, lines: u64) {
        self.log_lines_dropped.absolute(lines);
    }

    /// The machine's clock stepped.
    pub fn clock_stepped(&self, direction: ClockStep) {
        self.clock_steps.get(direction).increment(1);
    }

    /// A reload of `subject` ended at `unix_seconds`.
    pub fn reloaded(&self, subject: ReloadSubject, successful: bool, unix_seconds: u64) {
        self.reload_last_successful.get(subject).set(if successful { 1.0 } else { 0.0 });
        if successful {
            self.reload_last_success_timestamp.get(subject).set(unix_seconds as f64);
        }
    }
}

/// Which state a service key is in; `None`: it is gone.
pub fn key_info(recorder: &dyn Recorder, key_id: u8, holds: Option<KeyState>) {
    for state in KeyState::ALL {
        let labels = vec![KeyLabel::new("key_id", key_id.to_string()), KeyLabel::new(KeyState::NAME, state.as_str())];
        Names(recorder).gauge("jeton_key_info")(labels).set(if Some(*state) == holds { 1.0 } else { 0.0 });
    }
}

/// What is running.
pub fn build_info(recorder: &dyn Recorder, version: &'static str, revision: &'static str) {
    let labels = vec![KeyLabel::new("version", version), KeyLabel::new("revision", revision)];
    Names(recorder).gauge("jeton_build_info")(labels).set(1.0);
}

/// The handles of one mailbox.
#[derive(Clone, Debug)]
pub struct MailboxMetrics {
    depth: Gauge,
    wait: Histogram,
    refusals: Counter,
}

impl MailboxMetrics {
    /// Handles that count nothing, for tests.
    pub fn none() -> Self {
        Self { depth: Gauge::noop(), wait: Histogram::noop(), refusals: Counter::noop() }
    }

    /// So many messages more wait than when this was last told.
    pub fn depth_changed(&self, by: f64) {
        self.depth.increment(by);
    }

    /// A batch was taken whose oldest message had waited so long.
    pub fn waited(&self, wait: Duration) {
        self.wait.record(wait.as_secs_f64());
    }

    /// A message was refused.
    pub fn refused(&self) {
        self.refusals.increment(1);
    }
}
