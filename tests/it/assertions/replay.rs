//! W09, W10 and W13: an assertion is good once, on whatever node, and where that is not known it is refused with 503.

use futures_util::future::join_all;

use super::{ask, until_it_remembers};
use crate::harness::config::generate_keys;
use crate::harness::request::TOKEN;
use crate::harness::signer::{Assertion, KEYS, SIGNER, asking};
use crate::harness::{ChaosProxy, RedisServer, Request, TestServer, until};

#[tokio::test]
async fn w09_w10_one_of_many_at_once_on_three_nodes_gets_a_token() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("jeton.keys");
    generate_keys(&keys);
    let other = "[[client]]\nclient_id = \"other\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks_file = \"k.jwks\"\nscope = \"invoices:read\"";
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let builder = TestServer::builder().with_keys(&keys).with_redis(&redis);
        nodes.push(builder.file("k.jwks", &KEYS.jwks().to_string()).and_client(other).start().await);
    }
    for node in &nodes {
        until_it_remembers(node).await;
    }
    for round in 0..100 {
        let assertion = Assertion::of(SIGNER);
        let answers = join_all(nodes.iter().flat_map(|node| [ask(node, &assertion), ask(node, &assertion)])).await;
        let (first, used): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(first.len(), 1, "{round}: {used:?}");
        used.into_iter().for_each(|answer| drop(answer.expect_error(401, "invalid_client")));
        if round % 10 == 0 {
            let of_other = assertion.claim("iss", "other").claim("sub", "other");
            ask(&nodes[1], &of_other).await.expect_token();
            ask(&nodes[2], &of_other).await.expect_error(401, "invalid_client");
        }
    }
    let keys = redis.keys();
    let uses = keys.iter().filter(|key| key.starts_with(b"jeton:jti:")).count();
    assert!(uses >= 110, "{uses}");
    let ttl: i64 = redis.run(&format!(
        "PTTL {}",
        String::from_utf8_lossy(keys.iter().find(|key| key.starts_with(b"jeton:jti:")).unwrap())
    ));
    assert!((300_000..=600_000).contains(&ttl), "ten minutes, whatever its exp: {ttl}");
}

#[tokio::test]
async fn what_fails_before_leaves_it_unused() {
    let server = TestServer::builder().start().await;
    until_it_remembers(&server).await;
    let assertion = Assertion::of(SIGNER);
    let wrong = Assertion { signed_as: Some("ES256"), ..assertion.clone() };
    ask(&server, &wrong).await.expect_error(401, "invalid_client");
    let beside = Request::form(TOKEN, asking(&assertion.sign(), &[("client_id", "billing")]));
    server.send(&beside).await.expect_error(400, "invalid_request");
    ask(&server, &assertion).await.expect_token();
    ask(&server, &assertion).await.expect_error(401, "invalid_client");
}

#[tokio::test]
async fn w13_without_the_store_no_assertion_is_accepted_and_wrong_ones_are_still_told() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    until_it_remembers(&server).await;
    redis.kill();
    server.until_store_down().await;
    ask(&server, &Assertion::of(SIGNER)).await.expect_error(503, "temporarily_unavailable");
    ask(&server, &Assertion::of(SIGNER).claim("aud", "x")).await.expect_error(401, "invalid_client");
    let labels = ["auth_method=\"private_key_jwt\"", "outcome=\"unavailable\""];
    assert!(server.metric("jeton_client_authentications_total", &labels).await >= 1.0);
}

/// F4: what was used before Redis forgot it is never accepted again, and never called wrong; what is made after is good.
#[tokio::test]
async fn f4_a_redis_that_forgot_makes_nobody_believe_an_old_assertion() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    until_it_remembers(&server).await;
    for restart in [false, true, false] {
        let changes = server.metric("jeton_store_epoch_changes_total", &[]).await;
        let used = Assertion::of(SIGNER);
        ask(&server, &used).await.expect_token();
        if restart {
            redis.kill();
            redis.start_again_empty().await;
            server.until_store_up().await;
        } else {
            redis.run::<()>("FLUSHALL");
        }
        let answer = ask(&server, &used).await.expect_error(503, "temporarily_unavailable");
        assert!(restart || answer.retry_after() == 5, "{answer:?}");
        until("the new epoch", async || {
            (server.metric("jeton_store_epoch_changes_total", &[]).await > changes).then_some(())
        })
        .await;
        // Made at the latest possible time it is older than the new epoch and what clocks may differ by.
        ask(&server, &used).await.expect_error(503, "temporarily_unavailable");
        until_it_remembers(&server).await;
        ask(&server, &used).await.expect_error(503, "temporarily_unavailable");
    }
    server.until_event("store_epoch_changed", |_| true).await;
}

/// F5: "timed out" may have been executed; whatever becomes of the one that was not answered, no second one is accepted.
#[tokio::test]
async fn f5_a_use_that_was_not_answered_in_time_is_used_at_most_once() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    until_it_remembers(&server).await;
    for _ in 0..3 {
        let assertion = Assertion::of(SIGNER);
        redis.freeze();
        ask(&server, &assertion).await.expect_error(503, "temporarily_unavailable");
        redis.thaw();
        server.until_store_up().await;
        let mut accepted = 0;
        until("an answer that is none of a fault", async || {
            let answer = ask(&server, &assertion).await;
            accepted += u32::from(answer.status == 200);
            (answer.status == 401).then_some(())
        })
        .await;
        assert!(accepted <= 1);
    }
}

/// A trip that breaks under way is sent again by the same try: it is no use of somebody else.
#[tokio::test]
async fn connections_that_break_never_let_one_through_twice() {
    let redis = RedisServer::start().await;
    let proxy = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(proxy.port())).start().await;
    server.until_store_up().await;
    until_it_remembers(&server).await;
    let greeted = redis.calls_of("hello");
    let mut accepted = 0;
    for _ in 0..200 {
        let assertion = Assertion::of(SIGNER);
        let tries = join_all((0..4).map(|_| ask(&server, &assertion)));
        let (answers, ()) = tokio::join!(tries, async { proxy.reset() });
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(won <= 1, "{answers:?}");
        accepted += won;
    }
    let greeted_again = redis.calls_of("hello") - greeted;
    assert!(accepted > 0 && greeted_again > 20, "{accepted} accepted, {greeted_again} connections");
}
