//! What Prometheus sees: every series of a closed set from the start, and never one that a request chose.

use std::collections::BTreeSet;

use crate::harness::clients::{client, fixture};
use crate::harness::http1::Wire;
use crate::harness::request::{METADATA, REVOKE, TOKEN};
use crate::harness::{Request, TestServer, until};

const MEMBERS: &str = "scope = \"invoices:read\"\naudience = [\"https://api.example.com\"]";

/// Every name, with a label of its series.
const NAMES: &[(&str, &[&str])] = &[
    ("jeton_http_requests_total", &["endpoint=\"token\"", "code=\"200\""]),
    ("jeton_http_requests_total", &["endpoint=\"introspect\"", "code=\"503\""]),
    ("jeton_request_duration_seconds_bucket", &["endpoint=\"revoke\"", "code_class=\"5xx\"", "le=\"0.25\""]),
    ("jeton_request_duration_seconds_bucket", &["endpoint=\"token\"", "code_class=\"2xx\"", "le=\"1\""]),
    ("jeton_request_duration_seconds_bucket", &["endpoint=\"token\"", "code_class=\"4xx\"", "le=\"0.00001\""]),
    ("jeton_request_duration_seconds_bucket", &["endpoint=\"token\"", "code_class=\"4xx\"", "le=\"10\""]),
    ("jeton_token_requests_total", &["outcome=\"issued\""]),
    ("jeton_token_requests_total", &["outcome=\"invalid_client\""]),
    ("jeton_token_requests_total", &["outcome=\"store_unavailable\""]),
    ("jeton_token_requests_total", &["outcome=\"store_full\""]),
    ("jeton_token_requests_total", &["outcome=\"deadline\""]),
    ("jeton_token_requests_total", &["outcome=\"overloaded\""]),
    ("jeton_token_requests_total", &["outcome=\"not_before\""]),
    ("jeton_tokens_issued_total", &["auth_method=\"client_secret_basic\""]),
    ("jeton_tokens_issued_total", &["auth_method=\"client_secret_post\""]),
    ("jeton_introspections_total", &["outcome=\"active\""]),
    ("jeton_introspections_total", &["outcome=\"malformed\""]),
    ("jeton_introspections_total", &["outcome=\"forged\""]),
    ("jeton_introspections_total", &["outcome=\"expired\""]),
    ("jeton_introspections_total", &["outcome=\"not_found\""]),
    ("jeton_introspections_total", &["outcome=\"not_for_caller\""]),
    ("jeton_introspections_total", &["outcome=\"client_gone\""]),
    ("jeton_introspections_total", &["outcome=\"client_disabled\""]),
    ("jeton_introspections_total", &["outcome=\"not_before\""]),
    ("jeton_introspections_total", &["outcome=\"seal\""]),
    ("jeton_revocations_total", &["outcome=\"revoked\""]),
    ("jeton_revocations_total", &["outcome=\"not_found\""]),
    ("jeton_revocations_total", &["outcome=\"not_owner\""]),
    ("jeton_client_authentications_total", &["auth_method=\"client_secret_basic\"", "outcome=\"success\""]),
    ("jeton_client_authentications_total", &["outcome=\"unknown_client\""]),
    ("jeton_client_authentications_total", &["outcome=\"wrong_secret\""]),
    ("jeton_client_authentications_total", &["outcome=\"client_disabled\""]),
    ("jeton_client_authentications_total", &["outcome=\"method_not_registered\""]),
    ("jeton_client_authentications_total", &["outcome=\"malformed\""]),
    ("jeton_client_authentications_total", &["outcome=\"missing\""]),
    ("jeton_client_authentications_total", &["outcome=\"rate_limited\""]),
    ("jeton_rate_limited_total", &["limit=\"wrong_proofs\"", "mode=\"enforce\""]),
    ("jeton_store_operation_duration_seconds_count", &["operation="]),
    ("jeton_store_batch_size_count", &["operation="]),
    ("jeton_store_errors_total", &["operation=", "kind=\"oom\""]),
    ("jeton_store_records_refused_total", &["reason=\"seal\""]),
    ("jeton_store_records_refused_total", &["reason=\"version\""]),
    ("jeton_store_records_refused_total", &["reason=\"grant_missing\""]),
    ("jeton_store_records_refused_total", &["reason=\"grant_seal\""]),
    ("jeton_store_up", &[]),
    ("jeton_store_connections", &["state="]),
    ("jeton_store_eviction_policy_safe", &[]),
    ("jeton_store_tokens", &[]),
    ("jeton_store_tokens_max", &[]),
    ("jeton_mailbox_depth", &["actor=\"minter\""]),
    ("jeton_mailbox_wait_seconds_count", &["actor=\"inspector\""]),
    ("jeton_mailbox_refusals_total", &["actor=\"revoker\""]),
    ("jeton_actor_restarts_total", &["actor=\"authenticator\""]),
    ("jeton_connections", &["listener=\"public\""]),
    ("jeton_connections", &["listener=\"admin\""]),
    ("jeton_connections_max", &["listener=\"public\""]),
    ("jeton_connections_refused_total", &["listener=\"public\"", "reason=\"total\""]),
    ("jeton_connections_refused_total", &["listener=\"public\"", "reason=\"source\""]),
    ("jeton_connections_refused_total", &["listener=\"public\"", "reason=\"open_files\""]),
    ("jeton_tls_handshakes_total", &["listener=\"public\"", "outcome=\"resumed\""]),
    ("jeton_worker_busy_seconds_total", &["worker=\"0\""]),
    ("jeton_worker_busy_seconds_total", &["worker=\"1\""]),
    ("jeton_worker_connections", &["worker=\"1\""]),
    ("jeton_log_lines_dropped_total", &[]),
    ("jeton_reload_last_successful", &["subject=\"clients\""]),
    ("jeton_reload_last_successful", &["subject=\"keys\""]),
    ("jeton_reload_last_success_timestamp_seconds", &["subject=\"secrets\""]),
    ("jeton_key_info", &["key_id=", "state="]),
    ("jeton_build_info", &["version=", "revision="]),
    ("process_cpu_seconds_total", &[]),
    ("process_open_fds", &[]),
    ("process_resident_memory_bytes", &[]),
];

