//! The long runs, by `make torture`: one fault after another under load, a hundred times each, a history that is checked at the end, and
//! a table of what was counted.
//!
//! `ROUNDS=5` makes them short, `REQUESTS=20000` the run of mixed faults, `ONLY=rolling` runs those whose name begins so. Every round waits
//! for conditions, so a hundred take minutes.

mod failover;
mod killed;
mod mixed;
mod replays;
mod rolling;
mod table;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Instant;

use self::table::{Row, Table};
use crate::harness::errands::{Fate, Journal};
use crate::harness::history::What;

/// How long a run is.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: usize,
    /// Of the run of mixed faults.
    requests: u64,
}

type Scenario = fn(Plan) -> Pin<Box<dyn Future<Output = Row>>>;

/// By name, in the order in which they run.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("redis-killed", |plan| Box::pin(killed::redis(plan))),
    ("jeton-killed", |plan| Box::pin(killed::jeton(plan))),
    ("rolling-http1", |plan| Box::pin(rolling::http1(plan))),
    ("rolling-http2", |plan| Box::pin(rolling::http2(plan))),
    ("failover", |plan| Box::pin(failover::run(plan))),
    ("replays", |plan| Box::pin(replays::run(plan))),
    ("mixed-faults", |plan| Box::pin(mixed::run(plan))),
];

#[test]
#[ignore = "takes minutes: make torture"]
fn torture() {
    let number = |name: &str, usual: u64| match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        None => usual,
        Some(value) => value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    };
    let plan = Plan {
        rounds: usize::try_from(number("TORTURE_ROUNDS", 100)).unwrap(),
        requests: number("TORTURE_REQUESTS", 1_000_000),
    };
    let only = std::env::var("TORTURE_ONLY").unwrap_or_default();
    let mut table = Table::default();
    for (name, scenario) in SCENARIOS.iter().filter(|(name, _)| name.starts_with(&only)) {
        eprintln!("== {name}");
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(scenario(plan))));
        table.add(name, ended.map_err(|panic| sentence(&*panic)), began.elapsed());
    }
    eprintln!("\n{table}");
    assert!(table.is_good(), "not all is well");
}

/// The first line of what a panic says.
fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").lines().next().unwrap_or_default().to_owned()
}

/// What a checked journal comes to.
fn row_of(rounds: usize, journal: &Journal) -> Row {
    let refused = journal.statuses.get(&503).copied().unwrap_or_default();
    Row {
        rounds,
        answers: journal.answers(),
        refused,
        failed: journal.failed.len(),
        late: 0,
        tokens: journal.tokens.len(),
        revoked: journal.of_fate(Fate::Revoked).count(),
        said_inactive: journal.history.count(|what| what == What::Inactive),
        note: String::new(),
    }
}
