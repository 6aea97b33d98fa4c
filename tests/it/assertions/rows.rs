//! One row a request, over both versions of HTTP and on both stores.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::until_it_remembers;
use crate::harness::clients::{client, secret_of};
use crate::harness::config::ISSUER;
use crate::harness::request::{INTROSPECT, REVOKE, TOKEN, form};
use crate::harness::signer::{Assertion, JWT_BEARER, KEYS, SIGNER, asking, now, proof};
use crate::harness::{Http, RedisServer, Request, TestServer};

/// A signing client whose keys are registered with this.
fn signing(id: &str, with: &str, more: &str) -> String {
    let mut keys = KEYS.jwks();
    for key in keys["keys"].as_array_mut().unwrap() {
        let change: Value = serde_json::from_str(with).unwrap();
        key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    }
    let file = format!("{id}.jwks");
    format!(
        "[[client]]\nclient_id = \"{id}\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks_file = \"{file}\"\n{more}\n"
    )
}

async fn on_each(story: impl AsyncFn(&TestServer, Http)) {
    let redis = RedisServer::start().await;
    for builder in [TestServer::builder(), TestServer::builder().with_redis(&redis)] {
        let mut keys = KEYS.jwks();
        keys["keys"].as_array_mut().unwrap().iter_mut().for_each(|key| key["use"] = "enc".into());
        keys["keys"][3]["use"] = "sig".into();
        keys["keys"][3]["alg"] = "EdDSA".into();
        let server = builder
            .file("narrow.jwks", &keys.to_string())
            .file("off.jwks", &KEYS.jwks().to_string())
            .and_client(&signing("narrow", "{}", "scope = \"invoices:read\""))
            .and_client(&signing("off", "{}", "disabled = true"))
            .set("limits.wrong_proofs_per_minute", 200)
            .start()
            .await;
        server.until_store_up().await;
        until_it_remembers(&server).await;
        for http in [Http::One, Http::Two] {
            story(&server, http).await;
        }
    }
}

fn one() -> Assertion {
    Assertion::of(SIGNER)
}

#[tokio::test]
async fn w01_w11a_every_algorithm_gets_a_token() {
    on_each(async |server, http| {
        let algorithms = [
            ("RS256", "rsa"),
            ("PS256", "rsa"),
            ("ES256", "p256"),
            ("ES384", "p384"),
            ("EdDSA", "ed25519"),
            ("Ed25519", "ed25519"),
        ];
        for (alg, kid) in algorithms {
            for assertion in [one().header("alg", alg), one().header("alg", alg).header("kid", kid)] {
                let request = Request::form(TOKEN, asking(&assertion.sign(), &[]));
                let token = http.send(server.public, &request).await.expect_token();
                let seen = server.resource_server("orders-api").introspect(&token).await.expect_active();
                assert_eq!((&seen["client_id"], &seen["scope"]), (&json!(SIGNER), &json!("invoices:read")), "{alg}");
            }
        }
    })
    .await;
}

/// Assertions that are wrong in one way each.
fn refused() -> Vec<(&'static str, Assertion)> {
    let now = now();
    vec![
        ("W04 iss", one().claim("iss", "billing")),
        ("W04 sub", one().claim("sub", "billing")),
        ("W04 no iss", one().claim("iss", Value::Null)),
        ("W04 no sub", one().claim("sub", Value::Null)),
        ("W04 nobody", Assertion::of("nobody")),
        ("W05 another", one().claim("aud", "https://other.example")),
        ("W05 another too", one().claim("aud", json!([ISSUER, "https://other.example"]))),
        ("W05 none", one().claim("aud", Value::Null)),
        ("W05 an endpoint that is not called", one().claim("aud", format!("{ISSUER}{REVOKE}"))),
        ("W06 no exp", one().claim("exp", Value::Null)),
        ("W06 over", one().claim("exp", now - 60)),
        ("W06 for too long", one().claim("exp", now + 900)),
        ("W06 no number", one().claim("exp", "soon")),
        ("W07 nbf ahead", one().claim("nbf", now + 60)),
        ("W07 iat ahead", one().claim("iat", now + 60)),
        ("W07 iat long ago", one().claim("iat", now - 900)),
        ("W08 no jti", one().claim("jti", Value::Null)),
        ("W08 long jti", one().claim("jti", "j".repeat(129))),
        ("W11 another's signature", Assertion { signed_as: Some("ES256"), ..one() }),
        ("W11 none", one().header("alg", "none")),
        ("W11 none by name alone", Assertion { signed_as: Some("EdDSA"), ..one().header("alg", "none") }),
        ("W11 the public key as a secret", one().header("alg", "HS256")),
        ("W11 alg not of its key", Assertion::of("narrow").header("alg", "RS256")),
        ("W11 a key for encryption", Assertion::of("narrow").header("alg", "ES256")),
        ("W11 unknown kid", one().header("kid", "another")),
        ("W11 crit", one().header("crit", json!(["exp"])).header("exp", 1)),
        ("W11 b64", one().header("b64", false)),
        ("W11 jwk", one().header("jwk", KEYS.jwks()["keys"][3].clone())),
        ("W11 jku", one().header("jku", "https://as.example/keys")),
        ("W11 x5u", one().header("x5u", "https://as.example/keys")),
        ("W12 dpop+jwt", one().header("typ", "dpop+jwt")),
        ("W12 at+jwt", one().header("typ", "at+jwt")),
        ("W12 token-introspection+jwt", one().header("typ", "token-introspection+jwt")),
        ("A14 a client with a secret", Assertion::of("billing")),
        ("A17 disabled", Assertion::of("off")),
    ]
}

