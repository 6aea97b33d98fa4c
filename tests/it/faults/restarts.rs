//! Redis or jeton ends under load, in every way that a process can end, and comes back.

use std::time::{Duration, Instant};

use crate::harness::errands::Fate;
use crate::harness::load::Load;
use crate::harness::{Http, RedisServer, TestServer, until};

/// Redis that writes and syncs before it answers.
const ALWAYS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// Waits until the service answers 200 again, and tells how long that took. A generous bound; the promise is 500 ms.
async fn until_served(server: &TestServer) -> Duration {
    let since = Instant::now();
    let billing = server.client("billing");
    until("a token", async || (billing.request_token("invoices:read").await.status == 200).then_some(())).await;
    assert!(since.elapsed() < Duration::from_secs(5), "served only after {:?}", since.elapsed());
    since.elapsed()
}

/// Killed, it has lost nothing that was acknowledged where it syncs always, and nothing that was revoked lives again.
#[tokio::test]
async fn redis_is_killed_under_load() {
    let mut redis = RedisServer::start_with(ALWAYS).await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let load = Load::with_uses_on(&[&server], 8);
    for _ in 0..3 {
        load.until_answered(200).await;
        redis.kill();
        load.until_answered(50).await;
        redis.start_again().await;
        until_served(&server).await;
    }
    load.until_answered(200).await;
    let journal = load.stop_and_audit(&server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    assert!(journal.statuses.contains_key(&503), "the outage was not seen: {:?}", journal.statuses);
    assert!(journal.of_fate(Fate::Revoked).count() > 10);
}

/// Asked to end, Redis saves what it has: nothing is lost, though it syncs nothing while it runs.
#[tokio::test]
async fn redis_ends_as_it_should_under_load() {
    let mut redis = RedisServer::start_with(&["--save", "3600 1"]).await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let load = Load::with_uses_on(&[&server], 8);
    for _ in 0..2 {
        load.until_answered(200).await;
        redis.terminate().await;
        load.until_answered(50).await;
        redis.start_again().await;
        until_served(&server).await;
    }
    load.until_answered(200).await;
    let journal = load.stop_and_audit(&server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    assert!(journal.statuses.contains_key(&503), "the outage was not seen: {:?}", journal.statuses);
}

/// Emptied under its hands, by a restart and by `FLUSHALL`: what was lost is inactive, which is true, and whoever gets a token
/// afterwards gets a whole one: a node that has never seen its grant finds it in Redis.
#[tokio::test]
async fn redis_is_emptied_under_load() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let mut load = Load::with_uses_on(&[&server], 8);
    for round in 0..4 {
        load.until_answered(200).await;
        let start = load.now();
        // The last one breaks no connection, so that only the mint's own look finds the grants gone.
        if round % 2 == 1 {
            redis.run::<()>("FLUSHALL");
            load.lost_since(start);
        } else {
            redis.kill();
            redis.start_again_empty().await;
            load.lost_since(start);
            until_served(&server).await;
        }
    }
    load.until_answered(200).await;
    let keys = server.folder().join("jeton.keys");
    let fresh = TestServer::builder().with_keys(&keys).with_redis(&redis).start().await;
    fresh.until_store_up().await;
    let journal = load.stop_and_audit(&fresh).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    assert!(
        fresh.metric("jeton_introspections_total", &["outcome=\"active\""]).await > 10.0,
        "nothing outlived the losses"
    );
}

/// jeton is killed: what it had acknowledged is there, what it had revoked stays so, and only what was under way failed.
#[tokio::test]
async fn jeton_is_killed_under_load() {
    let redis = RedisServer::start().await;
    let mut server = TestServer::builder().with_redis(&redis).on_fixed_ports().start().await;
    server.until_store_up().await;
    let clients = 8;
    for http in [Http::One, Http::Two] {
        let load = Load::on_all(&[&server], clients, http);
        let rounds = 2;
        for _ in 0..rounds {
            load.until_answered(200).await;
            server.kill();
            server.start_again().await;
        }
        load.until_answered(200).await;
        server.until_store_up().await;
        let journal = load.stop_and_audit(&server).await;
        assert!(journal.failed.len() <= clients * rounds, "more than was under way: {:?}", journal.failed);
    }
}
