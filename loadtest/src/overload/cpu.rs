//! The service's core as the bottleneck: ever more connections that ask again as soon as they are answered, up to all that it
//! allows. Tokens are in its own memory, so nothing else is waited for.
//!
//! A kernel with thousands of connections in hand finds none of them in the core's cache, and so does any server: what of a fall that
//! is, a bare one tells in the same turns.

use std::time::Duration;

use super::Findings;
use super::goal::{self, goodput, strays};
use super::rig::{Load, Rig, Service};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::report::Summary;
use crate::report::figures::Spread;

const FEWER_CONNECTIONS: [usize; 4] = [16, 64, 256, 1024];
const TOKENS: u64 = 10_000;
const WARMUP: Duration = Duration::from_millis(500);
/// Opening all that are allowed takes a while.
const WARMUP_ALL: Duration = Duration::from_secs(2);

/// What one service reached with each number of connections.
struct Rates {
    name: String,
    operation: Operation,
    fewer: [Vec<f64>; FEWER_CONNECTIONS.len()],
    all: Vec<f64>,
    failed: u64,
}

pub(super) fn measure(rig: &Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let mut service = rig.start("jeton-memory", "memory:")?;
    let mut baseline = rig.start_baseline()?;
    let issue = Operation::Issue;
    let load = Load { operation: issue, rate: None, connections: 64, warmup: WARMUP, window: rig.seconds(0.1) };
    service.keep_tokens(load, TOKENS)?;
    let named = |operation: Operation| Rates::new(format!("busy core, {}", operation.name()), operation);
    let (mut introspections, mut issues) = (named(Operation::Introspect), named(issue));
    let mut bare = Rates::new("busy core, bare hyper".to_owned(), issue);
    for _ in 0..rig.args.turns {
        introspections.turn(rig, &mut service, findings)?;
        issues.turn(rig, &mut service, findings)?;
        bare.turn(rig, &mut baseline, findings)?;
    }
    for rates in [introspections, issues] {
        let (all, peak) = rates.medians();
        findings.goals.extend(goal::of_cpu(&rates.name, all, peak, rates.failed));
    }
    let (all, peak) = bare.medians();
    findings.notes.push(format!("Bare hyper with all connections: {:.2} of its peak with fewer.", all / peak));
    Ok(())
}

impl Rates {
    fn new(name: String, operation: Operation) -> Self {
        Self { name, operation, fewer: Default::default(), all: Vec::new(), failed: 0 }
    }

    fn turn(&mut self, rig: &Rig<'_>, service: &mut Service, findings: &mut Findings) -> Result<(), Failure> {
        let Self { name, operation, .. } = self;
        let load = |connections, warmup, share| Load {
            operation: *operation,
            rate: None,
            connections,
            warmup,
            window: rig.seconds(share),
        };
        for (connections, rates) in FEWER_CONNECTIONS.into_iter().zip(&mut self.fewer) {
            let (summary, _) = service.drive(load(connections, WARMUP, 0.1))?;
            rates.push(goodput(&summary));
            self.failed += not_right(&summary);
            findings.take(name, [("fewer connections", summary)]);
        }
        let (summary, growth) = service.drive(load(rig.args.connections_max, WARMUP_ALL, 0.3))?;
        self.all.push(goodput(&summary));
        self.failed += not_right(&summary);
        findings.take(name, [("all connections", summary)]);
        // What is issued stays: only introspection can leave memory as it was.
        if *operation == Operation::Introspect {
            findings.goals.push(goal::memory(name, growth));
        }
        Ok(())
    }

    /// With all connections, and the highest with fewer.
    fn medians(&self) -> (f64, f64) {
        let median = |rates: &Vec<f64>| Spread::of(rates.iter().copied()).map_or(f64::NAN, |spread| spread.median);
        (median(&self.all), self.fewer.iter().map(median).fold(f64::NAN, f64::max))
    }
}

/// A busy core is no reason to refuse: a closed loop waits.
fn not_right(summary: &Summary) -> u64 {
    let refused = summary.operations.values().filter_map(|operation| operation.statuses.get(&503)).sum::<u64>();
    strays(summary) + refused
}
