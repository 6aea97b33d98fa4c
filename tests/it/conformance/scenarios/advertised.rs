//! M08, the metadata against the server that wrote it: each value that is advertised works, and each that is not is refused, though all
//! else is the same. A member that is not tried here may not be in the document.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde_json::Value;

use crate::conformance::bench::Bench;
use crate::conformance::row::ask;
use crate::harness::clients::secret_of;
use crate::harness::config::ISSUER;
use crate::harness::request::{METADATA, TOKEN, form};
use crate::harness::signer::{Assertion, JWT_BEARER, SIGNER, possession, proof};
use crate::harness::{Answer, Request, until};

/// The members of RFC 8414 and RFC 9449 that are tried below.
const MEMBERS: [&str; 13] = [
    "issuer",
    "token_endpoint",
    "response_types_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "revocation_endpoint",
    "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "dpop_signing_alg_values_supported",
];

/// What the registries of IANA have, and Bearer, which an introspection endpoint may list.
const METHODS: [&str; 8] = [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
    "Bearer",
];

const ALGORITHMS: [&str; 17] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
    "Ed448", "HS256", "HS384", "HS512", "none",
];

const GRANTS: [&str; 8] = [
    "client_credentials",
    "authorization_code",
    "implicit",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

/// Where other servers have what this one does not advertise.
const OTHER_PATHS: [&str; 6] =
    ["/oauth2/authorize", "/oauth2/register", "/oauth2/device", "/oauth2/par", "/oauth2/userinfo", "/oauth2/jwks"];

pub(crate) async fn works_and_nothing_else_does(bench: &Bench) {
    let document = bench.send(&Request::get(METADATA)).await.expect(200).json();
    let members: BTreeSet<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(MEMBERS), "a member that nobody tries");
    assert_eq!(document["response_types_supported"], Value::Array(vec![]));
    for path in OTHER_PATHS {
        bench.send(&Request::form(path, "")).await.expect(404);
    }
    grants(bench, &document).await;
    for endpoint in ["token", "introspection", "revocation"] {
        methods(bench, &document, endpoint).await;
        assertions(bench, &document, endpoint).await;
    }
    proofs(bench, &document).await;
}

/// The values of a member, all of which must be among those that are tried.
fn advertised<'a>(document: &'a Value, member: &str, tried: &[&str]) -> BTreeSet<&'a str> {
    let listed = document[member].as_array().unwrap_or_else(|| panic!("no {member}"));
    let listed: BTreeSet<&str> = listed.iter().map(|value| value.as_str().expect("a text")).collect();
    assert!(listed.iter().all(|value| tried.contains(value)), "{member} lists what nobody tries: {listed:?}");
    listed
}

/// The answer, once the store knows all uses of what is made now.
async fn known(bench: &Bench, make: impl Fn() -> Request) -> Answer {
    until("the end of what the store may have forgotten", async || {
        let answer = bench.send(&make()).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

async fn grants(bench: &Bench, document: &Value) {
    let listed = advertised(document, "grant_types_supported", &GRANTS);
    for grant in GRANTS {
        let answer = bench.send(&ask(form(&[("grant_type", grant)]))).await;
        match listed.contains(grant) {
            true => drop(answer.expect_token()),
            false => drop(answer.expect_error(400, "unsupported_grant_type")),
        }
    }
}

/// The path that the document names for an endpoint, and a form that is right but for who sends it.
fn endpoint_of(document: &Value, endpoint: &str) -> (String, &'static str) {
    let url = document[format!("{endpoint}_endpoint")].as_str().expect("a URL");
    let path = url.strip_prefix(ISSUER).unwrap_or_else(|| panic!("{url} is not below the issuer"));
    (path.to_owned(), if endpoint == "token" { "grant_type=client_credentials" } else { "token=canary" })
}

async fn methods(bench: &Bench, document: &Value, endpoint: &str) {
    let listed = advertised(document, &format!("{endpoint}_endpoint_auth_methods_supported"), &METHODS);
    let (path, body) = endpoint_of(document, endpoint);
    let secret = secret_of("billing");
    let with = |pairs: &[(&str, &str)]| Request::form(&path, format!("{body}&{}", form(pairs)));
    let bearer = bench.client("gateway").request_token("").await.expect_token();
    for method in METHODS {
        let request = || match method {
            "client_secret_basic" => Request::form(&path, body).basic("billing", &secret),
            "client_secret_post" => with(&[("client_id", "billing"), ("client_secret", &secret)]),
            "client_secret_jwt" => with(&proof(&signed_by_secret("billing"))),
            "private_key_jwt" => with(&proof(&Assertion::of(SIGNER).sign())),
            "Bearer" => Request::form(&path, body).bearer(&bearer),
            // Those who say nothing but their name: no listener here asks for a certificate.
            _ => with(&[("client_id", "billing")]),
        };
        let answer = known(bench, request).await;
        let expected = if listed.contains(method) { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{method} at {path}: {}", answer.told());
    }
}

/// `client_secret_jwt`: an assertion whose key is the client's secret.
fn signed_by_secret(client: &str) -> String {
    let assertion = Assertion::of(client).header("alg", "HS256").sign();
    let (input, _) = assertion.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret_of(client).as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(hmac::sign(&key, input.as_bytes()).as_ref()))
}

/// Signed by a key that signs so, where tests have one.
fn by(alg: &'static str, assertion: Assertion) -> Assertion {
    let signed_as = match alg {
        "ES512" | "ES256K" => "ES256",
        "Ed448" => "EdDSA",
        "HS384" | "HS512" => "HS256",
        alg => alg,
    };
    assertion.header("alg", alg).signed_as(signed_as)
}

async fn assertions(bench: &Bench, document: &Value, endpoint: &str) {
    let listed = advertised(document, &format!("{endpoint}_endpoint_auth_signing_alg_values_supported"), &ALGORITHMS);
    let (path, body) = endpoint_of(document, endpoint);
    for alg in ALGORITHMS {
        let request = || {
            let assertion = by(alg, Assertion::of(SIGNER)).sign();
            let pairs = form(&[("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)]);
            Request::form(&path, format!("{body}&{pairs}"))
        };
        let answer = known(bench, request).await;
        let expected = if listed.contains(alg) { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{alg} at {path}: {}", answer.told());
    }
}

async fn proofs(bench: &Bench, document: &Value) {
    let listed = advertised(document, "dpop_signing_alg_values_supported", &ALGORITHMS);
    assert_eq!(document["token_endpoint"], format!("{ISSUER}{TOKEN}"), "the URL that proofs are for");
    for alg in ALGORITHMS {
        let request = || ask("grant_type=client_credentials").header("dpop", by(alg, possession(alg)).sign());
        let answer = known(bench, request).await;
        match listed.contains(alg) {
            true => assert_eq!(answer.expect_token_type(), "DPoP", "{alg}"),
            false => drop(answer.expect_error(400, "invalid_dpop_proof")),
        }
    }
}
