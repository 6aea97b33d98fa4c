//! Redis is emptied, by a restart and on a live connection.

use std::time::Instant;

use super::{Keys, expect_back, expect_unavailable};
use crate::harness::{RedisServer, TestServer};

/// What the store lost is inactive, which is true; new tokens are whole, their grants too.
#[tokio::test]
async fn restarted_empty_it_serves_new_tokens() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let lost = server.client("billing").request_token("invoices:read").await.expect_token();

    redis.kill();
    server.until_store_down().await;
    expect_unavailable(&server, &lost, 2).await;
    redis.start_again_empty().await;
    expect_back(&server, Instant::now()).await;
    server.resource_server("orders-api").introspect(&lost).await.expect_inactive();
}

/// Grants come back although no connection broke, for every worker of every node.
#[tokio::test]
async fn emptied_on_a_live_connection_it_serves_new_tokens() {
    let redis = RedisServer::start().await;
    let keys = Keys::new();
    let node = || TestServer::builder().with_keys(&keys.file()).with_redis(&redis);
    let nodes = [node().start().await, node().start().await];
    for node in &nodes {
        node.until_store_up().await;
    }

    for _ in 0..3 {
        let lost = nodes[0].client("billing").request_token("invoices:read").await.expect_token();
        redis.run::<()>("FLUSHALL");
        nodes[0].resource_server("orders-api").introspect(&lost).await.expect_inactive();
        // Enough connections that every worker mints.
        for node in &nodes {
            for scope in ["invoices:read", "invoices:write", "invoices:read invoices:write", "invoices:read"] {
                let token = node.client("billing").request_token(scope).await.expect_token();
                for reader in &nodes {
                    let answer = reader.resource_server("orders-api").introspect(&token).await.expect_active();
                    assert_eq!(answer["scope"], scope);
                }
            }
        }
    }
    // One that has seen no grant finds them all in Redis.
    let token = nodes[0].client("billing").request_token("invoices:write").await.expect_token();
    let fresh = node().start().await;
    fresh.until_store_up().await;
    fresh.resource_server("orders-api").introspect(&token).await.expect_active();
}
