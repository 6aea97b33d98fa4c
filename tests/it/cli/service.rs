//! `jeton token` and `jeton health`, against a running service.

use crate::harness::cli::{Call, Finished};
use crate::harness::clients::secret_of;
use crate::harness::config::ADMIN_TOKEN;
use crate::harness::{RedisServer, TestServer};

/// Runs the blocking child beside this test's own tasks.
async fn run(call: Call) -> Finished {
    tokio::task::spawn_blocking(|| call.run()).await.unwrap()
}

fn token_call(server: &TestServer, command: &str, client: &str, more: &[&str]) -> Call {
    let url = format!("http://{}", server.public);
    let mut arguments = vec!["token", command, "--url", &url, "--client-id", client, "--client-secret-file", "-"];
    arguments.extend(more);
    Call::new(&arguments).stdin(format!("{}\n", secret_of(client)).as_bytes()).within(server.folder())
}

#[tokio::test]
async fn a_token_is_got_introspected_and_revoked() {
    let server = TestServer::builder().start().await;
    let got = run(token_call(&server, "get", "billing", &["--scope", "invoices:read"])).await.expect(0);
    let token = got
        .stdout
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .find(|word| word.starts_with("jt_"));
    let token = token.expect("a token on standard output").to_owned();
    server.resource_server("orders-api").introspect(&token).await.expect_active();

    std::fs::write(server.folder().join("token"), format!("{token}\n")).unwrap();
    let seen = run(token_call(&server, "introspect", "orders-api", &["token"])).await.expect(0).stdout;
    assert!(seen.contains("\"active\":true") || seen.contains("\"active\": true"), "{seen}");
    run(token_call(&server, "revoke", "billing", &["token"])).await.expect(0);
    server.resource_server("orders-api").introspect(&token).await.expect_inactive();
    let seen = run(token_call(&server, "introspect", "orders-api", &["token"])).await.stdout;
    assert!(seen.contains("\"active\":false") || seen.contains("\"active\": false"), "{seen}");
}

#[tokio::test]
async fn an_operator_sees_why_a_token_is_inactive() {
    let server = TestServer::builder().start().await;
    let token = server.client("billing").request_token("").await.expect_token();
    server.client("billing").revoke(&token).await.expect_revoked();
    std::fs::write(server.folder().join("admin"), ADMIN_TOKEN).unwrap();
    let url = format!("http://{}", server.admin);
    let arguments = ["token", "introspect", "--admin", "--url", &url, "--token-file", "admin"];
    let call = Call::new(&arguments).stdin(format!("{token}\n").as_bytes()).within(server.folder());
    let seen = run(call).await.stdout;
    assert!(seen.contains("not_found"), "{seen}");
}

#[tokio::test]
async fn what_fails_is_1_and_said() {
    let server = TestServer::builder().start().await;
    let refused = run(token_call(&server, "get", "billing", &["--scope", "unregistered"])).await.expect(1);
    assert!(refused.stderr.contains("invalid_scope"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(&secret_of("billing")));
    let url = format!("http://{}", server.public);
    let unknown = Call::new(&["token", "get", "--url", &url, "--client-id", "nobody", "--client-secret-file", "-"]);
    let unknown = run(unknown.stdin(b"wrong")).await.expect(1);
    assert!(unknown.stderr.contains("invalid_client"), "{}", unknown.stderr);
    let nowhere =
        ["token", "get", "--url", "http://127.0.0.1:1", "--client-id", "billing", "--client-secret-file", "-"];
    run(Call::new(&nowhere).stdin(b"x")).await.expect(1);
}

#[tokio::test]
async fn health_is_0_when_ready_and_1_when_not() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start_silent().await;
    server.until_store_up().await;
    let health = |server: &TestServer, more: &[&str]| {
        let config = server.folder().join("jeton.toml");
        let arguments = [&["health", "--config", config.to_str().unwrap()], more].concat();
        Call::new(&arguments).within(server.folder())
    };
    run(health(&server, &[])).await.expect(0);
    run(health(&server, &["--alive"])).await.expect(0);

    let lonely = TestServer::builder().with_redis(&RedisServer::absent()).start_silent().await;
    run(health(&lonely, &[])).await.expect(1);
    run(health(&lonely, &["--alive"])).await.expect(0);

    let folder = server.folder().to_owned();
    let config = std::fs::read_to_string(folder.join("jeton.toml")).unwrap();
    drop(server);
    let gone = tempfile::TempDir::new().unwrap();
    std::fs::write(gone.path().join("jeton.toml"), config).unwrap();
    run(Call::new(&["health", "--alive"]).within(gone.path())).await.expect(1);
}
