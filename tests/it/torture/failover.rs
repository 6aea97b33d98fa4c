//! The primary under Sentinel is killed again and again, with a hundred revocations between: no revoked token is active again.
//!
//! A failover may lose tokens: the new primary need not have heard of the last ones. Whether it may undo a revocation hangs on the
//! journal of revocations: without one what came back is counted, with one nothing may.

use std::time::{Duration, Instant};

use super::table::Row;
use super::{Plan, row_of};
use crate::harness::history::{Promise, Terms};
use crate::harness::load::Load;
use crate::harness::{SentinelGroup, TestServer, until};

const CLIENTS: usize = 6;
/// Answers between two failovers; three in twenty are to revocations.
const ANSWERS: u64 = 700;

/// Whether this release keeps a journal of what it has revoked.
fn has_journal() -> bool {
    include_str!("../../../jeton.example.toml").contains("journal_file")
}

pub(super) async fn run(plan: Plan) -> Row {
    let mut group = SentinelGroup::start().await;
    let server = TestServer::builder().with_store(&group.url()).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    let mut load = Load::on(&server, CLIENTS);
    let mut worst = Duration::ZERO;
    for round in 0..plan.rounds {
        load.until_answered(ANSWERS).await;
        let (start, killed_at) = (load.now(), Instant::now());
        let old = group.kill_primary().await;
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
    let journal = load.end_and_audit(&server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    let (revived, others): (Vec<_>, Vec<_>) = journal
        .history
        .breaches(Terms::default())
        .into_iter()
        .partition(|breach| breach.promise == Promise::StaysRevoked);
    journal.expect_none_of(&others);
    if has_journal() {
        journal.expect_none_of(&revived);
    }
    let note =
        format!("{} revoked active again; writes at most {} ms after the kill", revived.len(), worst.as_millis());
    Row { note, ..row_of(plan.rounds, &journal) }
}
