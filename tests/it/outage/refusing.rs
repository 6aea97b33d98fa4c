//! Redis is there, and refuses: full, read-only, without its replicas, without the right password.

use std::time::Instant;

use super::{Keys, expect_back, expect_unavailable, expect_what_needs_no_store};
use crate::harness::{RedisServer, TestServer};

async fn on(redis: &RedisServer) -> TestServer {
    let server = TestServer::builder().with_redis(redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    server
}

/// Full: no new token, but those there are seen and can be revoked.
#[tokio::test]
async fn a_full_redis_takes_no_token_and_still_finds_and_deletes() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let orders_api = server.resource_server("orders-api");
    let kept = billing.request_token("invoices:read").await.expect_token();
    let revoked = billing.request_token("invoices:read").await.expect_token();

    redis.run::<()>("CONFIG SET maxmemory 1");
    for scope in ["invoices:read", "invoices:write", "invoices:read"] {
        let answer = billing.request_token(scope).await.expect_error(503, "temporarily_unavailable");
        assert_eq!(answer.retry_after(), 5);
    }
    orders_api.introspect(&kept).await.expect_active();
    billing.revoke(&revoked).await.expect_revoked();
    orders_api.introspect(&revoked).await.expect_inactive();
    orders_api.introspect(&kept).await.expect_active();
    expect_what_needs_no_store(&server).await;
    assert!(server.metric("jeton_store_errors_total", &["kind=\"oom\""]).await >= 3.0);
    assert!(server.metric("jeton_token_requests_total", &["outcome=\"store_full\""]).await >= 3.0);

    redis.run::<()>("CONFIG SET maxmemory 0");
    expect_back(&server, Instant::now()).await;
}

/// Writes stopped (as with MISCONF and NOREPLICAS): lookups go on, and no revocation is claimed.
#[tokio::test]
async fn without_its_replicas_it_writes_and_deletes_nothing() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let orders_api = server.resource_server("orders-api");
    let token = billing.request_token("invoices:read").await.expect_token();

    redis.run::<()>("CONFIG SET min-replicas-to-write 1");
    for answer in [billing.request_token("invoices:read").await, billing.revoke(&token).await] {
        assert_eq!(answer.expect_error(503, "temporarily_unavailable").retry_after(), 5);
    }
    orders_api.introspect(&token).await.expect_active();
    expect_what_needs_no_store(&server).await;

    redis.run::<()>("CONFIG SET min-replicas-to-write 0");
    expect_back(&server, Instant::now()).await;
    billing.revoke(&token).await.expect_revoked();
    orders_api.introspect(&token).await.expect_inactive();
}

/// Demoted while its connections stay: writes are refused, and it is soon left alone for reads too, which may be stale.
#[tokio::test]
async fn a_replica_is_not_used() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();

    redis.run::<()>("REPLICAOF 127.0.0.1 1");
    billing.request_token("invoices:read").await.expect_error(503, "temporarily_unavailable");
    billing.revoke(&token).await.expect_error(503, "temporarily_unavailable");
    let orders_api = server.resource_server("orders-api");
    server.until_store_down().await;
    expect_unavailable(&server, &token, 2).await;

    redis.run::<()>("REPLICAOF NO ONE");
    expect_back(&server, Instant::now()).await;
    orders_api.introspect(&token).await.expect_active();
}

/// A wrong password is never an answer about a client; the right one is taken as soon as its file holds it.
#[tokio::test]
async fn a_wrong_password_is_a_store_fault_and_its_file_is_read_again() {
    let keys = Keys::new();
    let token = keys.genuine_token().await;
    let redis = RedisServer::start_with_user("jeton", "the-right-password").await;
    let server = TestServer::builder()
        .with_keys(&keys.file())
        .with_store(&format!("redis://127.0.0.1:{}", redis.port()))
        .set("store.username", "jeton")
        .set("store.password_file", "redis-password")
        .file("redis-password", "a-wrong-password\n")
        .with_usual_deadlines()
        .start()
        .await;
    server.until_store_down().await;
    server.ready().await.expect(503);
    for answer in [
        server.client("billing").request_token("").await,
        server.resource_server("orders-api").introspect(&token).await,
        server.client("billing").revoke(&token).await,
    ] {
        answer.expect_error(503, "temporarily_unavailable");
    }
    expect_what_needs_no_store(&server).await;
    let lines = server.lines().join("\n");
    assert!(!lines.contains("a-wrong-password"), "a password in the log");

    server.write("redis-password", "the-right-password\n");
    server.until_store_up().await;
    server.client("billing").request_token("").await.expect_token();
}

/// A user who may not write gets no token out of jeton, and what is there can still be read.
#[tokio::test]
async fn a_missing_permission_is_a_store_fault() {
    let redis = RedisServer::start_with_user("jeton", "the-right-password").await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    redis.run::<()>("ACL SETUSER jeton -hset");
    billing.request_token("invoices:read").await.expect_error(503, "temporarily_unavailable");
    redis.run::<()>("ACL SETUSER jeton -hdel");
    billing.revoke(&token).await.expect_error(503, "temporarily_unavailable");
    expect_what_needs_no_store(&server).await;
    redis.run::<()>("ACL SETUSER jeton +hset +hdel");
    expect_back(&server, Instant::now()).await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
}
