//! A replica knows less than its primary: nothing is ever read from one, so nobody is told that a token is not there which is.

use crate::harness::load::Load;
use crate::harness::{ChaosProxy, RedisServer, TestServer, until};

/// With a replica beside its primary, every command goes to the primary.
#[tokio::test]
async fn nothing_is_read_from_a_replica() {
    let redis = RedisServer::start().await;
    let replica = RedisServer::replica_of(redis.port()).await;
    replica.run::<()>("CONFIG RESETSTAT");
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    let load = Load::on(&server, 4);
    load.until_answered(300).await;
    let journal = load.stop_and_audit(&server).await;
    assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
    until("the replica has what was written", async || (replica.keys().len() == redis.keys().len()).then_some(()))
        .await;
    assert!(redis.calls_of("hget") > 100);
    for command in ["hget", "get", "exists"] {
        assert_eq!(replica.calls_of(command), 0, "{command} on the replica");
    }
}

/// Told to use a replica, which lags, it does not: all that needs the store is 503 until the replica has been promoted.
#[tokio::test]
async fn a_lagging_replica_is_not_believed() {
    let redis = RedisServer::start().await;
    let chaos = ChaosProxy::before(redis.port()).await;
    let replica = RedisServer::replica_of(chaos.port()).await;
    let keeper = TestServer::builder().with_redis(&redis).start().await;
    keeper.until_store_up().await;
    let keys = keeper.folder().join("jeton.keys");
    let early = keeper.client("billing").request_token("invoices:read").await.expect_token();
    let has_page = || replica.keys().iter().any(|key| key.starts_with(b"jeton:p:"));
    until("the first token on the replica", async || has_page().then_some(())).await;

    // From here on the replica hears nothing, and does not know that.
    chaos.black_hole();
    let late = keeper.client("billing").request_token("invoices:read").await.expect_token();
    let misled = TestServer::builder().with_keys(&keys).with_redis(&replica).with_usual_deadlines().start().await;
    misled.until_store_down().await;
    misled.ready().await.expect(503);
    let reader = misled.resource_server("orders-api");
    for _ in 0..20 {
        for token in [&early, &late] {
            reader.introspect(token).await.expect_error(503, "temporarily_unavailable");
            misled.client("billing").revoke(token).await.expect_error(503, "temporarily_unavailable");
        }
        misled.client("billing").request_token("").await.expect_error(503, "temporarily_unavailable");
    }

    // Promoted it is a primary: what it has is the truth, and the later token is lost.
    replica.run::<()>("REPLICAOF NO ONE");
    misled.until_store_up().await;
    reader.introspect(&early).await.expect_active();
    reader.introspect(&late).await.expect_inactive();
}
