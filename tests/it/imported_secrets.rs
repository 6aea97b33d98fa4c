//! Clients whose secrets have the hashes of another system: slow once, then like all others.

use crate::harness::clients::client;
use crate::harness::{Http, TestServer, until};

const SECRET: &str = "imported-secret";
const MEMBERS: &str =
    "scope = \"invoices:read invoices:write\"\naudience = [\"https://api.example.com\"]\nintrospection = [\"*\"]";
/// Each of `imported-secret`, as passlib, argon2-cffi and Python's bcrypt wrote it.
const HASHES: [(&str, &str); 4] = [
    ("pbkdf2-sha256", "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8"),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$qCqmt71VvKxgNhALRej9mepPJjYCUNrOSH3FH5roxVWwhaoYZ9yINqtFkYDFtC.mTz1aoVcQO7zEJH357PX9EA",
    ),
    ("argon2id", "$argon2id$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc"),
    ("bcrypt", "$2a$04$ry7komA3NnjUbfZ5ath7dO7Z3b36GQy0oieLldQwdeC58oMAkiDCq"),
];

/// One client for each form, with no secret beside.
fn clients() -> String {
    let client = |(id, hash): &(&str, &str)| {
        format!("[[client]]\nclient_id = \"{id}\"\nclient_secret_hash = \"{hash}\"\n{MEMBERS}\n")
    };
    HASHES.iter().map(client).collect()
}

/// Secrets that a thread began to verify.
async fn verified(server: &TestServer) -> f64 {
    server.metric("jeton_mailbox_wait_seconds_count", &["actor=\"verifier\""]).await
}

/// A token for a client, whose first try may be 503 on a busy machine.
async fn until_token(server: &TestServer, http: Http, id: &str) -> String {
    let mut client = server.client(id).with_secret(SECRET);
    client.http = http;
    until(&format!("a token for {id}"), async || {
        let answer = client.request_token("").await;
        (answer.status != 503).then(|| answer.expect_token())
    })
    .await
}

#[tokio::test]
async fn each_form_proves_its_client_everywhere_and_is_computed_once() {
    let server = TestServer::builder().and_client(&clients()).start().await;
    for (id, _) in HASHES {
        let token = until_token(&server, Http::One, id).await;
        let computed = verified(&server).await;
        // In the body too, on HTTP/2 too, at every endpoint, and what is wrong is known to be.
        until_token(&server, Http::Two, id).await;
        let client = server.client(id).with_secret(SECRET);
        let by_post = format!("grant_type=client_credentials&client_id={id}&client_secret={SECRET}");
        server.send(&crate::harness::Request::form("/oauth2/token", by_post)).await.expect_token();
        client.introspect(&token).await.expect_active();
        client.revoke(&token).await.expect(200);
        client.introspect(&token).await.expect_inactive();
        let wrong = server.client(id).with_secret("imported-secreT").request_token("").await;
        wrong.expect_error(401, "invalid_client");
        assert_eq!(verified(&server).await, computed, "{id}");
    }
    let success = server.metric("jeton_client_authentications_total", &["outcome=\"success\""]).await;
    assert!(success >= 24.0, "{success}");
}

#[tokio::test]
async fn what_is_known_outlives_a_reload_and_not_its_hash() {
    let server = TestServer::builder().and_client(&clients()).start().await;
    until_token(&server, Http::One, "bcrypt").await;
    let computed = verified(&server).await;
    let file = |clients: &str| format!("{}\n{clients}", crate::harness::clients::fixture());
    server.write("clients.toml", &file(&format!("{}\n{}", clients(), client("newcomer", ""))));
    server.until_event("reloaded", |line| line.to_string().contains("newcomer")).await;
    until_token(&server, Http::One, "bcrypt").await;
    assert_eq!(verified(&server).await, computed);
    // The same client with the hash of another secret: 72 times `a`.
    let other = clients().replace(HASHES[3].1, "$2b$04$tmTaPab/PbS15z.kzGNKyONFyZIlxjAKyg/h/1L0bFKaZqWP7YJES");
    server.write("clients.toml", &file(&other));
    until("the end of the old secret", async || {
        let answer = server.client("bcrypt").with_secret(SECRET).request_token("").await;
        (answer.status == 401).then_some(())
    })
    .await;
    assert!(verified(&server).await > computed);
}

#[tokio::test]
async fn a22_who_guesses_reaches_no_thread_after_twenty_and_locks_nobody_out_who_is_known() {
    let server = TestServer::builder().and_client(&clients()).start().await;
    until_token(&server, Http::One, "argon2id").await;
    for id in ["argon2id", "bcrypt"] {
        let mut answered = 0;
        until("the limit", async || {
            let guess = format!("guess-{answered}");
            answered += 1;
            let answer = server.client(id).with_secret(&guess).request_token("").await;
            assert!([401, 429, 503].contains(&answer.status), "{}", answer.status);
            (answer.status == 429).then(|| assert!(answer.header("retry-after").is_some()))
        })
        .await;
    }
    let computed = verified(&server).await;
    assert!((2.0..=21.0).contains(&computed), "{computed}");
    until_token(&server, Http::One, "argon2id").await;
    // Nobody can know whether this is right without computing.
    server.client("bcrypt").with_secret(SECRET).request_token("").await.expect_error(429, "temporarily_unavailable");
    until_token(&server, Http::One, "pbkdf2-sha256").await;
    server.client("billing").request_token("").await.expect_token();
    assert!(server.metric("jeton_rate_limited_total", &["limit=\"wrong_proofs\""]).await >= 3.0);
}

#[tokio::test]
async fn config_check_refuses_what_would_stop_a_thread() {
    let costly = HASHES[0].1.replace("$1000$", "$9000000$");
    let registration = format!("[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{costly}\"\n");
    let server = TestServer::builder().start().await;
    server.write("clients.toml", &format!("{}\n{registration}", crate::harness::clients::fixture()));
    let failed = server.until_event("reload_failed", |line| line.to_string().contains("too slow to verify")).await;
    assert!(!failed.to_string().contains("pbkdf2-sha256$9000000"), "a hash in the log: {failed}");
    server.client("billing").request_token("").await.expect_token();
}
