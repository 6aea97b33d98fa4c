//! I01, I05, I06, I11, I13 and I14: what an introspection says, and what it must not.

use super::tokens::unix_seconds;
use crate::conformance::bench::Bench;
use crate::conformance::row::introspect;
use crate::harness::clients::{API, client, secret_of};
use crate::harness::http1::Wire;
use crate::harness::request::INTROSPECT;
use crate::harness::{Answer, Request, TestClient, until};

pub(crate) async fn times_and_jti(bench: &Bench) {
    let before = unix_seconds();
    let token = bench.fresh().await;
    let first = bench.client("orders-api").introspect(&token).await.expect_active();
    let second = bench.client("orders-api").introspect(&token).await.expect_active();
    assert_eq!(first, second, "two answers about one token");
    let iat = first["iat"].as_u64().expect("iat");
    assert!((before..=unix_seconds()).contains(&iat));
    assert_eq!(first["nbf"], iat);
    assert_eq!(first["exp"], iat + 600);
    let jti = first["jti"].as_str().expect("jti");
    assert_eq!(jti.len(), 16);
    assert!(!token.contains(jti), "the jti shows a part of the token");

    let other = bench.fresh().await;
    assert_ne!(bench.client("orders-api").introspect(&other).await.expect_active()["jti"], jti);
}

/// A bearer whose token has no audience may introspect too, if its client may.
pub(crate) async fn bearer_without_audience(bench: &Bench) {
    let clients = [
        client("everywhere", "introspection = [\"*\"]"),
        client("narrow", "introspection = [\"https://elsewhere.example.com\"]"),
        client("billing", &format!("audience = [\"{API}\"]")),
    ];
    let node = bench.sibling().with_clients(&clients.join("\n")).start().await;
    node.until_store_up().await;
    let token = node.client("billing").request_token("").await.expect_token();
    let send = async |bearer: &str| {
        let request = Request::form(INTROSPECT, format!("token={token}")).bearer(bearer);
        bench.http.send(node.public, &request).await
    };
    let bearer = node.client("everywhere").request_token("").await.expect_token();
    send(&bearer).await.expect_active();
    let narrow = node.client("narrow").request_token("").await.expect_token();
    send(&narrow).await.expect_inactive();

    // It ends with its revocation.
    node.client("everywhere").revoke(&bearer).await.expect_revoked();
    send(&bearer).await.expect(401);
}

/// Seven reasons, one answer: the same bytes, the same headers.
pub(crate) async fn all_inactive_answers_are_equal(bench: &Bench) {
    let send = async |request: &Request| bench.send(request).await.expect_inactive().without_date();
    let reference = send(&introspect("token={unknown}")).await;
    for token in ["{expired}", "{revoked}", "canary", "+", "{foreign}"] {
        let answer = send(&introspect(format!("token={token}"))).await;
        assert_eq!((&answer.headers, &answer.body), (&reference.headers, &reference.body), "{token}");
    }
    let not_allowed = Request::form(INTROSPECT, "token={billing}").basic("elsewhere-api", &secret_of("elsewhere-api"));
    let answer = send(&not_allowed).await;
    assert_eq!((&answer.headers, &answer.body), (&reference.headers, &reference.body), "not for this caller");
}

pub(crate) async fn never_active_at_its_end(bench: &Bench) {
    let short = bench.client("short");
    let token = short.request_token("").await.expect_token();
    let mut exp = u64::MAX;
    until("the end of a token of one second", async || {
        let asked_at = unix_seconds();
        let answer = short.introspect(&token).await.expect(200).json();
        if answer["active"] == true {
            exp = answer["exp"].as_u64().unwrap();
            assert!(asked_at < exp, "active at its end");
            return None;
        }
        Some(())
    })
    .await;
    assert!(exp == u64::MAX || unix_seconds() >= exp, "inactive before its end");
}

/// A store that cannot be asked says nothing about a token; what needs no store is answered as ever.
pub(crate) async fn unavailable(bench: &Bench) {
    let server = bench.without_store().start().await;
    let as_bench = |id: &str| TestClient { http: bench.http, ..server.client(id) };
    let live = bench.fresh().await;
    as_bench("orders-api").introspect(&live).await.expect_error(503, "temporarily_unavailable");
    as_bench("orders-api").introspect("canary").await.expect_inactive();
    as_bench("orders-api").with_secret("canary").introspect(&live).await.expect_error(401, "invalid_client");

    // Nor about the caller's own bearer token.
    let request = bench.with_tokens(&Request::form(INTROSPECT, "token=canary").bearer("{gateway}")).await;
    bench.http.send(server.public, &request).await.expect_error(503, "temporarily_unavailable");
}

pub(crate) async fn a_thousand_times_the_same(bench: &Bench) {
    let token = bench.fresh().await;
    let batches =
        async || bench.server.metric("jeton_store_operation_duration_seconds_count", &["operation=\"find\""]).await;
    let lookups = || bench.redis.as_ref().map_or(0, |redis| redis.calls_of("hget"));
    let (batches_before, lookups_before) = (batches().await, lookups());
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let asker = bench.client("orders-api");
        let token = token.clone();
        connections.spawn(async move {
            let mut wire = Wire::connect(asker.server).await;
            let request = wire.bytes_of(&asker.introspection_request(&token));
            wire.send(request.repeat(50)).await;
            let mut answers = Vec::new();
            for _ in 0..50 {
                answers.push(wire.receive("POST").await);
            }
            answers
        });
    }
    let answers: Vec<Answer> = connections.join_all().await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 1000);
    answers[0].clone().expect_active();
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    // Equal questions in one batch are asked once.
    let asked = f64::from(u32::try_from(lookups() - lookups_before).unwrap());
    assert!(asked <= batches().await - batches_before, "{asked} lookups");
}
