//! Every key has a TTL, whenever the connection was cut.

use crate::harness::load::Load;
use crate::harness::wait::until;
use crate::harness::{ChaosProxy, RedisServer, TestServer};

fn expect_ttls(redis: &RedisServer, longest_seconds: i64) {
    let mut connection = redis.connect();
    let keys = redis.keys();
    assert!(!keys.is_empty());
    for key in keys {
        let name = String::from_utf8_lossy(&key).into_owned();
        assert!(name.starts_with("jeton:") && name.len() <= 30, "a key named {name}");
        let ttl: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        // -2: it has just ended.
        assert!(ttl == -2 || (1..=longest_seconds * 1000).contains(&ttl), "{name} lives for {ttl} ms");
    }
}

#[tokio::test]
async fn every_key_has_one_whenever_the_connection_was_cut() {
    let redis = RedisServer::start().await;
    let mut chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let load = Load::on(&server, 8);
    // A busy machine's first answers may all be 503, and nothing is in the store yet.
    until("keys", async || (!redis.keys().is_empty()).then_some(())).await;
    for round in 0..20 {
        load.until_answered(10 + round).await;
        chaos.cut().await;
        chaos.mend().await;
        expect_ttls(&redis, 2 * 86_400 + 3600 + 60);
    }
    server.until_store_up().await;
    load.until_answered(50).await;
    load.stop().await;
    expect_ttls(&redis, 2 * 86_400 + 3600 + 60);
}

/// A page that revocations emptied, and that a mint fills again, has one too.
#[tokio::test]
async fn a_page_that_was_emptied_comes_back_with_one() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    for _ in 0..20 {
        let token = billing.request_token("").await.expect_token();
        billing.revoke(&token).await.expect_revoked();
        let token = billing.request_token("").await.expect_token();
        expect_ttls(&redis, 2 * 86_400 + 3600 + 60);
        billing.revoke(&token).await.expect_revoked();
    }
}

/// Tokens of one lifetime share pages: what a token costs in Redis is a field, not a key.
#[tokio::test]
async fn like_tokens_share_a_page() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    for _ in 0..100 {
        billing.request_token("invoices:read").await.expect_token();
    }
    let pages = super::pages(&redis);
    let mut connection = redis.connect();
    let mut tokens = 0;
    for page in &pages {
        let records = super::records(&mut connection, page);
        tokens += records.len();
        assert!(records.len() <= 34, "a page of {}", records.len());
        assert!(records.iter().all(|(field, value)| field.len() == 8 && value.len() == 39));
        let encoding: String = redis::cmd("OBJECT").arg("ENCODING").arg(page).query(&mut connection).unwrap();
        assert_eq!(encoding, "listpack");
    }
    assert_eq!(tokens, 100);
    // Two workers, and a second or two that moved on.
    assert!(pages.len() <= 20, "{} pages for 100 tokens", pages.len());
    assert_eq!(super::grants(&redis).len(), 1, "one grant for all");
}
