//! The first thing to work: a token, its introspection, its revocation, on both stores.

use crate::harness::{RedisServer, TestServer};

#[tokio::test]
async fn a_token_lives_until_it_is_revoked_in_memory() {
    let server = TestServer::builder().start().await;
    a_token_lives_until_it_is_revoked(&server).await;
}

#[tokio::test]
async fn a_token_lives_until_it_is_revoked_in_redis() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    a_token_lives_until_it_is_revoked(&server).await;
}

async fn a_token_lives_until_it_is_revoked(server: &TestServer) {
    let billing = server.client("billing");
    let orders_api = server.resource_server("orders-api");

    let token = billing.request_token("invoices:read").await.expect_token();
    let answer = orders_api.introspect(&token).await.expect_active();
    assert_eq!(answer["scope"], "invoices:read");
    assert_eq!(answer["client_id"], "billing");

    billing.revoke(&token).await.expect_revoked();
    orders_api.introspect(&token).await.expect_inactive();
}
