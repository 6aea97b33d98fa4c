//! The store is gone: there is nothing to wait for, so nobody may be kept waiting.
//!
//! First it is frozen: its connections stay open and nothing comes back. Then it is killed.

use super::Findings;
use super::goal;
use super::rig::{Load, Rig, Service};
use crate::failure::Failure;
use crate::operation::Operation;

const CONNECTIONS: usize = 64;
/// Arrivals of the open loop: what leaves a core time to breathe.
const RATE: f64 = 10_000.0;
const TOKENS: u64 = 10_000;

pub(super) fn measure(rig: &Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let redis = rig.redis()?;
    let mut service = rig.start("jeton-no-store", &format!("redis://{}", redis.address))?;
    service.keep_tokens(load(rig, Operation::Issue, None), TOKENS)?;
    // What was under way then has the time limit of an operation; that is over before the window begins.
    redis.process.freeze()?;
    refused(rig, &mut service, "frozen", findings)?;
    drop(redis);
    refused(rig, &mut service, "killed", findings)
}

fn refused(rig: &Rig<'_>, service: &mut Service, gone: &str, findings: &mut Findings) -> Result<(), Failure> {
    for operation in [Operation::Issue, Operation::Introspect] {
        for (pace, rate) in [("closed loop", None), ("10,000/s", Some(RATE))] {
            let name = format!("store {gone}, {}, {pace}", operation.name());
            let (refused, _) = service.drive(load(rig, operation, rate))?;
            findings.goals.extend(goal::of_no_store(&name, &refused));
            findings.take(&name, [("refused", refused)]);
        }
    }
    Ok(())
}

fn load(rig: &Rig<'_>, operation: Operation, rate: Option<f64>) -> Load {
    Load { operation, rate, connections: CONNECTIONS, warmup: rig.seconds(0.1), window: rig.seconds(0.3) }
}
