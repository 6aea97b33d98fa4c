//! Clients as strict as a bank's balancer: they know which node is ready, keep their connections, and count every request that was sent
//! and not answered 200.
//!
//! What they hold themselves to, and what a service may therefore rely on while it drains: each connection is used within the drain's
//! delay, and none is opened to a node that is not ready. A client that was itself held up for longer (the machine was busy) is late:
//! what fails then is counted apart. Nothing is sent twice, a POST least of all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::channel::{Channel, Exchange};
use super::errands::{Errand, Errands, Journal, Watch};
use super::history::Terms;
use super::request::{Http, Request};
use super::server::TestServer;
use super::wait::until;

/// Between two looks at a node's readiness.
const LOOK: Duration = Duration::from_millis(20);
/// Requests at once on one HTTP/2 connection.
const STREAMS: usize = 4;
/// Tokens that one client asks for at most.
const TOKENS_MAX: usize = 20_000;

/// Strict clients at work.
#[derive(Debug)]
pub(crate) struct StrictLoad {
    clients: JoinSet<(Journal, u64)>,
    /// End with the load.
    _looks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

/// What they counted.
#[derive(Debug)]
pub(crate) struct StrictTally {
    pub(crate) journal: Journal,
    /// Failures of a client that was itself late.
    pub(crate) late: u64,
}

/// What is known of a node: whether it is ready, and when that was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    ready: bool,
    at: Instant,
}

impl StrictLoad {
    /// Starts so many clients on each of these nodes, all of which keep their addresses and drain for `drain_delay` at least.
    pub(crate) fn on(nodes: &[&TestServer], clients: usize, http: Http, drain_delay: Duration) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clock = Watch::start();
        let (mut tasks, mut looks) = (JoinSet::new(), JoinSet::new());
        for (node, server) in nodes.iter().enumerate() {
            let (see, seen) = watch::channel(Seen { ready: false, at: Instant::now() });
            looks.spawn(look_for_ever(server.public, see));
            for number in 0..clients {
                let client = server.client(if number % 2 == 1 { "reporting" } else { "billing" });
                let errands = Errands::of(client, clock, (node * clients + number) as u64 + 1, TOKENS_MAX);
                let keeper = Keeper {
                    node,
                    address: server.public,
                    http,
                    seen: seen.clone(),
                    drain_delay,
                    // From without a pause to most of the delay.
                    pause: drain_delay * u32::try_from(number % 5).unwrap() / 6,
                    slow: number % 3 == 1,
                    stop: Arc::clone(&stop),
                    answered: Arc::clone(&answered),
                    late: 0,
                };
                tasks.spawn(keeper.run(errands));
            }
        }
        Self { clients: tasks, _looks: looks, stop, answered }
    }

    /// Waits until this many more answers have come.
    pub(crate) async fn until_answered(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        until("answers to strict clients", async || (self.answered.load(Ordering::Relaxed) >= goal).then_some(()))
            .await;
    }

    /// Ends it; fails the test on a breach of a promise.
    pub(crate) async fn stop(self) -> StrictTally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = StrictTally { journal: Journal::default(), late: 0 };
        for (journal, late) in self.clients.join_all().await {
            all.journal.merge(journal);
            all.late += late;
        }
        all.journal.expect_kept(Terms::default());
        all
    }
}

impl StrictTally {
    /// Expects that every request was answered 200.
    #[track_caller]
    pub(crate) fn expect_no_failure(&self) {
        let Journal { failed, statuses, .. } = &self.journal;
        assert!(failed.is_empty(), "{} requests failed, such as {:?}", failed.len(), &failed[..failed.len().min(5)]);
        assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200], "{statuses:?}");
    }
}

/// Asks a node again and again whether it is ready.
async fn look_for_ever(address: SocketAddr, see: watch::Sender<Seen>) {
    loop {
        let at = Instant::now();
        let ready = timeout(10 * LOOK, is_ready(address)).await.unwrap_or(false);
        see.send_replace(Seen { ready, at });
        sleep(LOOK).await;
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut channel) = Channel::connect(address, Http::One).await else { return false };
    match channel.exchange(&Request::get("/health/ready")).await {
        Exchange::Answered(answer) | Exchange::AnsweredLast(answer) => answer.status == 200,
        Exchange::NotSent | Exchange::Failed(_) => false,
    }
}

/// One strict client and its one connection.
struct Keeper {
    node: usize,
    address: SocketAddr,
    http: Http,
    seen: watch::Receiver<Seen>,
    drain_delay: Duration,
    pause: Duration,
    slow: bool,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    late: u64,
}

impl Keeper {
    async fn run(mut self, mut errands: Errands) -> (Journal, u64) {
        while !self.stopped() {
            let Ok(Ok(seen)) =
                timeout(LOOK, self.seen.wait_for(|seen| seen.ready)).await.map(|seen| seen.map(|seen| *seen))
            else {
                continue;
            };
            let idle = seen.at.elapsed();
            match Channel::connect(self.address, self.http).await {
                Ok(channel) if self.slow => self.stay(channel.in_halves(self.drain_delay / 10), &mut errands).await,
                Ok(channel) => self.stay(channel, &mut errands).await,
                Err(error) => self.failed(&mut errands, idle, format!("not accepted although ready: {error}")),
            }
        }
        (errands.journal, self.late)
    }

    /// Uses the connection until it is told to end: over HTTP/2 for several requests at once.
    async fn stay(&mut self, channel: Channel, errands: &mut Errands) {
        let mut lanes = channel.into_lanes(STREAMS);
        let mut used = Instant::now();
        let mut goes_on = true;
        while goes_on && !self.stopped() {
            sleep(self.pause).await;
            let asked: Vec<(Errand, Request)> = lanes.iter().map(|_| errands.next()).collect();
            let (start, idle) = (errands.now(), used.elapsed());
            let exchanges = lanes.iter_mut().zip(&asked).map(|(lane, (_, request))| lane.exchange(request));
            let exchanges = join_all(exchanges).await;
            used = Instant::now();
            for ((errand, _), exchange) in asked.into_iter().zip(exchanges) {
                let answer = match exchange {
                    Exchange::Answered(answer) => answer,
                    Exchange::AnsweredLast(answer) => {
                        goes_on = false;
                        answer
                    }
                    Exchange::NotSent => {
                        goes_on = false;
                        continue;
                    }
                    Exchange::Failed(why) => {
                        goes_on = false;
                        errands.done(errand, start, self.node, None);
                        self.failed(errands, idle, why);
                        continue;
                    }
                };
                errands.done(errand, start, self.node, Some(&answer));
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A failure, unless the client itself broke the rules: it had not looked, or not used its connection, for the whole delay.
    fn failed(&mut self, errands: &mut Errands, idle: Duration, why: String) {
        if idle < self.drain_delay {
            errands.journal.failed.push(why);
        } else {
            self.late += 1;
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
