//! `make attacks`: the same attacks at full size, with a good client beside them whose latencies are measured, as a table.
//!
//! Latencies are shown and judged by whoever reads them, since they depend on the machine; that attackers are cut and memory stays flat
//! is held here too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::h2_floods::{self, FLOODS, Flood};
use super::slow::{self, Slow};
use super::{GROWTH_MAX, exhaustion, memory, until_connections};
use crate::harness::http1::Wire;
use crate::harness::{TestClient, TestServer};

/// Slow connections of a kind, and of those that must first be asked for megabytes.
const SLOW: usize = 5_000;
const SLOW_READERS: usize = 200;
/// Connections that flood at once.
const FLOODERS: usize = 50;
/// What a held connection may cost.
const HELD_BYTES_MAX: f64 = 48.0 * 1024.0;
/// Requests a second of the good client, over so many connections.
const GOOD_RATE: u32 = 1_000;
const GOOD_CONNECTIONS: u32 = 20;
const ROUNDS: usize = 3;

/// A good client on a thread of its own: asks for tokens at a steady rate, and measures from when it meant to ask.
struct Good {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Duration>>,
}

impl Good {
    fn start(server: &TestServer) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (billing, stopped) = (server.client("billing"), stop.clone());
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut all = JoinSet::new();
                for nth in 0..GOOD_CONNECTIONS {
                    all.spawn(ask_steadily(billing.clone(), nth, stopped.clone()));
                }
                all.join_all().await.concat()
            })
        };
        Self { stop, thread: std::thread::spawn(body) }
    }

    /// The 99th percentile of what it measured.
    fn p99(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().expect("a good client was harmed");
        took.sort_unstable();
        took[took.len() * 99 / 100]
    }
}

/// One connection of the good client, until it is told to stop.
async fn ask_steadily(billing: TestClient, nth: u32, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let period = Duration::from_secs(1) / GOOD_RATE * GOOD_CONNECTIONS;
    let mut wire = Wire::connect(billing.server).await;
    let mut due = tokio::time::Instant::now() + period / GOOD_CONNECTIONS * nth;
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due).await;
        let answer = wire.ask(&billing.token_request("")).await;
        took.push(due.elapsed());
        // An old connection is asked to leave.
        if answer.header("connection") == Some("close") {
            wire = Wire::connect(billing.server).await;
        }
        answer.expect_token();
        due += period;
    }
    took
}

/// One round of an attack.
struct Round {
    p99: Duration,
    held_bytes: f64,
    after: f64,
    longest: Duration,
    uncut: usize,
}

/// Runs `count` attackers at once, each until it is cut.
async fn round<F: Future<Output = bool> + Send + 'static>(
    server: &TestServer,
    count: usize,
    attack: impl Fn(SocketAddr) -> F,
) -> Round {
    let before = memory(server).await;
    let good = Good::start(server);
    let begun = Instant::now();
    let mut attackers = JoinSet::new();
    for _ in 0..count {
        attackers.spawn(attack(server.public));
    }
    let (mut peak, mut longest, mut uncut) = (before, Duration::ZERO, 0);
    while !attackers.is_empty() {
        tokio::select! {
            Some(cut) = attackers.join_next() => {
                uncut += usize::from(!cut.unwrap());
                longest = begun.elapsed();
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => peak = memory(server).await.max(peak),
        }
    }
    let p99 = good.p99();
    until_connections(server, 0.0).await;
    let held_bytes = (peak - before) / f64::from(u32::try_from(count).unwrap());
    Round { p99, held_bytes, after: memory(server).await, longest, uncut }
}

/// Three rounds of an attack as a line of the table; says what of the memory or the cutting did not hold.
async fn judge<F: Future<Output = bool> + Send + 'static>(
    server: &TestServer,
    name: &str,
    count: usize,
    calm: Duration,
    attack: impl Fn(SocketAddr) -> F,
) -> Vec<Round> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(server, count, &attack).await);
    }
    let p99 = rounds.iter().map(|round| round.p99).max().unwrap();
    let held = rounds.iter().map(|round| round.held_bytes).fold(0.0, f64::max);
    let growth: Vec<String> =
        rounds.windows(2).map(|two| format!("{:+.1}", (two[1].after - two[0].after) / 1_048_576.0)).collect();
    let longest = rounds.iter().map(|round| round.longest).max().unwrap();
    let uncut: usize = rounds.iter().map(|round| round.uncut).sum();
    eprintln!(
        "{name:<22}{count:>8}{:>10.2}{:>8.2}{:>12.1}{:>16}{:>10.1}{uncut:>8}",
        p99.as_secs_f64() * 1000.0,
        p99.as_secs_f64() / calm.as_secs_f64(),
        held / 1024.0,
        growth.join(" "),
        longest.as_secs_f64(),
    );
    rounds
}

async fn server() -> TestServer {
    TestServer::builder().set("limits.idle_timeout_ms", 5_000).set("limits.connections", 20_000).start().await
}

async fn calm(server: &TestServer) -> Duration {
    let good = Good::start(server);
    tokio::time::sleep(Duration::from_secs(5)).await;
    good.p99()
}

fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "minutes long: make attacks"]
async fn everything_at_full_size() {
    allow_many_files();
    eprintln!(
        "{:<22}{:>8}{:>10}{:>8}{:>12}{:>16}{:>10}{:>8}",
        "attack", "at once", "p99 ms", "ratio", "KiB each", "rounds 2, 3 MiB", "longest s", "uncut"
    );
    let mut faults = Vec::new();
    for how in Slow::ALL {
        let server = server().await;
        let calm = calm(&server).await;
        let count = if how == Slow::Reader { SLOW_READERS } else { SLOW };
        let attack =
            move |to| async move { tokio::time::timeout(Duration::from_secs(60), slow::hold(how, to)).await.is_ok() };
        let rounds = judge(&server, &format!("slow {how:?}"), count, calm, attack).await;
        let last = rounds.last().unwrap();
        if rounds.iter().any(|round| round.uncut > 0 || round.held_bytes > HELD_BYTES_MAX) {
            faults.push(format!("{how:?}: not cut, or too much memory"));
        }
        if last.after - rounds[1].after > GROWTH_MAX {
            faults.push(format!("{how:?}: memory grows"));
        }
    }
    for &flood in FLOODS {
        faults.extend(flooded(flood).await);
    }
    exhaustion::names_are_not_kept(4, 2_500).await;
    eprintln!("10^6 names made up: as many series as before");
    exhaustion::the_store_at_its_cap(100_000, 1_000_000).await;
    eprintln!("10^6 tokens asked of a full embedded store: none ended, none more");
    assert!(faults.is_empty(), "{faults:#?}");
}

async fn flooded(flood: Flood) -> Option<String> {
    let server = server().await;
    let calm = calm(&server).await;
    let attack = move |to| async move { h2_floods::flood(to, flood, true).await.is_some() };
    let before = memory(&server).await;
    let rounds = judge(&server, flood.name, FLOODERS, calm, attack).await;
    let grown = rounds[0].after - before;
    let held = rounds.iter().all(|round| round.uncut == 0) && rounds[2].after - rounds[1].after < GROWTH_MAX;
    (!held || grown > GROWTH_MAX).then(|| format!("{}: not cut, or {grown} bytes of growth", flood.name))
}
