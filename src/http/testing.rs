//! A service in process for the tests of this room: real actors on a breakable store, a client that speaks raw bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests and fuzzers, which end where something fails")]

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, LocalSet};

use super::activity::{Activity, CoarseClock, SWEEP_INTERVAL, Timers};
use super::router::{MetricsText, Router};
use super::{DpopOptions, Limits, LogRequests, PeerIdentity, Reach, Services, Shared, connection};
use crate::actors::courier::CourierHandle;
use crate::actors::guesses::Guesses;
use crate::actors::testing::{Actors, BreakableStore};
use crate::actors::verifier::VerifierHandle;
use crate::clock::Clock;
use crate::http::proxies::Proxies;
use crate::lifecycle::Health;
use crate::oauth::client::{Client, ClientId, Clients, IntrospectionRight, Registration};
use crate::oauth::dpop::target::Target;
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::metadata::Issuer;
use crate::oauth::profile::Profile;
use crate::oauth::remembered_secrets::MemoryKey;
use crate::oauth::scope::Scope;
use crate::oauth::secret::{Secret, SecretHash};
use crate::oauth::time::{Lifetime, Timestamp};
use crate::telemetry::exporter::Exporter;
use crate::telemetry::failures::AuthenticationFailures;
use crate::telemetry::metrics::Metrics;

/// Who asks for tokens in these tests: `billing` / `billing-secret`; `orders-api` / `orders-api-secret` may introspect them.
pub(crate) const BILLING: &str = "Basic YmlsbGluZzpiaWxsaW5nLXNlY3JldA==";
pub(crate) const ORDERS_API: &str = "Basic b3JkZXJzLWFwaTpvcmRlcnMtYXBpLXNlY3JldA==";
pub(crate) const ADMIN_TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

pub(crate) struct TestService {
    pub(crate) services: Services,
    pub(crate) store: BreakableStore,
    pub(crate) exporter: Arc<Exporter>,
}

/// What the workers of a service share that has reached its store.
pub(crate) fn shared(
    issuer: &str,
    limits: Limits,
    keys: Arc<ArcSwap<ServiceKeys>>,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> Shared {
    let health = Arc::new(Health::new(1));
    health.store_found();
    let issuer = Issuer::parse(issuer, false).unwrap();
    let guesses = Arc::<Guesses>::default();
    Shared {
        verifier: VerifierHandle::new(MemoryKey::new(&[7; 32]), guesses.clone(), metrics.clone()),
        mtls: None,
        authorities: None,
        proxies: Proxies::default(),
        profile: Profile::Default,
        keys,
        dpop: DpopOptions { target: Target::token_endpoint(&issuer), requires_nonce: false },
        issuer,
        token_prefix: "jt".into(),
        lifetime: Lifetime::from_seconds(3600),
        admin_token: ArcSwap::from_pointee(Some(Secret::new(ADMIN_TOKEN.as_bytes()))),
        limits,
        log_requests: ArcSwap::from_pointee(LogRequests::None),
        clock,
        health,
        metrics,
        courier: CourierHandle::nobodys(),
        guesses,
        failures: Arc::new(AuthenticationFailures::default()),
    }
}

/// One answer on an HTTP/1.1 connection, or of a router.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A client's end of a connection, and the task that serves the other.
pub(crate) struct TestConnection {
    pub(crate) stream: DuplexStream,
    pub(crate) activity: Rc<Activity>,
    pub(crate) clock: CoarseClock,
    pub(crate) task: JoinHandle<()>,
    read: Vec<u8>,
    bodiless: bool,
    timers: Timers,
}

pub(crate) fn limits() -> Limits {
    Limits {
        body_bytes_max: 16_384,
        connections_max: 100,
        connections_per_source_max: 0,
        request_deadline: Duration::from_secs(1),
        handshake_timeout: Duration::from_secs(5),
        header_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(620),
        connection_age: Duration::from_secs(600),
    }
}

fn registration(id: &str) -> Registration {
    Registration {
        secrets: vec![SecretHash::of(&Secret::new(format!("{id}-secret").as_bytes())).into()],
        scope: Scope::parse("read write").unwrap(),
        audience: vec!["api".into()],
        ..Registration::new(ClientId::new(id))
    }
}

impl TestService {
    /// To be called within a [`LocalSet`], which runs the actors.
    pub(crate) fn start(issuer: &str, limits: Limits) -> Self {
        let exporter = Arc::new(Exporter::new("0", "0"));
        let metrics = Arc::new(exporter.register(1));
        let clock = Clock::simulated(1_800_000_000_000);
        let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
        let keys = Arc::new(ArcSwap::from_pointee(ServiceKeys::new(vec![key]).unwrap()));
        let mut orders_api = registration("orders-api");
        orders_api.introspection = IntrospectionRight::Audiences(vec!["api".into()]);
        let clients = Clients::new([Client::new(registration("billing")), Client::new(orders_api)]);
        let clients = Arc::new(ArcSwap::from_pointee(clients));
        let actors = Actors::new(clients, keys.clone(), clock.clone(), metrics.clone());
        for task in actors.tasks {
            drop(tokio::task::spawn_local(task));
        }
        let shared = shared(issuer, limits, keys, clock, metrics);
        let Actors { authenticator, minter, inspector, revoker, notary, limiter, store, .. } =
            Actors { tasks: vec![], ..actors };
        let services =
            Services { authenticator, minter, inspector, revoker, notary, limiter, shared: Arc::new(shared) };
        Self { services, store, exporter }
    }

    pub(crate) fn public(&self) -> Rc<Router> {
        Router::public(self.services.clone())
    }

    pub(crate) fn admin(&self, reach: Reach) -> Rc<Router> {
        let exporter = self.exporter.clone();
        Router::admin(self.services.clone(), reach, MetricsText::new(move || exporter.render()))
    }

    /// The value of a series, as it is written.
    pub(crate) fn metric(&self, series: &str) -> Option<String> {
        let text = self.exporter.render();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.to_string())
    }
}

