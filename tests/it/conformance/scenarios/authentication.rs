//! A07, A17, A18 and A22: what an answer must not tell, and secrets that come and go.

use crate::conformance::bench::Bench;
use crate::harness::clients::{client, hash_of, secret_of};
use crate::harness::request::{INTROSPECT, REVOKE, TOKEN};
use crate::harness::{Answer, Request, until};

const WRONG: &str = "canary-0123456789-0123456789-0123456789-0123";

async fn refused(bench: &Bench, target: &str, id: &str, secret: &str) -> Answer {
    let request = Request::form(target, "grant_type=client_credentials&token=canary").basic(id, secret);
    bench.send(&request).await.expect_error(401, "invalid_client").without_date()
}

pub(crate) async fn an_unknown_client_looks_like_a_wrong_secret(bench: &Bench) {
    for target in [TOKEN, INTROSPECT, REVOKE] {
        let wrong = refused(bench, target, "billing", WRONG).await;
        let unknown = refused(bench, target, "canary", WRONG).await;
        assert_eq!(wrong.headers, unknown.headers, "{target}");
        assert_eq!(wrong.body, unknown.body, "{target}");
    }
}

pub(crate) async fn a_disabled_client_and_an_expired_secret_look_like_a_wrong_secret(bench: &Bench) {
    let wrong = refused(bench, TOKEN, "billing", WRONG).await;
    for (id, secret) in [("disabled", "disabled"), ("ending", "ending, before")] {
        let refused = refused(bench, TOKEN, id, &secret_of(secret)).await;
        assert_eq!(wrong.headers, refused.headers, "{id}");
        assert_eq!(wrong.body, refused.body, "{id}");
    }
}

/// The old secret ends on every node, within two seconds of the file's change, and nothing else does.
pub(crate) async fn a_retired_secret(bench: &Bench) {
    let both = |old: &str| {
        let hashes = [old, "a secret that stays"].map(|secret| hash_of(&secret_of(secret)));
        format!("[[client]]\nclient_id = \"worker\"\nclient_secret_hash = {hashes:?}\n{}", client("other", ""))
    };
    let nodes = [
        bench.sibling().with_clients(&both("a secret that goes")).start().await,
        bench.sibling().with_clients(&both("a secret that goes")).start().await,
    ];
    for node in &nodes {
        node.until_store_up().await;
        let worker = node.client("worker");
        worker.clone().with_secret(&secret_of("a secret that goes")).request_token("").await.expect_token();
        worker.clone().with_secret(&secret_of("a secret that stays")).request_token("").await.expect_token();

        node.write("clients.toml", &both("a secret that comes"));
        let retired = worker.clone().with_secret(&secret_of("a secret that goes"));
        until("the end of a retired secret", async || (retired.request_token("").await.status == 401).then_some(()))
            .await;
        retired.request_token("").await.expect_error(401, "invalid_client");
        worker.clone().with_secret(&secret_of("a secret that comes")).request_token("").await.expect_token();
        worker.clone().with_secret(&secret_of("a secret that stays")).request_token("").await.expect_token();
    }
}

/// Counted for the process: each request comes on a connection of its own, and workers take turns.
pub(crate) async fn too_many_wrong_secrets(bench: &Bench) {
    let server = bench.sibling().start().await;
    server.until_store_up().await;
    let ask = async |target: &str, id: &str, secret: &str| {
        let request = Request::form(target, "grant_type=client_credentials&token=canary").basic(id, secret);
        bench.http.send(server.public, &request).await
    };
    for id in ["billing", "canary"] {
        for _ in 0..20 {
            ask(TOKEN, id, WRONG).await.expect_error(401, "invalid_client");
        }
    }
    for target in [TOKEN, INTROSPECT, REVOKE] {
        let known = ask(target, "billing", WRONG).await.expect_error(429, "temporarily_unavailable");
        let unknown = ask(target, "canary", WRONG).await.expect_error(429, "temporarily_unavailable");
        assert_eq!(known.body, unknown.body, "{target}");
        assert!(known.header("www-authenticate").is_none(), "{target}");
    }
    // For that pair alone, and never for who is right.
    ask(TOKEN, "reporting", WRONG).await.expect_error(401, "invalid_client");
    ask(TOKEN, "billing", &secret_of("billing")).await.expect_token();
    let metrics = server.metrics().await;
    for series in [
        r#"jeton_rate_limited_total{limit="wrong_proofs",mode="enforce"} 6"#,
        r#"jeton_client_authentications_total{auth_method="client_secret_basic",outcome="rate_limited"} 6"#,
        r#"jeton_token_requests_total{outcome="rate_limited"} 2"#,
    ] {
        assert!(metrics.contains(series), "{series}");
    }
}
