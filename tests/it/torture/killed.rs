//! `kill -9` of Redis, and of jeton: no acknowledged token missing, no revocation undone.

use std::time::{Duration, Instant};

use super::table::Row;
use super::{Plan, row_of};
use crate::harness::load::Load;
use crate::harness::{RedisServer, TestServer, until};

/// Clients of a load.
const CLIENTS: usize = 8;
/// Answers between two faults.
const ANSWERS: u64 = 100;

/// Redis that syncs always: nothing may be missing.
pub(super) async fn redis(plan: Plan) -> Row {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let load = Load::with_uses_on(&[&server], CLIENTS);
    let billing = server.client("billing");
    let mut worst = Duration::ZERO;
    for _ in 0..plan.rounds {
        load.until_answered(ANSWERS).await;
        redis.kill();
        load.until_answered(ANSWERS / 10).await;
        redis.start_again().await;
        let since = Instant::now();
        until("a token", async || (billing.request_token("invoices:read").await.status == 200).then_some(())).await;
        worst = worst.max(since.elapsed());
    }
    load.until_answered(ANSWERS).await;
    let journal = load.stop_and_audit(&server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    Row {
        note: format!("first 200 at most {} ms after Redis answered", worst.as_millis()),
        ..row_of(plan.rounds, &journal)
    }
}

/// jeton itself: what is under way fails, nothing else.
pub(super) async fn jeton(plan: Plan) -> Row {
    let redis = RedisServer::start().await;
    let mut server = TestServer::builder().with_redis(&redis).on_fixed_ports().start().await;
    server.until_store_up().await;
    let load = Load::with_uses_on(&[&server], CLIENTS);
    for _ in 0..plan.rounds {
        load.until_answered(ANSWERS).await;
        server.kill();
        server.start_again().await;
    }
    load.until_answered(ANSWERS).await;
    server.until_store_up().await;
    let journal = load.stop_and_audit(&server).await;
    let failed = journal.failed.len();
    assert!(failed <= plan.rounds * CLIENTS, "{failed} requests failed, more than were under way");
    row_of(plan.rounds, &journal)
}
