//! What is logged: changes of state, and never a secret or a token.

use rustix::process::Signal;

use crate::harness::clients::{client_with_secret, secret_of};
use crate::harness::config::ADMIN_TOKEN;
use crate::harness::request::{INTROSPECT, REVOKE, TOKEN, form};
use crate::harness::server::field;
use crate::harness::signer::{Assertion, SIGNER, asking, possession};
use crate::harness::{RedisServer, Request, TestServer, until};

const SECRET: &str = "SECRETCANARY-0123456789-abcdefghijklmnopqrstuvwxyz";
const WRONG: &str = "WRONGCANARY-0123456789-abcdefghijklmnopqrstuvwxyz";
const ASSERTION: &str = "ASSERTIONCANARY.eyJhbGciOiJub25lIn0.e30";
const FORGED: &str = "jt_FORGEDCANARYaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The closed set.
const EVENTS: [&str; 14] = [
    "started",
    "ready",
    "store_lost",
    "store_back",
    "reloaded",
    "reload_failed",
    "key_activated",
    "actor_restarted",
    "limit_reached",
    "warning",
    "drain_started",
    "stopped",
    "request",
    "authentication_failed",
];

/// Secrets in every place of a request where one could stand, right and wrong.
async fn send_canaries(server: &TestServer, token: &str) {
    let grant = "grant_type=client_credentials";
    let post = form(&[("client_id", "canary"), ("client_secret", SECRET)]);
    let requests = [
        Request::form(TOKEN, format!("{grant}&{post}")),
        Request::form(TOKEN, grant).basic("canary", SECRET),
        Request::form(TOKEN, grant).basic("canary", WRONG),
        Request::form(TOKEN, grant).basic(WRONG, SECRET),
        Request::form(TOKEN, grant).basic_raw(SECRET),
        Request::form(TOKEN, grant).bearer(FORGED),
        Request::form(TOKEN, grant).header("authorization", WRONG),
        Request::form(TOKEN, format!("{grant}&client_assertion={ASSERTION}")),
        Request::form(TOKEN, asking(ASSERTION, &[])),
        Request::form(TOKEN, asking(&Assertion::of(SIGNER).claim("jti", ASSERTION).sign(), &[])),
        Request::form(TOKEN, grant).basic("canary", SECRET).header("dpop", ASSERTION),
        Request::form(TOKEN, grant)
            .basic("canary", SECRET)
            .header("dpop", possession("EdDSA").claim("jti", ASSERTION).claim("nonce", WRONG).sign()),
        Request::form(TOKEN, format!("{grant}&scope={WRONG}")).basic("canary", SECRET),
        Request::form(TOKEN, format!("{post}&{post}")),
        Request::form(TOKEN, format!("{post}&%zz")),
        Request::form(&format!("{TOKEN}?client_secret={SECRET}"), grant),
        Request::form(&format!("{INTROSPECT}?token={token}"), ""),
        Request::form(INTROSPECT, format!("token={token}")).basic("canary", SECRET),
        Request::form(INTROSPECT, format!("token={FORGED}")).basic("canary", SECRET),
        Request::form(INTROSPECT, format!("token={token}")).bearer(token),
        Request::form(REVOKE, format!("token={FORGED}")).basic("canary", SECRET),
        Request::get(&format!("/{SECRET}")),
        Request::get("/health/alive").header("cookie", SECRET).header("x-request-id", "harmless"),
        Request::new("POST", TOKEN)
            .header("content-type", "application/json")
            .body(format!("{{\"client_secret\":\"{SECRET}\"}}")),
    ];
    for request in &requests {
        server.send(request).await;
        crate::harness::Http::Two.send(server.public, request).await;
    }
    server.introspect_as_admin(token).await;
    server.send_admin(&Request::form("/admin/oauth2/introspect", format!("token={token}")).bearer(WRONG)).await;
}

fn expect_no_secret(text: &str, token: &str, place: &str) {
    let lower = text.to_ascii_lowercase();
    for word in ["secretcanary", "wrongcanary", "assertioncanary", "forgedcanary"] {
        assert!(
            !lower.contains(word),
            "{place} holds {word}: {}",
            lower.lines().find(|line| line.contains(word)).unwrap()
        );
    }
    let basic = data_encoding::BASE64.encode(format!("canary:{SECRET}").as_bytes());
    for word in [token, &token[3..], &basic, &basic[..20], ADMIN_TOKEN, &secret_of("billing"), "the-store-password"] {
        assert!(!text.contains(word), "{place} holds a secret");
    }
}

#[tokio::test]
async fn no_secret_is_ever_logged_or_counted() {
    let redis = RedisServer::start_with_user("jeton", "the-store-password").await;
    let mut server = TestServer::builder()
        .with_redis(&redis)
        .and_client(&client_with_secret("canary", SECRET, "scope = \"a\"\nintrospection = [\"*\"]"))
        .set("log.level", "trace")
        .set("log.requests", "all")
        .start()
        .await;
    server.until_store_up().await;
    let token = server.client("canary").with_secret(SECRET).request_token("a").await.expect_token();
    for _ in 0..5 {
        send_canaries(&server, &token).await;
    }
    expect_no_secret(&server.metrics().await, &token, "/metrics");
    server.signal(Signal::HUP);
    drop(redis);
    server.until_store_down().await;
    send_canaries(&server, &token).await;
    server.signal(Signal::TERM);
    server.signal(Signal::TERM);
    server.until_exit().await;
    let lines = server.lines();
    assert!(lines.len() > 100, "hardly anything was logged at trace level");
    expect_no_secret(&lines.join("\n"), &token, "the log");
}