fn series<'a>(metrics: &'a str, name: &str, labels: &[&str]) -> Vec<&'a str> {
    let lines = metrics.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    lines.filter(|line| labels.iter().all(|label| line.contains(label))).collect()
}

#[tokio::test]
async fn every_series_is_there_from_the_start() {
    let server = TestServer::builder().start().await;
    // What the clock keeps comes with its first tick.
    let metrics = until("the keys", async || {
        let metrics = server.metrics().await;
        metrics.contains("jeton_key_info").then_some(metrics)
    })
    .await;
    let missing: Vec<_> = NAMES.iter().filter(|(name, labels)| series(&metrics, name, labels).is_empty()).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
    for name in ["jeton_tokens_issued_total", "jeton_introspections_total", "jeton_store_errors_total"] {
        assert!(series(&metrics, name, &[]).iter().all(|line| line.ends_with(" 0")), "{name} is not 0");
    }
    let described: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(described.iter().all(|name| name.starts_with("jeton_") || name.starts_with("process_")), "{described:?}");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = TestServer::builder().start().await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    billing.request_token("unregistered").await.expect(400);
    server.client("nobody").request_token("").await.expect(401);
    billing.clone().with_secret("wrong").request_token("").await.expect(401);
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    server.resource_server("elsewhere-api").introspect(&token).await.expect_inactive();
    server.client("reporting").revoke(&token).await.expect(400);
    billing.revoke(&token).await.expect_revoked();
    billing.revoke(&token).await.expect_revoked();

    for (name, labels, value) in [
        ("jeton_http_requests_total", vec!["endpoint=\"token\"", "code=\"200\""], 1.0),
        ("jeton_http_requests_total", vec!["endpoint=\"token\"", "code=\"401\""], 2.0),
        ("jeton_request_duration_seconds_count", vec!["endpoint=\"token\"", "code_class=\"4xx\""], 3.0),
        ("jeton_token_requests_total", vec!["outcome=\"issued\""], 1.0),
        ("jeton_token_requests_total", vec!["outcome=\"invalid_scope\""], 1.0),
        ("jeton_token_requests_total", vec!["outcome=\"invalid_client\""], 2.0),
        ("jeton_tokens_issued_total", vec![], 1.0),
        ("jeton_introspections_total", vec!["outcome=\"active\""], 1.0),
        ("jeton_introspections_total", vec!["outcome=\"not_for_caller\""], 1.0),
        ("jeton_revocations_total", vec!["outcome=\"revoked\""], 1.0),
        ("jeton_revocations_total", vec!["outcome=\"not_found\""], 1.0),
        ("jeton_revocations_total", vec!["outcome=\"not_owner\""], 1.0),
        ("jeton_client_authentications_total", vec!["outcome=\"unknown_client\""], 1.0),
        ("jeton_client_authentications_total", vec!["outcome=\"wrong_secret\""], 1.0),
        ("jeton_store_tokens_max", vec![], 10_000_000.0),
        ("jeton_store_up", vec![], 1.0),
    ] {
        assert_eq!(server.metric(name, &labels).await, value, "{name}{labels:?}");
    }
    until("no token", async || (server.metric("jeton_store_tokens", &[]).await < 1.0).then_some(())).await;
}

#[tokio::test]
async fn connections_are_counted_by_listener_and_worker() {
    let server = TestServer::builder().start().await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut wire = Wire::connect(server.public).await;
        wire.ask(&Request::get("/health/alive")).await.expect(200);
        open.push(wire);
    }
    assert_eq!(server.metric("jeton_connections", &["listener=\"public\""]).await, 10.0);
    for worker in ["worker=\"0\"", "worker=\"1\""] {
        until("an even share", async || {
            (server.metric("jeton_worker_connections", &[worker]).await - 5.0).abs().lt(&1.5).then_some(())
        })
        .await;
    }
    drop(open);
    until("closed connections", async || {
        (server.metric("jeton_connections", &["listener=\"public\""]).await < 1.0).then_some(())
    })
    .await;
}

