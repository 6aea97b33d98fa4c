//! The store fails: a clean 503 with Retry-After, never a statement about a client or a token, and back by itself.
//!
//! What needs no store is answered as ever: a wrong secret is 401, a forged token inactive, metadata and health are there.

mod absent;
mod cluster;
mod corrupted;
mod emptied;
mod frozen;
mod refusing;
mod rows;
mod sentinel;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::config::generate_keys;
use crate::harness::request::METADATA;
use crate::harness::{TestServer, until};

/// Service keys, and a memory server that mints tokens which every server with these keys takes for genuine.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        let folder = TempDir::with_prefix("jeton-keys-").unwrap();
        generate_keys(&folder.path().join("jeton.keys"));
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("jeton.keys")
    }

    async fn genuine_token(&self) -> String {
        let mint = TestServer::builder().with_keys(&self.file()).start().await;
        mint.client("billing").request_token("invoices:read").await.expect_token()
    }
}

/// What everybody is told while the store cannot be used; `token` is genuine.
async fn expect_unavailable(server: &TestServer, token: &str, retry_after: u32) {
    let billing = server.client("billing");
    let orders_api = server.resource_server("orders-api");
    for answer in
        [billing.request_token("invoices:read").await, orders_api.introspect(token).await, billing.revoke(token).await]
    {
        let answer = answer.expect_error(503, "temporarily_unavailable");
        assert_eq!(answer.retry_after(), retry_after, "{}", answer.told());
    }
    expect_what_needs_no_store(server).await;
}

/// What is answered whatever the store does.
async fn expect_what_needs_no_store(server: &TestServer) {
    let billing = server.client("billing");
    let wrong = billing.clone().with_secret("wrong-0123456789-0123456789-0123456789");
    wrong.request_token("").await.expect_error(401, "invalid_client");
    wrong.introspect("forged").await.expect_error(401, "invalid_client");
    wrong.revoke("forged").await.expect_error(401, "invalid_client");
    billing.request_token("unregistered").await.expect_error(400, "invalid_scope");

    let forged = format!("jt_{}", "A".repeat(56));
    for token in [forged.as_str(), "malformed"] {
        server.resource_server("orders-api").introspect(token).await.expect_inactive();
        billing.revoke(token).await.expect_revoked();
    }
    server.get(METADATA).await.expect(200);
    server.get("/health/alive").await.expect(200);
}

/// The answers do not wait for the store: many of them take less time than one operation may.
async fn expect_no_waiting(server: &TestServer, token: &str) {
    let orders_api = server.resource_server("orders-api");
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let asked = Instant::now();
        orders_api.introspect(token).await.expect_error(503, "temporarily_unavailable");
        fastest = fastest.min(asked.elapsed());
    }
    // The fastest of twenty, so that a busy machine does not count; one operation may take 250 ms.
    assert!(fastest < Duration::from_millis(100), "even the fastest refusal took {fastest:?}");
}

/// The service works again, with no restart and no help, soon after its store does.
async fn expect_back(server: &TestServer, since: Instant) {
    let billing = server.client("billing");
    let token = until("a token after the outage", async || {
        let answer = billing.request_token("invoices:read").await;
        (answer.status == 200).then(|| answer.expect_token())
    })
    .await;
    // A second is promised; a machine that does much else beside may be slower.
    assert!(since.elapsed() < Duration::from_secs(5), "back only after {:?}", since.elapsed());
    server.until_store_up().await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    billing.revoke(&token).await.expect_revoked();
    server.resource_server("orders-api").introspect(&token).await.expect_inactive();
}
