//! Keys that clients and trusted issuers publish at URLs: row W14 over real sockets. What is a matter of time is told beside the code, on a
//! clock that the tests move.

use serde_json::{Value, json};

use crate::harness::config::ServerBuilder;
use crate::harness::publisher::Publisher;
use crate::harness::request::TOKEN;
use crate::harness::signer::{Assertion, KEYS, asking, now};
use crate::harness::tls::{AUTHORITY, Authority};
use crate::harness::{Answer, Request, TestServer, until};

fn builder() -> ServerBuilder {
    TestServer::builder()
        .file("publishers-ca.crt", &AUTHORITY.pem())
        .set("jwks.ca_file", "publishers-ca.crt")
        .set("jwks.allowed_networks", vec!["127.0.0.0/8"])
        // One source is wrong here more often than is borne.
        .set("limits.wrong_proofs_per_minute", 200)
}

async fn publisher() -> Publisher {
    Publisher::start(&AUTHORITY.certify()).await
}

fn publishing(id: &str, url: &str) -> String {
    format!(
        "[[client]]\nclient_id = \"{id}\"\nscope = \"invoices:read\"\naudience = [\"https://api.example.com\"]\n\
         token_endpoint_auth_method = \"private_key_jwt\"\njwks_uri = \"{url}\"\n"
    )
}

/// An issuer with these keys, and the client that its tokens prove: as often as they are shown.
fn issuer(keys: &str) -> String {
    format!(
        "[[trusted_issuer]]\nissuer = \"https://cluster.example\"\n{keys}\n\
         [[client]]\nclient_id = \"worker\"\nscope = \"invoices:read\"\naudience = [\"https://api.example.com\"]\n\
         workloads = [{{ issuer = \"https://cluster.example\", sub = \"worker\" }}]\n"
    )
}

fn of_workload() -> Assertion {
    let made = Assertion::of("worker").claim("iss", "https://cluster.example").header("kid", "ed25519");
    made.claim("jti", Value::Null).claim("exp", now() + 3000)
}

async fn ask(server: &TestServer, assertion: &Assertion) -> Answer {
    server.send(&Request::form(TOKEN, asking(&assertion.sign(), &[]))).await
}

fn of(id: &str) -> Assertion {
    Assertion::of(id).header("kid", "ed25519")
}

async fn until_let_in(server: &TestServer, id: &str) {
    until("a token", async || (ask(server, &of(id)).await.status == 200).then_some(())).await;
}

/// The set of the keys of these kinds.
fn only(kids: &[&str]) -> Value {
    let mut set = KEYS.jwks();
    set["keys"].as_array_mut().unwrap().retain(|key| kids.contains(&key["kid"].as_str().unwrap()));
    set
}

#[tokio::test]
async fn w14_who_comes_before_its_keys_waits_for_them_and_a_flood_of_unknown_keys_brings_no_further_fetch() {
    let publisher = publisher().await;
    let url = publisher.url("/jwks");
    let issuer = issuer(&format!("jwks_uri = \"{url}\""));
    let server = builder().and_client(&publishing("a", &url)).and_client(&issuer).start().await;
    publisher.until_asked("/jwks").await;
    // The service is ready and serves others meanwhile.
    let early = of_workload();
    let waits = ask(&server, &early);
    let others = async {
        server.client("billing").request_token("").await.expect_token();
        publisher.publish("/jwks", &only(&["ed25519", "p256"]));
    };
    let (answer, ()) = tokio::join!(waits, others);
    answer.expect_token();
    for _ in 0..50 {
        let unknown = of("a").header("kid", "unknown");
        ask(&server, &unknown).await.expect_error(401, "invalid_client");
        let nameless = of("a").header("kid", Value::Null).header("alg", "RS256");
        ask(&server, &nameless).await.expect_error(401, "invalid_client");
        ask(&server, &of_workload()).await.expect_token();
    }
    until_let_in(&server, "a").await;
    assert_eq!(publisher.asked("/jwks").len(), 1);
    assert_eq!(server.metric("jeton_jwks_fetches_total", &["outcome=\"success\""]).await, 1.0);
    let reloaded = server.until_event("reloaded", |line| line["subject"] == "jwks").await;
    assert_eq!((&reloaded["keys"], &reloaded["place"]), (&json!(2), &json!(url)));
    let head = publisher.asked("/jwks").remove(0).to_ascii_lowercase();
    assert!(!head.contains("authorization") && !head.contains("accept-encoding"), "{head}");
}

