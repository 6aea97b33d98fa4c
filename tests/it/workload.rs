//! Workload identity: tokens of trusted issuers prove clients that have no secret. Row W15.

use serde_json::{Value, json};

use crate::harness::clients::client;
use crate::harness::config::{ISSUER, ServerBuilder};
use crate::harness::request::{INTROSPECT, TOKEN};
use crate::harness::signer::{Assertion, KEYS, asking, now, proof};
use crate::harness::{Answer, Http, RedisServer, Request, TestServer, until};

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const ACCOUNT: &str = "system:serviceaccount:billing:worker";

fn builder() -> ServerBuilder {
    let of_account = |id: &str, more: &str| {
        format!(
            "[[client]]\nclient_id = \"{id}\"\nscope = \"invoices:read\"\naudience = [\"https://api.example.com\"]\n{more}\n"
        )
    };
    let workload = |sub: &str, claims: &str| {
        format!("workloads = [{{ issuer = \"{CLUSTER}\", sub = \"{sub}\", claims = {{ {claims} }} }}]")
    };
    TestServer::builder()
        .file("cluster.jwks", &KEYS.jwks().to_string())
        .and_client(&format!("[[trusted_issuer]]\nissuer = \"{CLUSTER}\"\njwks_file = \"cluster.jwks\""))
        .and_client(&of_account("worker", &workload(ACCOUNT, "")))
        .and_client(&of_account("main-job", &workload("repo:acme/app", "ref = \"refs/heads/main\"")))
        .and_client(&of_account("off", &format!("{}\ndisabled = true", workload("off", ""))))
        .and_client(&client("by-secret-too", &format!("scope = \"invoices:read\"\n{}", workload("both", ""))))
}

/// What the cluster makes for a workload.
fn token_of(subject: &str) -> Assertion {
    let made = Assertion::of(subject).claim("iss", CLUSTER).claim("jti", Value::Null);
    made.claim("exp", now() + 3000).claim("kubernetes.io", json!({ "namespace": "billing" }))
}

async fn ask(server: &TestServer, token: &Assertion, more: &[(&str, &str)]) -> Answer {
    server.send(&Request::form(TOKEN, asking(&token.sign(), more))).await
}

#[tokio::test]
async fn w15_a_token_of_a_trusted_issuer_proves_the_client_of_its_rule_as_long_as_it_is_good() {
    let redis = RedisServer::start().await;
    for builder in [builder(), builder().with_redis(&redis)] {
        let server = builder.start().await;
        server.until_store_up().await;
        proves_the_client_of_its_rule(&server).await;
    }
}

async fn proves_the_client_of_its_rule(server: &TestServer) {
    let token = token_of(ACCOUNT);
    for http in [Http::One, Http::Two] {
        for more in [&[][..], &[("client_id", "worker")]] {
            let request = Request::form(TOKEN, asking(&token.sign(), more));
            let issued = http.send(server.public, &request).await.expect_token();
            let seen = server.resource_server("orders-api").introspect(&issued).await.expect_active();
            assert_eq!(seen["client_id"], "worker");
        }
    }
    let main = token_of("repo:acme/app").claim("ref", "refs/heads/main");
    ask(server, &main, &[]).await.expect_token();
    // On the other endpoints too.
    let proven = proof(&token.sign()).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let issued = ask(server, &token, &[]).await.expect_token();
    let form = [("token", issued.as_str()), (&proven[0].0, &proven[0].1), (&proven[1].0, &proven[1].1)];
    server.send(&Request::form(INTROSPECT, crate::harness::request::form(&form))).await.expect_active();
    // Whoever has a secret may have a workload beside it.
    ask(server, &token_of("both"), &[]).await.expect_token();
    server.client("by-secret-too").request_token("").await.expect_token();
    let by_workload = server.metric("jeton_tokens_issued_total", &["auth_method=\"workload_identity\""]).await;
    assert_eq!(by_workload, 7.0);
}

/// What a pod in Kubernetes gets by the volume that docs/security.md shows: "aud" is an array there.
#[tokio::test]
async fn the_documented_volume_brings_a_token_that_is_taken() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md")).unwrap();
    let yaml = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let volume: Value = serde_saphyr::from_str(yaml).unwrap();
    let source = &volume["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    let (audience, seconds) = (source["audience"].as_str().unwrap(), source["expirationSeconds"].as_u64().unwrap());
    assert!(seconds >= 600, "Kubernetes gives none that ends sooner");
    let server = builder().set("issuer", audience).start().await;
    let made = |seconds: u64| token_of(ACCOUNT).claim("aud", json!([audience])).claim("exp", now() + seconds);
    ask(&server, &made(seconds), &[]).await.expect_token();
    ask(&server, &made(seconds + 3600), &[]).await.expect_error(401, "invalid_client");
}

