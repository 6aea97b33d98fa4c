//! The store is gone: there is nothing to wait for, so nobody may be kept waiting.

use super::Findings;
use super::goal;
use super::rig::{Load, Rig};
use crate::failure::Failure;
use crate::operation::Operation;

const CONNECTIONS: usize = 64;
/// Arrivals of the open loop: what leaves a core time to breathe.
const RATE: f64 = 10_000.0;

pub(super) fn measure(rig: &Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let redis = rig.redis()?;
    let mut service = rig.start("jeton-no-store", &format!("redis://{}", redis.address))?;
    // Kills it. What was under way then has the time limit of an operation; that is over before the window begins.
    drop(redis);
    let load = |rate| {
        let (warmup, window) = (rig.seconds(0.1), rig.seconds(0.3));
        Load { operation: Operation::Issue, rate, connections: CONNECTIONS, warmup, window }
    };
    for (name, rate) in [("no store, closed loop", None), ("no store, 10,000/s", Some(RATE))] {
        let (refused, _) = service.drive(load(rate))?;
        findings.goals.extend(goal::of_no_store(name, &refused));
        findings.take(name, [("refused", refused)]);
    }
    Ok(())
}