/// Nothing of what a server does wrong is a statement about its client, and all of it mends.
#[tokio::test]
async fn w14_what_was_never_fetched_is_503_until_it_is() {
    let publisher = publisher().await;
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" });
    publisher.answer("/redirect", "302 Found\r\nlocation: /good", "");
    publisher.answer("/missing", "404 Not Found", "");
    publisher.answer("/large", "200 OK", &" ".repeat(65_537));
    publisher.answer("/text", "200 OK", "not found");
    publisher.publish("/private", &json!({ "keys": [private] }));
    publisher.publish("/good", &KEYS.jwks());
    // One that never answers.
    let wrong = [
        ("redirect", "status"),
        ("missing", "status"),
        ("large", "too_large"),
        ("text", "malformed"),
        ("private", "malformed"),
        ("silent", "timeout"),
    ];
    let clients = wrong.iter().map(|(id, _)| publishing(id, &publisher.url(&format!("/{id}"))));
    let server = clients.fold(builder(), |builder, client| builder.and_client(&client)).start().await;
    for (id, outcome) in wrong {
        let label = format!("outcome=\"{outcome}\"");
        until(outcome, async || {
            (server.metric("jeton_jwks_fetches_total", &[label.as_str()]).await > 0.0).then_some(())
        })
        .await;
        let answer = ask(&server, &of(id)).await.expect_error(503, "temporarily_unavailable");
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    assert!(publisher.asked("/good").is_empty(), "a redirect was followed");
    assert!(server.metric("jeton_token_requests_total", &["outcome=\"keys_unavailable\""]).await >= 6.0);
    assert_eq!(server.metric("jeton_reload_last_successful", &["subject=\"jwks\""]).await, 0.0);
    let told = server.events("reload_failed").iter().filter(|line| line["subject"] == "jwks").count();
    assert_eq!(told, wrong.len(), "each is told once");
    for (id, _) in wrong {
        publisher.publish(&format!("/{id}"), &KEYS.jwks());
    }
    for (id, _) in wrong {
        until_let_in(&server, id).await;
    }
    assert_eq!(server.metric("jeton_reload_last_successful", &["subject=\"jwks\""]).await, 1.0);
}

#[tokio::test]
async fn w14_no_address_within_the_network_is_asked_by_whatever_name() {
    let publisher = publisher().await;
    publisher.publish("/jwks", &KEYS.jwks());
    let url = format!("https://localhost:{}/jwks", publisher.address.port());
    let server = builder().unset("jwks.allowed_networks").and_client(&publishing("a", &url)).start().await;
    let line = server.until_event("reload_failed", |line| line["subject"] == "jwks").await;
    assert!(line.to_string().contains("its address is not public"), "{line}");
    ask(&server, &of("a")).await.expect_error(503, "temporarily_unavailable");
    assert!(server.metric("jeton_jwks_fetches_total", &["outcome=\"address_refused\""]).await > 0.0);
    assert_eq!(publisher.connections(), 0);
}

/// Who signs certificates is followed as other files are.
#[tokio::test]
async fn w14_a_server_that_cannot_prove_its_name_is_not_believed() {
    let stranger = Authority::new();
    let publisher = Publisher::start(&stranger.certify()).await;
    publisher.publish("/jwks", &KEYS.jwks());
    let server = builder().and_client(&publishing("a", &publisher.url("/jwks"))).start().await;
    until("a refusal", async || {
        (server.metric("jeton_jwks_fetches_total", &["outcome=\"tls\""]).await > 0.0).then_some(())
    })
    .await;
    ask(&server, &of("a")).await.expect_error(503, "temporarily_unavailable");
    assert!(publisher.asked("/jwks").is_empty());
    server.write("publishers-ca.crt", &stranger.pem());
    until_let_in(&server, "a").await;
}

#[tokio::test]
async fn w14_a_reload_keeps_what_was_fetched_and_follows_a_url_that_is_another() {
    let publisher = publisher().await;
    publisher.publish("/a", &KEYS.jwks());
    publisher.publish("/b", &only(&["ed25519"]));
    publisher.publish("/c", &only(&["p256"]));
    let (a, b) = (publishing("a", &publisher.url("/a")), publishing("b", &publisher.url("/b")));
    let server = builder().with_clients(&format!("{a}{b}")).start().await;
    until_let_in(&server, "a").await;
    until_let_in(&server, "b").await;
    let moved = publishing("b", &publisher.url("/c"));
    server.write("clients.toml", &format!("{a}{moved}"));
    publisher.until_asked("/c").await;
    until("another set", async || (ask(&server, &of("b")).await.status == 401).then_some(())).await;
    let by_the_new = Assertion::of("b").header("alg", "ES256").header("kid", "p256");
    ask(&server, &by_the_new).await.expect_token();
    assert_eq!(["/a", "/b", "/c"].map(|path| publisher.asked(path).len()), [1, 1, 1]);
    // Gone, it takes nobody's keys along.
    let url = publisher.url("/c");
    drop(publisher);
    server.write("clients.toml", &format!("{a}{}# touched\n", publishing("b", &url)));
    server.until_event("reloaded", |line| line["subject"] == "clients" && line["changed"] == "").await;
    ask(&server, &of("a")).await.expect_token();
}

#[tokio::test]
async fn w14_w15_an_issuer_publishes_its_keys_to_who_believes_its_authority_and_shows_a_token() {
    let cluster = Authority::new();
    let publisher = Publisher::start(&cluster.certify()).await;
    publisher.publish("/openid/v1/jwks", &KEYS.jwks());
    let issuer = issuer(&format!(
        "jwks_uri = \"{}\"\njwks_ca_file = \"cluster-ca.crt\"\njwks_token_file = \"token\"",
        publisher.url("/openid/v1/jwks")
    ));
    let builder = builder().file("cluster-ca.crt", &cluster.pem()).file("token", "a-token-of-the-cluster\n");
    let server = builder.and_client(&issuer).start().await;
    until("a token", async || (ask(&server, &of_workload()).await.status == 200).then_some(())).await;
    ask(&server, &of_workload().header("kid", "unknown")).await.expect_error(401, "invalid_client");
    let asked = publisher.asked("/openid/v1/jwks");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].contains("authorization: Bearer a-token-of-the-cluster\r\n"), "{}", asked[0]);
    assert!(!server.lines().concat().contains("a-token-of-the-cluster"));
}