/// However many clients, paths, methods and tokens are made up: not one more series, and no word of theirs.
#[tokio::test]
async fn requests_make_no_series() {
    let server = TestServer::builder().start().await;
    let names = |metrics: &str| -> BTreeSet<String> {
        metrics
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    // One of each kind first: a histogram may show its buckets with its first value.
    let mut wire = Wire::connect(server.public).await;
    let requests = |i: u32| {
        [
            Request::form(TOKEN, "grant_type=client_credentials").basic(&format!("canary-{i}"), "canary"),
            Request::form(REVOKE, format!("token=canary-{i}"))
                .basic("billing", &crate::harness::clients::secret_of("billing")),
            Request::get(&format!("/canary-{i}")),
            Request::new(&format!("CANARY{i}"), METADATA),
            Request::get(METADATA).header("user-agent", format!("canary-{i}")),
        ]
    };
    for request in requests(0) {
        wire.ask(&request).await;
    }
    let before = names(&server.metrics().await);
    for i in 1..500 {
        for request in requests(i) {
            wire.ask(&request).await;
        }
    }
    let metrics = server.metrics().await;
    let more: Vec<String> = names(&metrics).difference(&before).cloned().collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(!metrics.to_ascii_lowercase().contains("canary"));
    assert!(metrics.len() < 256 * 1024, "{} bytes", metrics.len());
}

/// Metrics and health are not on the public listener, and the endpoints are not on the admin's.
#[tokio::test]
async fn the_listeners_keep_apart() {
    let server = TestServer::builder().start().await;
    server.get("/metrics").await.expect(404);
    for target in [TOKEN, METADATA] {
        server.send_admin(&Request::get(target)).await.expect(404);
    }
    for path in ["/health/alive", "/health/ready"] {
        for answer in [server.get(path).await, server.send_admin(&Request::get(path)).await] {
            let body = answer.expect(200).json();
            assert!(body["status"].is_string() && body["store"] == "up", "{body}");
        }
    }
    let exposition = server.send_admin(&Request::get("/metrics")).await.expect(200);
    assert!(exposition.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
}

/// Two of all who are registered, the first by their ids; what is sent chooses nobody, and a reload neither.
#[tokio::test]
async fn single_clients_are_told_of_as_far_as_that_was_asked_for() {
    let server = TestServer::builder().set("metrics.per_client", 2).and_client(&client("aaa", MEMBERS)).start().await;
    let tokens = "jeton_client_token_requests_total";
    let before = server.metrics().await;
    assert_eq!(series(&before, "jeton_client_introspections_total", &["client_id=\"auditor\""]).len(), 6);
    let token = server.client("aaa").request_token("").await.expect_token();
    server.client("aaa").with_secret("wrong").request_token("").await.expect(401);
    server.client("aaa").request_token("unregistered").await.expect(400);
    server.client("billing").request_token("").await.expect_token();
    for stranger in ["nobody", "other", "bbb", "a\"b"] {
        server.client(stranger).request_token("").await.expect(401);
    }
    server.resource_server("auditor").introspect(&token).await.expect_active();
    server.resource_server("auditor").introspect("jt_nonsense").await.expect_inactive();
    server.introspect_as_admin(&token).await.expect(200);

    server.write("clients.toml", &format!("{}\n{}", fixture(), client("aab", MEMBERS)));
    server.until_event("reloaded", |line| line.to_string().contains("aab")).await;
    server.client("aab").request_token("").await.expect_token();

    for (name, client_id, outcome, value) in [
        (tokens, "aaa", "issued", 1.0),
        (tokens, "aaa", "unproven", 1.0),
        (tokens, "aaa", "rejected", 1.0),
        (tokens, "other", "issued", 2.0),
        (tokens, "other", "unproven", 4.0),
        ("jeton_client_introspections_total", "auditor", "active", 1.0),
        ("jeton_client_introspections_total", "auditor", "inactive", 1.0),
        ("jeton_client_introspections_total", "other", "active", 0.0),
    ] {
        let labels = [format!("client_id=\"{client_id}\""), format!("outcome=\"{outcome}\"")];
        assert_eq!(server.metric(name, &labels.each_ref().map(String::as_str)).await, value, "{name} {labels:?}");
    }
    let of_clients = |text: &str| series(text, tokens, &[]).len();
    assert_eq!((of_clients(&before), of_clients(&server.metrics().await)), (15, 15));
    let silent = TestServer::builder().start().await;
    silent.client("billing").request_token("").await.expect_token();
    assert!(!silent.metrics().await.contains("client_id="));
}
