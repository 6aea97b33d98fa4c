//! Load: clients that mint, introspect and revoke, several at once, until they are told to stop, and write down what they are told.
//!
//! They live through faults: a connection that ends is replaced, a request that failed is counted and never sent again. Each answer is
//! held to the law of [`super::errands`], all together to the promises of [`super::history`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::channel::{Channel, Exchange};
use super::client::TestClient;
use super::errands::{Errands, Journal, Watch};
use super::history::{Loss, Moment, Terms};
use super::request::Http;
use super::server::TestServer;
use super::uses::Uses;
use super::wait::{PATIENCE, until};

/// Tokens that one client asks for at most.
const TOKENS_MAX: usize = 100_000;
/// Connections of an audit.
const AUDITORS: usize = 4;
/// Before a client asks again who was refused, or could not connect.
const PAUSE: Duration = Duration::from_millis(1);

/// Load on one or several nodes.
#[derive(Debug)]
pub(crate) struct Load {
    clients: JoinSet<Journal>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    watch: Watch,
    losses: Vec<Loss>,
}

impl Load {
    /// Starts this many clients, each with a connection of its own, on which it waits for an answer before its next request.
    pub(crate) fn on(server: &TestServer, clients: usize) -> Self {
        Self::on_all(&[server], clients, Http::One)
    }

    /// The same, spread over several nodes.
    pub(crate) fn on_all(nodes: &[&TestServer], clients: usize, http: Http) -> Self {
        Self::of(nodes, clients, http, None)
    }

    /// As [`Load::on_all`]; the clients also send assertions and proofs of possession, each once and again, and to any node.
    pub(crate) fn with_uses_on(nodes: &[&TestServer], clients: usize) -> Self {
        Self::of(nodes, clients, Http::One, Some(Uses::default()))
    }

    fn of(nodes: &[&TestServer], clients: usize, http: Http, uses: Option<Uses>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let watch = Watch::start();
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let node = number % nodes.len();
            let client = nodes[node].client(if number % 3 == 2 { "reporting" } else { "billing" });
            let visitor = Visitor {
                node,
                address: client.server,
                http,
                stop: Arc::clone(&stop),
                answered: Arc::clone(&answered),
            };
            let errands = Errands::of(client, watch, number as u64 + 1, TOKENS_MAX).with_uses(uses.clone());
            tasks.spawn(visitor.run(errands));
        }
        Self { clients: tasks, stop, answered, watch, losses: Vec::new() }
    }

    /// Waits until this many more answers have come.
    pub(crate) async fn until_answered(&self, more: u64) {
        let goal = self.answered() + more;
        until("answers under load", async || (self.answered() >= goal).then_some(())).await;
    }

    /// How many answers have come.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// The moment now, on the clock of the history.
    pub(crate) fn now(&self) -> Moment {
        self.watch.now()
    }

    /// Since this moment the store has lost what it held.
    pub(crate) fn lost_since(&mut self, start: Moment) {
        self.losses.push(Loss { start, end: self.watch.now() });
    }

    /// Ends it and returns what the clients saw; fails the test on a breach of the law or of a promise.
    pub(crate) async fn stop(self) -> Journal {
        let journal = self.end().await;
        journal.expect_kept(Terms::default());
        journal
    }

    /// As [`Load::stop`], then asks `auditor` (a node that may be another one) about every token.
    pub(crate) async fn stop_and_audit(self, auditor: &TestServer) -> Journal {
        let journal = self.end_and_audit(auditor).await;
        journal.expect_kept(Terms::default());
        journal
    }

    /// As [`Load::stop_and_audit`], and judges nothing.
    pub(crate) async fn end_and_audit(self, auditor: &TestServer) -> Journal {
        let watch = self.watch;
        let mut journal = self.end().await;
        audit(&mut journal, watch, &auditor.client("orders-api")).await;
        journal
    }

    async fn end(mut self) -> Journal {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Journal::default();
        for journal in std::mem::take(&mut self.clients).join_all().await {
            all.merge(journal);
        }
        all.history.losses = self.losses;
        all
    }
}

/// Asks about every token of a journal, with the store unharmed: each question is answered, in the end.
async fn audit(journal: &mut Journal, watch: Watch, reader: &TestClient) {
    let tokens: Vec<String> = journal.tokens.keys().cloned().collect();
    let mut parts = JoinSet::new();
    for part in tokens.chunks(tokens.len().div_ceil(AUDITORS).max(1)) {
        parts.spawn(audit_part(part.to_vec(), watch, reader.clone()));
    }
    for part in parts.join_all().await {
        journal.merge(part);
    }
}

async fn audit_part(tokens: Vec<String>, watch: Watch, reader: TestClient) -> Journal {
    let mut seen = Journal::default();
    let mut channel = Channel::connect(reader.server, Http::One).await.expect("a node for the audit");
    for token in tokens {
        let asked = Instant::now();
        let (start, answer) = loop {
            let start = watch.now();
            assert!(asked.elapsed() < PATIENCE, "the audit learnt nothing of a token");
            match channel.exchange(&reader.introspection_request(&token)).await {
                // A busy machine: it knows nothing, and says so.
                Exchange::Answered(answer) if answer.status == 503 => sleep(PAUSE).await,
                Exchange::Answered(answer) => break (start, answer.expect(200)),
                other => panic!("the audit was not answered: {other:?}"),
            }
        };
        // A node of its own: another than those that revoked.
        seen.introspected(&token, start, watch.now(), usize::MAX, &answer);
    }
    seen
}

/// One client on its way.
struct Visitor {
    node: usize,
    address: SocketAddr,
    http: Http,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Visitor {
    async fn run(self, mut errands: Errands) -> Journal {
        while !self.stopped() {
            match Channel::connect(self.address, self.http).await {
                Ok(channel) => self.stay(channel, &mut errands).await,
                Err(_) => sleep(PAUSE).await,
            }
        }
        errands.journal
    }

    /// Uses one connection until it ends.
    async fn stay(&self, mut channel: Channel, errands: &mut Errands) {
        while !self.stopped() {
            let (errand, request) = errands.next();
            let start = errands.now();
            let (answer, goes_on) = match channel.exchange(&request).await {
                Exchange::Answered(answer) => (answer, true),
                Exchange::AnsweredLast(answer) => (answer, false),
                Exchange::NotSent => return,
                Exchange::Failed(why) => {
                    errands.done(errand, start, self.node, None);
                    return errands.journal.failed.push(why);
                }
            };
            errands.done(errand, start, self.node, Some(&answer));
            self.answered.fetch_add(1, Ordering::Relaxed);
            if answer.status == 503 {
                sleep(PAUSE).await;
            }
            if !goes_on {
                return;
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
