//! K11 to K14: codes, uniqueness, lifetimes, and a store that cannot take a token.

use std::collections::HashSet;

use data_encoding::BASE64URL_NOPAD;

use crate::conformance::bench::Bench;
use crate::harness::http1::Wire;
use crate::harness::{Answer, TestServer};
use crate::unique::chi_square;

pub(crate) async fn only_registered_codes(bench: &Bench) {
    let billing = bench.client("billing");
    let codes: [(Answer, u16, &str); 3] = [
        (billing.request_token("canary").await, 400, "invalid_scope"),
        (billing.clone().with_secret("canary").request_token("").await, 401, "invalid_client"),
        (bench.client("nogrants").request_token("").await, 400, "unauthorized_client"),
    ];
    for (answer, status, code) in codes {
        answer.expect_error(status, code);
    }
}

/// Over the wire as many as fit in a moment; [`crate::unique`] draws a million in process.
pub(crate) async fn no_two_are_equal(bench: &Bench) {
    const EACH: usize = 2000;
    let second_node = bench.sibling().start().await;
    second_node.until_store_up().await;
    let mut tokens = Vec::new();
    for node in [&bench.server, &second_node] {
        let mut wire = Wire::connect(node.public).await;
        let request = wire.bytes_of(&node.client("billing").token_request("invoices:read"));
        for _ in 0..EACH / 50 {
            wire.send(request.repeat(50)).await;
            for _ in 0..50 {
                tokens.push(wire.receive("POST").await.expect_token());
            }
        }
    }
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 2 * EACH);
    let bytes = tokens.iter().map(|token| BASE64URL_NOPAD.decode(&token.as_bytes()[3..]).unwrap());
    let mut counts = [0; 256];
    bytes.flat_map(|bytes| bytes[10..30].to_vec()).for_each(|byte| counts[usize::from(byte)] += 1);
    let squares = chi_square(&counts);
    assert!((140.0..410.0).contains(&squares), "the bytes of tokens are not even: {squares}");
}

pub(crate) async fn a_life_as_long_as_said(bench: &Bench) {
    for (id, lifetime) in [("billing", 600), ("reporting", 3600), ("short", 1)] {
        let before = unix_seconds();
        let answer = bench.client(id).request_token("").await;
        let after = unix_seconds();
        assert_eq!(answer.json()["expires_in"], lifetime, "{id}");
        let token = answer.expect_token();
        let answer = bench.client(id).introspect(&token).await.expect(200).json();
        if answer["active"] == false {
            // A token of one second may have ended on a busy machine.
            assert_eq!(id, "short");
            continue;
        }
        let (iat, exp) = (answer["iat"].as_u64().unwrap(), answer["exp"].as_u64().unwrap());
        assert_eq!(exp, iat + lifetime, "{id}");
        assert!((before..=after).contains(&iat), "{id}");
    }
}

pub(crate) async fn unavailable(bench: &Bench) {
    let server = bench.without_store().start().await;
    let client = crate::harness::TestClient { http: bench.http, ..server.client("billing") };
    let answer = client.request_token("invoices:read").await.expect_error(503, "temporarily_unavailable");
    assert!((1..=5).contains(&answer.retry_after()));
}

/// A full memory refuses new tokens and keeps the live ones.
pub(crate) async fn full_memory(bench: &Bench) {
    let builder = TestServer::builder().set("store.memory_tokens_max", 3).set("limits.live_tokens_per_client", 3);
    let server = builder.start().await;
    let client = crate::harness::TestClient { http: bench.http, ..server.client("billing") };
    let mut tokens = Vec::new();
    let refused = loop {
        let answer = client.request_token("invoices:read").await;
        if answer.status != 200 {
            break answer;
        }
        tokens.push(answer.expect_token());
        assert!(tokens.len() <= 3, "more tokens than the memory holds");
    };
    assert!((1..=5).contains(&refused.expect_error(503, "temporarily_unavailable").retry_after()));
    assert_eq!(tokens.len(), 3);
    for token in &tokens {
        client.introspect(token).await.expect_active();
    }
    // Room again as soon as one is gone.
    client.revoke(&tokens[0]).await.expect_revoked();
    client.request_token("invoices:read").await.expect_token();
}

pub(crate) fn unix_seconds() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
