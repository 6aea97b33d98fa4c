//! Redis is not there when the service starts, or goes away behind a proxy.

use std::time::Instant;

use super::{Keys, expect_back, expect_no_waiting, expect_unavailable};
use crate::harness::{ChaosProxy, RedisServer, TestServer, until};

/// The service starts without its store, says so, and becomes ready when the store is there.
#[tokio::test]
async fn it_starts_without_redis_and_becomes_ready_with_it() {
    let keys = Keys::new();
    let token = keys.genuine_token().await;
    let mut redis = RedisServer::absent();
    let server = TestServer::builder().with_keys(&keys.file()).with_redis(&redis).with_usual_deadlines().start().await;

    server.get("/health/alive").await.expect(200);
    let ready = server.ready().await.expect(503);
    assert_eq!(ready.json()["store"], "down");
    server.until_store_down().await;
    expect_unavailable(&server, &token, 2).await;
    expect_no_waiting(&server, &token).await;
    assert_eq!(server.metric("jeton_store_up", &[]).await, 0.0);

    redis.start_again().await;
    expect_back(&server, Instant::now()).await;
    server.ready().await.expect(200);
    // The genuine token was never in this store.
    server.resource_server("orders-api").introspect(&token).await.expect_inactive();
}

/// A store that was once there and is lost leaves the service ready, so that its clients get the 503 with Retry-After.
#[tokio::test]
async fn redis_outage_is_a_503_and_heals() {
    let redis = RedisServer::start().await;
    let mut chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();

    let descriptors = async || server.metric("process_open_fds", &[]).await;
    let descriptors_before = descriptors().await;
    for _ in 0..3 {
        chaos.cut().await;
        server.until_store_down().await;
        expect_unavailable(&server, &token, 2).await;
        server.ready().await.expect(200);
        expect_no_waiting(&server, &token).await;

        chaos.mend().await;
        expect_back(&server, Instant::now()).await;
        server.resource_server("orders-api").introspect(&token).await.expect_active();
    }
    until("no more open files than before", async || (descriptors().await <= descriptors_before).then_some(())).await;
    assert!(!server.events("store_lost").is_empty());
    assert!(!server.events("store_back").is_empty());
    // A change of state is a line, not each refused request.
    assert!(server.events("store_lost").len() <= 20, "a flood of lines");
}
