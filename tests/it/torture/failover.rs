//! The primary under Sentinel is killed again and again, with a hundred revocations between: no revoked token is active again.
//!
//! Each time the replica is cut off for a while before, so that it lacks the last writes when it takes over. That may lose tokens, but not
//! undo a revocation: two nodes answer the load, and a third that has seen nothing of it is asked about every token at the end, so that
//! it knows only what the others brought to the new primaries.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::table::Row;
use super::{Plan, row_of};
use crate::harness::config::generate_keys;
use crate::harness::history::Terms;
use crate::harness::load::Load;
use crate::harness::{SentinelGroup, TestServer, until};

const CLIENTS: usize = 6;
/// Answers between two failovers; three in twenty are to revocations. And those of which the new primary hears nothing.
const ANSWERS: u64 = 500;
const ANSWERS_LOST: u64 = 200;

pub(super) async fn run(plan: Plan) -> Row {
    let mut group = SentinelGroup::start().await;
    let folder = TempDir::with_prefix("jeton-failover-").unwrap();
    let keys = folder.path().join("jeton.keys");
    generate_keys(&keys);
    let node = || TestServer::builder().with_keys(&keys).with_store(&group.url()).with_usual_deadlines().start();
    let (first, second) = (node().await, node().await);
    first.until_store_up().await;
    second.until_store_up().await;
    let billing = first.client("billing");
    let mut load = Load::with_uses_on(&[&first, &second], CLIENTS);
    let (mut worst, mut bytes_lost) = (Duration::ZERO, 0);
    for round in 0..plan.rounds {
        load.until_answered(ANSWERS).await;
        let start = load.now();
        group.cut_replica_off().await;
        load.until_answered(ANSWERS_LOST).await;
        let killed_at = Instant::now();
        let (old, lost) = group.kill_primary_ahead().await;
        assert!(lost > 0, "the replica heard of everything");
        bytes_lost += lost;
        until("a token from the new primary", async || {
            let answer = billing.request_token("invoices:read").await;
            (answer.status == 200).then_some(())
        })
        .await;
        worst = worst.max(killed_at.elapsed());
        group.until_replaced(old).await;
        load.lost_since(start);
        group.server(old).start_again().await;
        group.until_whole().await;
        eprintln!("failover {} of {}", round + 1, plan.rounds);
    }
    load.until_answered(ANSWERS).await;
    let stranger = TestServer::builder().with_keys(&keys).with_store(&group.url()).with_usual_deadlines().start().await;
    stranger.until_store_up().await;
    let journal = load.end_and_audit(&stranger).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    journal.expect_kept(Terms::default());
    let note = format!("{bytes_lost} bytes of writes lost; writes at most {} ms after the kill", worst.as_millis());
    Row { note, ..row_of(plan.rounds, &journal) }
}
