//! DPoP over several nodes and a store that fails: D05, and S6 under F4 and F5. The rows that need neither are among the conformance rows.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::clients::secret_of;
use crate::harness::config::generate_keys;
use crate::harness::request::TOKEN;
use crate::harness::signer::{Assertion, possession};
use crate::harness::{Answer, RedisServer, Request, TestServer, until};

/// Asks for a token of `billing` with this proof.
async fn ask(server: &TestServer, proof: &Assertion) -> Answer {
    let request = Request::form(TOKEN, "grant_type=client_credentials").basic("billing", &secret_of("billing"));
    server.send(&request.header("dpop", proof.sign())).await
}

/// Waits until the store knows all uses of a proof that is made now.
async fn until_it_remembers(server: &TestServer) {
    until("the end of what the store may have forgotten", async || {
        let answer = ask(server, &possession("EdDSA")).await;
        (answer.status != 503).then(|| answer.expect_token())
    })
    .await;
}

#[tokio::test]
async fn d05_of_many_at_once_on_two_nodes_one_is_bound() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("jeton.keys");
    generate_keys(&keys);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(TestServer::builder().with_keys(&keys).with_redis(&redis).start().await);
    }
    for node in &nodes {
        until_it_remembers(node).await;
    }
    for round in 0..100 {
        let proof = possession("EdDSA");
        let tries = nodes.iter().flat_map(|node| [ask(node, &proof), ask(node, &proof), ask(node, &proof)]);
        let (first, used): (Vec<_>, Vec<_>) =
            join_all(tries).await.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(first.len(), 1, "{round}: {used:?}");
        used.into_iter().for_each(|answer| drop(answer.expect_error(400, "invalid_dpop_proof")));
    }
    let uses: Vec<_> = redis.keys().into_iter().filter(|key| key.starts_with(b"jeton:dpop:")).collect();
    assert!(uses.len() >= 100, "{}", uses.len());
    let ttl: i64 = redis.run(&format!("PTTL {}", String::from_utf8_lossy(&uses[0])));
    assert!((300_000..=600_000).contains(&ttl), "ten minutes: {ttl}");
}

/// F4: what was used before Redis forgot it binds nothing again, and is never called wrong.
#[tokio::test]
async fn f4_a_redis_that_forgot_makes_nobody_believe_an_old_proof() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    until_it_remembers(&server).await;
    let used = possession("ES256");
    ask(&server, &used).await.expect_token();
    redis.run::<()>("FLUSHALL");
    ask(&server, &used).await.expect_error(503, "temporarily_unavailable");
    until_it_remembers(&server).await;
    ask(&server, &used).await.expect_error(503, "temporarily_unavailable");
}

/// F5: "timed out" may have been executed; whatever becomes of the one that was not answered, no second one is accepted.
#[tokio::test]
async fn f5_a_proof_that_was_not_answered_in_time_is_used_at_most_once() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    until_it_remembers(&server).await;
    for _ in 0..3 {
        let proof = possession("EdDSA");
        redis.freeze();
        ask(&server, &proof).await.expect_error(503, "temporarily_unavailable");
        redis.thaw();
        server.until_store_up().await;
        let mut accepted = 0;
        until("an answer that is none of a fault", async || {
            let answer = ask(&server, &proof).await;
            accepted += u32::from(answer.status == 200);
            (answer.status == 400).then_some(())
        })
        .await;
        assert!(accepted <= 1);
    }
}

/// Operators see what it was, and nothing that was in it.
#[tokio::test]
async fn metrics_and_log_say_that_it_was_the_proof() {
    let server = TestServer::builder().set("log.requests", "failures").start().await;
    for proof in
        [possession("EdDSA").claim("htm", "GET"), possession("EdDSA").claim("htu", json!("https://canary.example"))]
    {
        ask(&server, &proof).await.expect_error(400, "invalid_dpop_proof");
    }
    assert_eq!(server.metric("jeton_token_requests_total", &["outcome=\"invalid_dpop_proof\""]).await, 2.0);
    let line = server.until_event("request", |line| line["outcome"] == "invalid_dpop_proof").await;
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("another method or URL")), "{line}");
    assert!(!line.to_string().contains("canary"), "{line}");
}
