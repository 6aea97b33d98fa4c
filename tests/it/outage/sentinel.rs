//! Under Sentinel the primary dies, hangs and comes back: jeton follows, and never goes back.

use std::time::{Duration, Instant};

use crate::harness::{SentinelGroup, TestServer, until};

/// Some seconds are what a failover takes: one until the sentinels find it, and up to two for their election and promotion. A machine
/// that does much else beside is slower.
const FAILOVER_MAX: Duration = Duration::from_secs(15);

/// Tokens, of which every third was revoked, all of them known to the replica.
struct Settled {
    live: Vec<String>,
    revoked: Vec<String>,
}

impl Settled {
    async fn new(group: &SentinelGroup, server: &TestServer) -> Self {
        let billing = server.client("billing");
        let mut settled = Self { live: Vec::new(), revoked: Vec::new() };
        for at in 0..30 {
            let token = billing.request_token("invoices:read").await.expect_token();
            if at % 3 == 0 {
                billing.revoke(&token).await.expect_revoked();
                settled.revoked.push(token);
            } else {
                settled.live.push(token);
            }
        }
        group.until_replicated().await;
        settled
    }

    async fn expect_kept(&self, server: &TestServer) {
        let orders_api = server.resource_server("orders-api");
        for token in &self.live {
            orders_api.introspect(token).await.expect_active();
        }
        for token in &self.revoked {
            orders_api.introspect(token).await.expect_inactive();
        }
    }
}

/// Asks for a token until there is one; everything before is a clean 503. Returns the token.
async fn until_minted(server: &TestServer) -> String {
    let began = Instant::now();
    let token = until("a token after a failover", async || {
        let answer = server.client("billing").request_token("invoices:read").await;
        if answer.status == 200 {
            return Some(answer.expect_token());
        }
        answer.expect_error(503, "temporarily_unavailable");
        None
    })
    .await;
    assert!(began.elapsed() < FAILOVER_MAX, "writes again only after {:?}", began.elapsed());
    token
}

async fn serve(group: &SentinelGroup) -> TestServer {
    let server = TestServer::builder().with_store(&group.url()).with_usual_deadlines().start().await;
    server.until_store_up().await;
    server
}

/// What the replica had is there, what was revoked stays revoked, and new tokens are whole, their grants too. Twice, so that the one
/// that was primary first is primary last.
#[tokio::test]
async fn a_killed_primary_is_replaced() {
    let mut group = SentinelGroup::start().await;
    let server = serve(&group).await;
    for _ in 0..2 {
        let settled = Settled::new(&group, &server).await;
        let old = group.kill_primary().await;
        let token = until_minted(&server).await;
        group.until_replaced(old).await;
        server.until_store_up().await;
        settled.expect_kept(&server).await;
        server.resource_server("orders-api").introspect(&token).await.expect_active();
        server.client("billing").revoke(&token).await.expect_revoked();
        server.resource_server("orders-api").introspect(&token).await.expect_inactive();

        group.server(old).start_again().await;
        group.until_whole().await;
        settled.expect_kept(&server).await;
        assert_ne!(group.primary().await, old, "the sentinels went back");
    }
}

/// A primary that hangs and comes back takes itself for the primary until it is told: nothing may go there any more.
#[tokio::test]
async fn a_primary_that_hangs_is_left_for_good() {
    let mut group = SentinelGroup::start().await;
    let server = serve(&group).await;
    let settled = Settled::new(&group, &server).await;
    let old = group.freeze_primary().await;
    let mut tokens = vec![until_minted(&server).await];
    group.until_replaced(old).await;
    group.server(old).thaw();
    for _ in 0..50 {
        tokens.push(until_minted(&server).await);
    }
    // Once the old one follows, it has forgotten whatever only it had.
    group.until_whole().await;
    settled.expect_kept(&server).await;
    for token in &tokens {
        server.resource_server("orders-api").introspect(token).await.expect_active();
    }
}

/// The service starts before there is a sentinel, and finds the primary when there is one.
#[tokio::test]
async fn sentinels_that_come_later_are_found() {
    let mut group = SentinelGroup::start().await;
    group.stop_sentinels();
    let server = TestServer::builder().with_store(&group.url()).with_usual_deadlines().start().await;
    server.client("billing").request_token("invoices:read").await.expect_error(503, "temporarily_unavailable");
    server.get("/health/alive").await.expect(200);
    group.start_sentinels();
    server.until_store_up().await;
    server.client("billing").request_token("invoices:read").await.expect_token();
    // Without them the primary goes on.
    group.stop_sentinels();
    server.client("billing").request_token("invoices:read").await.expect_token();
}