#[tokio::test]
async fn w15_anything_else_proves_nobody() {
    let server = builder().start().await;
    let good = || token_of(ACCOUNT);
    let wrong = [
        ("another sub", token_of("system:serviceaccount:billing:work")),
        ("a longer sub", token_of("system:serviceaccount:billing:worker2")),
        ("no sub", good().claim("sub", Value::Null)),
        ("a claim that is missing", token_of("repo:acme/app")),
        ("a claim of another value", token_of("repo:acme/app").claim("ref", "refs/heads/mainline")),
        ("for the token endpoint", good().claim("aud", format!("{ISSUER}{TOKEN}"))),
        ("for others too", good().claim("aud", json!([ISSUER, "https://api.example.com"]))),
        ("for nobody", good().claim("aud", Value::Null)),
        ("without an end", good().claim("exp", Value::Null)),
        ("over", good().claim("exp", now() - 60)),
        ("good for too long", good().claim("exp", now() + 7200)),
        ("not good yet", good().claim("nbf", now() + 600)),
        ("of another kind", good().header("typ", "at+jwt")),
        ("of another key", good().signed_as("ES256")),
        ("alg none", Assertion { signed_as: Some("none"), ..good().header("alg", "none") }),
        ("the public key as a secret", good().header("alg", "HS256").signed_as("HS256")),
        ("with a key of its own", good().header("jwk", json!({ "kty": "OKP" }))),
        ("of a key that nobody has", good().header("kid", "unknown")),
        ("of an issuer that nobody trusts", good().claim("iss", format!("{CLUSTER}/"))),
        ("of a client that is disabled", token_of("off")),
        ("the issuer as a client", Assertion::of(CLUSTER)),
    ];
    for (case, token) in wrong {
        let answer = ask(&server, &token, &[]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{case}");
    }
    for other in ["billing", "main-job", "nobody"] {
        ask(&server, &good(), &[("client_id", other)]).await.expect_error(400, "invalid_request");
        // Who has no token of the issuer's learns nothing of its rules.
        let forged = good().signed_as("ES256");
        ask(&server, &forged, &[("client_id", other)]).await.expect_error(401, "invalid_client");
    }
}

/// The keys of an issuer are followed as a client's are.
#[tokio::test]
async fn w15_keys_that_an_issuer_takes_back_prove_nobody_any_more() {
    let server = builder().start().await;
    ask(&server, &token_of(ACCOUNT), &[]).await.expect_token();
    let mut keys = KEYS.jwks();
    keys["keys"].as_array_mut().unwrap().retain(|key| key["kty"] != "OKP");
    server.write("cluster.jwks", &keys.to_string());
    until("an end", async || (ask(&server, &token_of(ACCOUNT), &[]).await.status == 401).then_some(())).await;
    server.write("cluster.jwks", &KEYS.jwks().to_string());
    until("a new beginning", async || (ask(&server, &token_of(ACCOUNT), &[]).await.status == 200).then_some(())).await;
}

/// As a SPIFFE trust domain makes them: the bundle's keys are for JWT-SVIDs, and the header may say JOSE.
#[tokio::test]
async fn w15_a_jwt_svid_proves_a_client_by_its_trust_domains_bundle() {
    let mut bundle = KEYS.jwks();
    for key in bundle["keys"].as_array_mut().unwrap() {
        key["use"] = json!("jwt-svid");
    }
    bundle["spiffe_sequence"] = json!(7);
    let id = "spiffe://example.org/ns/billing/worker";
    let workload = format!("workloads = [{{ issuer = \"https://spire.example.org\", sub = \"{id}\" }}]");
    let server = TestServer::builder()
        .file("bundle.json", &bundle.to_string())
        .and_client("[[trusted_issuer]]\nissuer = \"https://spire.example.org\"\njwks_file = \"bundle.json\"")
        .and_client(&format!(
            "[[client]]\nclient_id = \"worker\"\nscope = \"invoices:read\"\naudience = [\"https://api.example.com\"]\n{workload}\n"
        ))
        .start()
        .await;
    let svid = token_of(id).claim("iss", "https://spire.example.org").header("typ", "JOSE");
    ask(&server, &svid, &[]).await.expect_token();
}