#[tokio::test]
async fn w02_to_w12_whatever_is_wrong_with_it_is_refused() {
    on_each(async |server, http| {
        let send = async |form: String| http.send(server.public, &Request::form(TOKEN, form)).await;
        for (case, assertion) in refused() {
            let answer = send(asking(&assertion.sign(), &[])).await;
            assert_eq!(answer.status, 401, "{case}: {answer:?}");
            let body = answer.expect_error(401, "invalid_client").json();
            assert_eq!(body["error_description"], "client unknown, or its proof missing or wrong", "{case}");
        }
        // JSON that two readers read as two documents, and a signature that was cut off.
        let twice = one().claims.to_string().replacen('{', "{\"sub\":\"signer\",", 1);
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let whole = one().sign();
        let (signed, _) = whole.rsplit_once('.').unwrap();
        for assertion in
            [one().sign_parts(&encode(r#"{"alg":"EdDSA"}"#), &encode(&twice)), format!("{signed}."), "x".into()]
        {
            send(asking(&assertion, &[])).await.expect_error(401, "invalid_client");
        }
        for (case, form) in [
            ("W02 no type", form(&[("grant_type", "client_credentials"), ("client_assertion", &one().sign())])),
            ("W02 another type", asking(&one().sign(), &[]).replace("jwt-bearer", "saml2-bearer")),
            ("W02 no assertion", form(&[("grant_type", "client_credentials"), ("client_assertion_type", JWT_BEARER)])),
            ("W03", asking(&one().sign(), &[("client_id", "billing")])),
            ("A11 two", asking(&one().sign(), &[("client_assertion", "x")])),
            ("A11 a secret", asking(&one().sign(), &[("client_id", SIGNER), ("client_secret", "x")])),
        ] {
            let answer = send(form).await;
            assert_eq!(answer.status, 400, "{case}: {answer:?}");
            answer.expect_error(400, "invalid_request");
        }
        let both = Request::form(TOKEN, asking(&one().sign(), &[])).basic("billing", &secret_of("billing"));
        http.send(server.public, &both).await.expect_error(400, "invalid_request");
        // A14, the other way round: one that signs has no secret.
        let by_secret = Request::form(TOKEN, "grant_type=client_credentials").basic(SIGNER, &secret_of(SIGNER));
        http.send(server.public, &by_secret).await.expect_error(401, "invalid_client");
    })
    .await;
}

#[tokio::test]
async fn w05_w12_what_client_libraries_send_is_taken() {
    let (token, introspect, revoke) =
        (format!("{ISSUER}{TOKEN}"), format!("{ISSUER}{INTROSPECT}"), format!("{ISSUER}{REVOKE}"));
    on_each(async |server, http| {
        let send = async |path: &str, form: String| http.send(server.public, &Request::form(path, form)).await;
        for assertion in [
            one().claim("aud", json!([ISSUER])),
            one().claim("aud", token.as_str()),
            one().claim("aud", json!([ISSUER, token])),
            one().header("typ", "JWT"),
            one().header("typ", "client-authentication+jwt"),
            one().claim("nbf", now()),
            one().claim("exp", now() as f64 + 60.5),
            Assertion::of("narrow"),
        ] {
            send(TOKEN, asking(&assertion.sign(), &[])).await.expect_token();
        }
        let token = send(TOKEN, asking(&one().sign(), &[("client_id", SIGNER)])).await.expect_token();
        for aud in [ISSUER, &introspect] {
            let assertion = one().claim("aud", aud).sign();
            let form = form(&[proof(&assertion).as_slice(), &[("token", &token)]].concat());
            send(INTROSPECT, form).await.expect_active();
        }
        let assertion = one().claim("aud", revoke.as_str()).sign();
        send(REVOKE, form(&[proof(&assertion).as_slice(), &[("token", &token)]].concat())).await.expect_revoked();
        server.resource_server("orders-api").introspect(&token).await.expect_inactive();
    })
    .await;
}

/// Operators see why, the client does not.
#[tokio::test]
async fn metrics_and_log_say_why_it_was_refused() {
    let server = TestServer::builder().and_client(&client("other", "")).start().await;
    until_it_remembers(&server).await;
    let used = one();
    super::ask(&server, &used).await.expect_token();
    for (assertion, outcome) in [
        (used, "replayed"),
        (one().claim("aud", "x"), "wrong_audience"),
        (one().claim("exp", now() - 60), "assertion_expired"),
        (one().claim("exp", now() + 900), "wrong_times"),
        (one().claim("jti", Value::Null), "wrong_claims"),
        (one().header("kid", "x"), "unknown_key"),
        (Assertion { signed_as: Some("ES256"), ..one() }, "wrong_signature"),
        (Assertion::of("nobody"), "unknown_client"),
        (Assertion::of("other"), "method_not_registered"),
        (one().header("typ", "at+jwt"), "malformed"),
    ] {
        super::ask(&server, &assertion).await.expect_error(401, "invalid_client");
        let labels = ["auth_method=\"private_key_jwt\"", &format!("outcome=\"{outcome}\"")];
        assert_eq!(server.metric("jeton_client_authentications_total", &labels).await, 1.0, "{outcome}");
    }
    assert!(server.metric("jeton_tokens_issued_total", &["auth_method=\"private_key_jwt\""]).await >= 2.0);
}
