//! Attacks on a real process, each against a good client beside it: the attacker is cut, the good one notices nothing, memory stays flat.
//!
//! What runs always is small. `make attacks` runs the same at full size ([`full`]) and prints what it cost.

mod exhaustion;
mod full;
mod h2;
mod h2_floods;
mod hpack;
mod slow;
mod smuggling;

use crate::harness::errands::Journal;
use crate::harness::load::Load;
use crate::harness::{TestServer, until};

/// What HTTP/2's floods may make the process grow by.
const GROWTH_MAX: f64 = 8.0 * 1024.0 * 1024.0;

async fn memory(server: &TestServer) -> f64 {
    server.metric("process_resident_memory_bytes", &[]).await
}

/// Runs an attack beside good clients, each answer to whom must be right, and says what they saw and what the process grew by.
async fn beside(server: &TestServer, attack: impl Future<Output = ()>) -> (Journal, f64) {
    let load = Load::on(server, 2);
    load.until_answered(50).await;
    let before = memory(server).await;
    attack.await;
    load.until_answered(50).await;
    let after = memory(server).await;
    let journal = load.stop().await;
    assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
    (journal, after - before)
}

/// As [`beside`], and no request of theirs may go unanswered.
async fn beside_good_clients(server: &TestServer, attack: impl Future<Output = ()>) -> f64 {
    let (journal, growth) = beside(server, attack).await;
    assert!(journal.failed.is_empty(), "a good client was harmed: {:?}", journal.failed);
    growth
}

/// Waits until nobody is connected but for this many.
async fn until_connections(server: &TestServer, left: f64) {
    until("the end of the attackers' connections", async || {
        (server.metric("jeton_connections", &["listener=\"public\""]).await <= left).then_some(())
    })
    .await;
}
