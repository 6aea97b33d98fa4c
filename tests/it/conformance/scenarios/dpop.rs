//! Section 10, DPoP (RFC 9449): D01 to D06, and K03.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::conformance::bench::Bench;
use crate::conformance::row::{ask, ask_by, introspect};
use crate::harness::config::ISSUER;
use crate::harness::request::{INTROSPECT, TOKEN};
use crate::harness::signer::{Assertion, JWK_ALGORITHMS, jwk_of, now, possession, thumbprint};
use crate::harness::{Answer, Request, TestServer, until};

const GRANT: &str = "grant_type=client_credentials&scope=invoices:read";

fn good() -> Assertion {
    possession("ES256")
}

/// Asks for a token with this proof.
async fn send(bench: &Bench, server: &TestServer, proof: &Assertion) -> Answer {
    bench.http.send(server.public, &ask(GRANT).header("dpop", proof.sign())).await
}

/// The answer to a proof made now, once the store knows all of its uses.
async fn send_known(bench: &Bench, server: &TestServer, make: impl Fn() -> Assertion) -> Answer {
    until("the end of what the store may have forgotten", async || {
        let answer = send(bench, server, &make()).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

/// D01, K03: the token's type, and the thumbprint of the key that it is bound to.
pub(crate) async fn a_proof_binds(bench: &Bench) {
    for alg in JWK_ALGORITHMS {
        let answer = send_known(bench, &bench.server, || possession(alg)).await;
        assert_eq!(answer.expect_token_type(), "DPoP", "{alg}");
        let seen = bench.send(&introspect(format!("token={}", answer.expect_token()))).await.expect_active();
        assert_eq!(seen["token_type"], "DPoP");
        assert_eq!(seen["cnf"], json!({ "jkt": thumbprint(&jwk_of(alg)) }), "{alg}");
    }
    // Introspection and revocation take no heed of a proof, and a bound token is no Bearer of ours.
    let bound = send(bench, &bench.server, &good()).await.expect_token();
    bench.send(&introspect(format!("token={bound}")).header("dpop", "x")).await.expect_active();
    let by_gateway = ask_by("gateway", "grant_type=client_credentials&resource=https://as.example");
    let bound = bench.send(&by_gateway.header("dpop", good().sign())).await.expect_token();
    let request = Request::form(INTROSPECT, format!("token={bound}")).bearer(&bound);
    bench.send(&request).await.expect_error(401, "invalid_token");
}

/// K03: without a proof a token is a Bearer's.
pub(crate) async fn no_proof_binds_nothing(bench: &Bench) {
    let answer = bench.send(&ask(GRANT)).await.expect(200);
    assert_eq!(answer.expect_token_type(), "Bearer");
    assert_eq!(answer.header("dpop-nonce"), None);
    let seen = bench.send(&introspect(format!("token={}", answer.expect_token()))).await.expect_active();
    assert_eq!((&seen["token_type"], seen.get("cnf")), (&json!("Bearer"), None));
}

fn wrong() -> Vec<(&'static str, Assertion)> {
    let now = now();
    let mut private = jwk_of("EdDSA");
    private["d"] = "AAAA".into();
    let off = |name: &str| good().claim(name, Value::Null);
    vec![
        ("no jti", off("jti")),
        ("no htm", off("htm")),
        ("no htu", off("htu")),
        ("no iat", off("iat")),
        ("an empty jti", good().claim("jti", "")),
        ("a long jti", good().claim("jti", "j".repeat(129))),
        ("no typ", good().header("typ", Value::Null)),
        ("another typ", good().header("typ", "JWT")),
        ("alg none", Assertion { signed_as: Some("none"), ..good().header("alg", "none") }),
        ("alg none by name alone", Assertion { signed_as: Some("ES256"), ..good().header("alg", "none") }),
        ("the public key as a secret", good().header("alg", "HS256")),
        ("an alg that is not listed", possession("RS256").header("alg", "RS384")),
        ("the alg of another key", good().header("alg", "ES384")),
        ("another's signature", Assertion { signed_as: Some("EdDSA"), ..good() }),
        ("another's key", good().header("jwk", jwk_of("EdDSA")).header("alg", "EdDSA").signed_as("ES256")),
        ("no jwk", good().header("jwk", Value::Null).header("kid", "p256")),
        ("the private key", possession("EdDSA").header("jwk", private)),
        ("a symmetric key", good().header("jwk", json!({ "kty": "oct", "k": "AAAA" }))),
        ("crit", good().header("crit", json!(["exp"])).header("exp", 1)),
        ("another method", good().claim("htm", "GET")),
        ("the method in small letters", good().claim("htm", "post")),
        ("another host", good().claim("htu", format!("https://other.example{TOKEN}"))),
        ("another path", good().claim("htu", format!("{ISSUER}{INTROSPECT}"))),
        ("the issuer", good().claim("htu", ISSUER)),
        ("made too long ago", good().claim("iat", now - 66)),
        ("made in time to come", good().claim("iat", now + 30)),
        ("a time that is none", good().claim("iat", "now")),
        ("over", good().claim("exp", now - 30)),
    ]
}

/// D02: each of the checks of RFC 9449 section 4.3.
pub(crate) async fn what_is_wrong_is_refused(bench: &Bench) {
    for (case, proof) in wrong() {
        let answer = send(bench, &bench.server, &proof).await;
        assert_eq!(answer.status, 400, "{case}: {}", answer.told());
        answer.expect_error(400, "invalid_dpop_proof");
    }
    let twice = good().sign();
    let request = || ask(GRANT).header("dpop", &twice);
    bench.send(&request().header("DPoP", &twice)).await.expect_error(400, "invalid_dpop_proof");
    bench.send(&request().header("DPoP", good().sign())).await.expect_error(400, "invalid_dpop_proof");
    let (signed, _) = twice.rsplit_once('.').unwrap();
    let doubled = good().claims.to_string().replacen('{', "{\"jti\":\"1\",", 1);
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let doubled = good().sign_parts(&encode(&good().header.to_string()), &encode(&doubled));
    for text in ["", "x", "a.b.c", signed, &format!("{signed}."), &format!("{twice}, {twice}"), &doubled] {
        bench.send(&ask(GRANT).header("dpop", text)).await.expect_error(400, "invalid_dpop_proof");
    }
    // Who is not authenticated learns nothing of a proof, nor who asks for what it may not have.
    let stranger = Request::form(TOKEN, GRANT).basic("billing", "canary").header("dpop", "x");
    bench.send(&stranger).await.expect_error(401, "invalid_client");
    let greedy = ask("grant_type=client_credentials&scope=canary").header("dpop", "x");
    bench.send(&greedy).await.expect_error(400, "invalid_scope");
}

/// D03: another spelling of the configured URL is that URL, and what `Host` says is none.
pub(crate) async fn a_url_is_compared_as_a_url(bench: &Bench) {
    send_known(bench, &bench.server, good).await.expect_token();
    for htu in [
        "https://as.example/oauth2/token?a=b#c",
        "https://as.example:443/oauth2/token",
        "HTTPS://AS.EXAMPLE/oauth2/token",
        "https://as.example/%6Fauth2/t%6fken",
        "https://as.example/x/../oauth2/./token",
    ] {
        send(bench, &bench.server, &good().claim("htu", htu)).await.expect_token();
    }
    let by_address = format!("http://{}{TOKEN}", bench.server.public);
    for htu in [by_address.as_str(), "http://as.example/oauth2/token", "https://as.example/oauth2%2Ftoken"] {
        send(bench, &bench.server, &good().claim("htu", htu)).await.expect_error(400, "invalid_dpop_proof");
    }
    let server = bench.memory_sibling().set("issuer", "https://as.example/~t1").start().await;
    send_known(bench, &server, || good().claim("htu", "https://as.example/%7et1/oauth2/token")).await.expect_token();
    send(bench, &server, &good()).await.expect_error(400, "invalid_dpop_proof");
}

/// D04: no token without a nonce of any node; whoever has none, or another, is given one.
pub(crate) async fn nonces(bench: &Bench) {
    let node = async || bench.sibling().set("tokens.require_dpop_nonce", true).start().await;
    let (one, other) = (node().await, node().await);
    one.until_store_up().await;
    other.until_store_up().await;
    let refused = async |proof: Assertion| {
        let answer = send(bench, &one, &proof).await.expect_error(400, "use_dpop_nonce");
        answer.header("dpop-nonce").expect("a nonce").to_owned()
    };
    let nonce = refused(good()).await;
    assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{nonce}");
    for server in [&one, &other] {
        let answer = send_known(bench, server, || good().claim("nonce", nonce.as_str())).await;
        assert_eq!(answer.expect_token_type(), "DPoP");
        assert_eq!(answer.header("dpop-nonce"), None, "it is fresh");
    }
    let stranger = TestServer::builder().set("tokens.require_dpop_nonce", true).start().await;
    let foreign = send(bench, &stranger, &good()).await.expect_error(400, "use_dpop_nonce");
    for wrong in ["", "canary", &nonce[1..], foreign.header("dpop-nonce").expect("a nonce")] {
        refused(good().claim("nonce", wrong)).await;
    }
    // A nonce makes no wrong proof right, and who sends no proof needs no nonce.
    for wrong in [good().claim("nonce", 1), good().claim("nonce", nonce.as_str()).claim("htm", "GET")] {
        let answer = send(bench, &one, &wrong).await.expect_error(400, "invalid_dpop_proof");
        assert_eq!(answer.header("dpop-nonce"), None);
    }
    let bearer = bench.http.send(one.public, &ask(GRANT)).await.expect(200);
    assert_eq!(bearer.expect_token_type(), "Bearer");
    // Where none is required none is looked at.
    send_known(bench, &bench.server, || good().claim("nonce", "canary")).await.expect_token();
}

/// D05: a proof is good once, for whomever and wherever, and what failed before left it unused.
pub(crate) async fn a_proof_is_good_once(bench: &Bench) {
    send_known(bench, &bench.server, good).await.expect_token();
    let second_node = bench.sibling().start().await;
    second_node.until_store_up().await;
    let proof = good();
    let greedy = ask("grant_type=client_credentials&scope=canary").header("dpop", proof.sign());
    bench.send(&greedy).await.expect_error(400, "invalid_scope");
    send(bench, &bench.server, &proof).await.expect_token();
    send(bench, &bench.server, &proof).await.expect_error(400, "invalid_dpop_proof");
    // Signed anew, or with the URL spelled otherwise, it is the same one.
    let respelled = proof.clone().claim("htu", format!("{ISSUER}:443{TOKEN}?again"));
    send(bench, &bench.server, &respelled).await.expect_error(400, "invalid_dpop_proof");
    let by_another = ask_by("reporting", GRANT).header("dpop", proof.sign());
    bench.send(&by_another).await.expect_error(400, "invalid_dpop_proof");
    if bench.redis.is_some() {
        send(bench, &second_node, &proof).await.expect_error(400, "invalid_dpop_proof");
    }
    // Another key may happen on the same jti.
    let same_jti = possession("EdDSA").claim("jti", proof.claims["jti"].clone());
    send(bench, &bench.server, &same_jti).await.expect_token();
}

/// D06: a client that is registered so gets no other token.
pub(crate) async fn a_client_that_must(bench: &Bench) {
    let request = || ask_by("bound", GRANT);
    bench.send(&request()).await.expect_error(400, "invalid_dpop_proof");
    let answer = until("the end of what the store may have forgotten", async || {
        let answer = bench.send(&request().header("dpop", good().sign())).await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.expect_token_type(), "DPoP");
}
