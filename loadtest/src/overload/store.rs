//! The store as the bottleneck: Redis behind a proxy that lets so many bytes a second through, asked three times what it can do.
//!
//! A token to be written, or asked about, is so many bytes, however large the batch; so bytes a second are tokens a second, and
//! what the store can do is found by a closed loop that keeps it busy.

use super::Findings;
use super::goal::{self, goodput};
use super::rig::{Load, Rig};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::proxy::{Proxy, Shaping};

/// Enough that a whole batch waits while another is on its way.
const CLOSED_CONNECTIONS: usize = 512;
/// Arrivals at full load, and in overload, over what the store can do.
const FULL: f64 = 0.95;
const OVER: f64 = 3.0;
const TOKENS: u64 = 10_000;

pub(super) fn measure(rig: &Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let redis = rig.redis()?;
    let upstream_bytes_per_second = Some(rig.args.store_bytes_per_second);
    let proxy = Proxy::start(redis.address, Shaping { upstream_bytes_per_second, ..Shaping::default() })?;
    let mut service = rig.start("jeton-slow-store", &format!("redis://{}", proxy.address()))?;
    let load = |operation, rate, connections, share| {
        let (warmup, window) = (rig.seconds(0.2), rig.seconds(share));
        Load { operation, rate, connections, warmup, window }
    };
    service.keep_tokens(load(Operation::Issue, None, CLOSED_CONNECTIONS, 0.1), TOKENS)?;
    let operations = [Operation::Issue, Operation::Introspect];
    let mut turns = operations.map(|_| Vec::new());
    for _ in 0..rig.args.turns {
        for (operation, turns) in operations.into_iter().zip(&mut turns) {
            let (closed, _) = service.drive(load(operation, None, CLOSED_CONNECTIONS, 0.3))?;
            let capacity = goodput(&closed);
            let (full, _) = service.drive(load(operation, Some(FULL * capacity), rig.args.connections, 0.5))?;
            let (over, growth) = service.drive(load(operation, Some(OVER * capacity), rig.args.connections, 1.0))?;
            let name = format!("slow store, {}", operation.name());
            turns.push(goal::of_store(&name, capacity, &full, &over, growth));
            findings.take(&name, [("closed loop", closed), ("full load", full), ("overload", over)]);
        }
    }
    findings.goals.extend(turns.iter().flat_map(|turns| goal::over_turns(turns)));
    Ok(())
}
