//! V01, V03, V08 and V09: a revocation is done, refused, or said not to be done.

use crate::conformance::bench::{Bench, Store};
use crate::harness::TestClient;
use crate::harness::http1::Wire;

/// Inactive before the 200 leaves, here and on every other node.
pub(crate) async fn everywhere(bench: &Bench) {
    let other_node = match bench.store {
        Store::Memory => None,
        Store::Redis => Some(bench.sibling().start().await),
    };
    if let Some(node) = &other_node {
        node.until_store_up().await;
    }
    let orders_api = bench.client("orders-api");
    for _ in 0..20 {
        let token = bench.fresh().await;
        orders_api.introspect(&token).await.expect_active();
        if let Some(node) = &other_node {
            node.client("orders-api").introspect(&token).await.expect_active();
        }
        bench.client("billing").revoke(&token).await.expect_revoked();
        orders_api.introspect(&token).await.expect_inactive();
        if let Some(node) = &other_node {
            node.client("orders-api").introspect(&token).await.expect_inactive();
        }
    }
}

pub(crate) async fn not_its_own(bench: &Bench) {
    let token = bench.fresh().await;
    for other in ["reporting", "orders-api", "auditor"] {
        bench.client(other).revoke(&token).await.expect_error(400, "unauthorized_client");
    }
    bench.client("orders-api").introspect(&token).await.expect_active();
    bench.client("billing").revoke(&token).await.expect_revoked();
    // Once it is gone there is nothing to refuse.
    bench.client("reporting").revoke(&token).await.expect_revoked();
}

pub(crate) async fn unavailable(bench: &Bench) {
    let server = bench.without_store().start().await;
    let billing = TestClient { http: bench.http, ..server.client("billing") };
    let token = bench.fresh().await;
    billing.revoke(&token).await.expect_error(503, "temporarily_unavailable");
    billing.clone().with_secret("canary").revoke(&token).await.expect_error(401, "invalid_client");
    // What was never a token is revoked already.
    billing.revoke("canary").await.expect_revoked();
    bench.client("orders-api").introspect(&token).await.expect_active();
}

pub(crate) async fn a_hundred_times(bench: &Bench) {
    let token = bench.fresh().await;
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let billing = bench.client("billing");
        let token = token.clone();
        connections.spawn(async move {
            let mut wire = Wire::connect(billing.server).await;
            let request = wire.bytes_of(&billing.revocation_request(&token));
            wire.send(request.repeat(10)).await;
            for _ in 0..10 {
                let answer = wire.receive("POST").await;
                if answer.status != 503 {
                    answer.expect_revoked();
                }
            }
        });
    }
    connections.join_all().await;
    bench.client("billing").revoke(&token).await.expect_revoked();
    bench.client("orders-api").introspect(&token).await.expect_inactive();
}