#[tokio::test]
async fn every_line_has_an_event_of_a_closed_set() {
    let mut server = TestServer::builder().set("limits.drain_delay_ms", 0).set("log.requests", "all").start().await;
    server.client("billing").request_token("").await.expect_token();
    server.client("nobody").request_token("").await.expect(401);
    server.write("clients.toml", "[[client]\n");
    server.until_event("reload_failed", |_| true).await;
    server.signal(Signal::TERM);
    server.until_exit().await;
    for line in server.lines().iter().filter(|line| !line.is_empty()) {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let event =
            field(&parsed, "event").and_then(|event| event.as_str()).unwrap_or_else(|| panic!("no event: {line}"));
        assert!(EVENTS.contains(&event), "an event nobody knows: {line}");
    }
    for event in ["started", "ready", "drain_started", "stopped"] {
        assert_eq!(server.events(event).len(), 1, "{event}");
    }
}

#[tokio::test]
async fn a_start_says_what_was_started() {
    let redis = RedisServer::start_with_user("jeton", "the-store-password").await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    let started = server.until_event("started", |_| true).await.to_string();
    for word in [&server.public.to_string(), &server.admin.to_string(), &redis.port().to_string()] {
        assert!(started.contains(word.as_str()), "{word} is missing: {started}");
    }
    assert!(!started.contains("the-store-password"));
}

/// A request leaves a line only where it is asked for, with what helps and nothing that hurts.
#[tokio::test]
async fn requests_are_logged_when_asked_for() {
    for (wanted, issued, failed) in [("none", 0, 0), ("failures", 0, 1), ("all", 1, 1)] {
        let server = TestServer::builder().set("log.requests", wanted).start().await;
        let billing = server.client("billing");
        let request = billing.token_request("invoices:read").header("x-request-id", "request-17");
        let token = server.send(&request).await.expect_token();
        billing.request_token("unregistered").await.expect(400);
        server.write("clients.toml", "");
        server.until_event("reloaded", |_| true).await;

        let lines = server.events("request");
        let of =
            |outcome: &str| lines.iter().filter(|line| field(line, "outcome").is_some_and(|o| o == outcome)).count();
        assert_eq!(of("issued"), issued, "{wanted}: {lines:#?}");
        assert_eq!(of("invalid_scope"), failed, "{wanted}: {lines:#?}");
        if wanted == "all" {
            let line = lines.iter().find(|line| field(line, "outcome").unwrap() == "issued").unwrap();
            let jti = server.introspect_as_admin(&token).await.expect(200).json()["jti"].clone();
            for (name, value) in [("client_id", "billing"), ("endpoint", "token"), ("scope", "invoices:read")] {
                assert_eq!(field(line, name).map(|v| v.as_str().unwrap()), Some(value), "{line}");
            }
            assert!(line.to_string().contains("request-17") && line.to_string().contains("127.0.0.1"), "{line}");
            assert!(jti.is_null() || field(line, "jti") == Some(&jti), "{line}");
        }
    }
}

/// So that an operator finds out why a client gets 401, whose answer does not tell.
#[tokio::test]
async fn failed_authentications_are_told_to_the_operator() {
    let mut server = TestServer::builder().set("limits.drain_delay_ms", 0).start().await;
    let billing = server.client("billing").with_secret("wrong");
    for _ in 0..3 {
        billing.request_token("").await.expect(401);
    }
    server.client("nobody-we-know").request_token("").await.expect(401);
    server.client("disabled").request_token("").await.expect(401);
    // The line comes each minute, and for the last minute at the end.
    server.signal(Signal::TERM);
    server.until_exit().await;
    let lines = server.events("authentication_failed");
    let find = |client: &str, reason: &str| {
        let found = lines.iter().find(|line| {
            let text = line.to_string();
            text.contains(client) && text.contains(reason)
        });
        found.unwrap_or_else(|| panic!("{client} {reason}: {lines:#?}"))
    };
    assert_eq!(field(find("billing", "wrong_secret"), "count").and_then(serde_json::Value::as_u64), Some(3));
    find("unknown", "unknown_client");
    find("disabled", "client_disabled");
    assert!(!lines.iter().any(|line| line.to_string().contains("nobody-we-know")), "an unregistered id in the log");
}

#[tokio::test]
async fn an_idle_service_logs_nothing() {
    let server = TestServer::builder().start().await;
    for _ in 0..200 {
        server.client("billing").request_token("").await.expect_token();
    }
    until("the answers", async || (server.metric("jeton_tokens_issued_total", &[]).await >= 200.0).then_some(())).await;
    let beside =
        ["started", "ready", "store_back", "warning"].map(|event| server.events(event).len()).iter().sum::<usize>();
    assert_eq!(server.lines().len(), beside, "lines for requests: {:#?}", server.lines());
}