impl TestConnection {
    /// A connection to `router`, whose sweep is the test's to do. `buffer`: the bytes that fit between the two.
    pub(crate) fn open(router: Rc<Router>, buffer: usize) -> Self {
        let (stream, theirs) = duplex(buffer);
        let timers = router.timers();
        let clock = CoarseClock::default();
        let activity = Activity::new(clock.clone(), None);
        let serving = connection::serve(theirs, PeerIdentity::default(), router, activity.clone());
        let task = tokio::task::spawn_local(serving);
        Self { stream, activity, clock, task, read: Vec::new(), bodiless: false, timers }
    }

    /// Lets time pass for this connection, swept as a worker sweeps it, until it is over or the time is up.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = self.clock.now() + u64::try_from(time.as_millis()).unwrap();
        while self.clock.now() < end {
            self.clock.set(Duration::from_millis(self.clock.now()) + SWEEP_INTERVAL);
            self.activity.sweep(&self.timers);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.activity.is_over()
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next answer; `None` where the connection ends before one.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take_answer() {
                return Some(answer);
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.read.extend_from_slice(&more[..read]),
            }
        }
    }

    fn take_answer(&mut self) -> Option<Answer> {
        let text = String::from_utf8(self.read.clone()).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let length: usize = if status == 304 || self.bodiless { 0 } else { length.parse().unwrap() };
        let body = rest.get(..length)?.to_string();
        let answer = Answer { status, head: head.to_string(), body };
        self.read.drain(..head.len() + 4 + length);
        Some(answer)
    }

    /// Whether the answer that comes has no body, whatever its head says.
    pub(crate) fn expect_no_body(&mut self, none: bool) {
        self.bodiless = none;
    }

    /// Sends one request and reads its answer.
    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes).await;
        self.answer().await.expect("an answer")
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn error(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["error"].as_str().unwrap_or_default().to_string()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Posts a form to a router, with no connection between, and with this DPoP proof.
pub(crate) async fn ask_directly(
    router: &Rc<Router>,
    path: &str,
    authorization: &str,
    proof: Option<&str>,
    form: &str,
) -> Answer {
    let request = Request::post(path)
        .header("host", "as.example")
        .header("authorization", authorization)
        .header("content-type", "application/x-www-form-urlencoded");
    let request = proof
        .into_iter()
        .fold(request, |request, proof| request.header("dpop", proof))
        .body(Full::new(Bytes::copy_from_slice(form.as_bytes())))
        .unwrap();
    let activity = Activity::new(CoarseClock::default(), None);
    let (parts, body) = router.clone().serve(Rc::default(), activity, request).await.into_parts();
    let fields = parts.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), head: fields.collect(), body: String::from_utf8(body.to_vec()).unwrap() }
}

/// A form posted to `path`.
pub(crate) fn post(path: &str, authorization: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: as.example\r\nauthorization: {authorization}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// A GET of `path`.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: as.example\r\n\r\n")
}

/// Runs a story on one thread, as a worker does.
pub(crate) async fn on_a_worker<T>(story: impl AsyncFnOnce() -> T) -> T {
    LocalSet::new().run_until(story()).await
}
