//! TLS on the admin listener, and the commands that speak it.

use crate::harness::cli::{Call, Finished};
use crate::harness::clients::secret_of;
use crate::harness::config::ADMIN_TOKEN;
use crate::harness::tls::{AUTHORITY, Authority};
use crate::harness::{Request, TestServer, tls};

/// Runs the blocking child beside this test's own tasks.
async fn run(call: Call) -> Finished {
    tokio::task::spawn_blocking(|| call.run()).await.unwrap()
}

#[tokio::test]
async fn the_admin_listener_speaks_tls() {
    let server = TestServer::builder().with_admin_tls().start().await;
    let token = server.client("billing").request_token("").await.expect_token();
    // The harness speaks TLS there, since the server says so.
    let answer = server.introspect_as_admin(&token).await.expect(200);
    assert_eq!(answer.json()["active"], true);
    let plain = Box::new(tls::connect_plain(server.admin).await.unwrap());
    let mut wire = crate::harness::http1::Wire::over(plain, "as.example");
    wire.ask(&Request::get("/metrics")).await.expect_error(400, "invalid_request");
    for listener in ["public", "admin"] {
        let label = format!("listener=\"{listener}\"");
        assert!(server.metric("jeton_tls_handshakes_total", &[&label]).await > 0.0, "{listener}");
    }
}

#[tokio::test]
async fn health_is_asked_over_tls() {
    let server = TestServer::builder().with_admin_tls().on_fixed_ports().start().await;
    // The configuration says where, and the certificate's names are those that others know.
    let by_configuration = Call::new(&["health", "--config", "jeton.toml"]).within(server.folder());
    run(by_configuration).await.expect(0);

    std::fs::write(server.folder().join("ca.crt"), AUTHORITY.pem()).unwrap();
    std::fs::write(server.folder().join("stranger.crt"), Authority::new().pem()).unwrap();
    let url = format!("https://{}", server.admin);
    let by_url = |ca: &str| run(Call::new(&["health", "--url", &url, "--ca-file", ca]).within(server.folder()));
    by_url("ca.crt").await.expect(0);
    let refused = by_url("stranger.crt").await.expect(1);
    assert!(refused.stderr.contains("no TLS with"), "{}", refused.stderr);
}

#[tokio::test]
async fn tokens_are_got_over_tls() {
    let server = TestServer::builder().with_admin_tls().start().await;
    std::fs::write(server.folder().join("ca.crt"), AUTHORITY.pem()).unwrap();
    let url = format!("https://localhost:{}", server.public.port());
    let arguments =
        ["token", "get", "--url", &url, "--client-id", "billing", "--client-secret-file", "-", "--only-token"];
    let call = |more: &[&str]| {
        let all: Vec<&str> = arguments.iter().chain(more).copied().collect();
        Call::new(&all).stdin(secret_of("billing").as_bytes()).within(server.folder())
    };
    let token = run(call(&["--ca-file", "ca.crt"])).await.expect(0).stdout;
    server.resource_server("orders-api").introspect(token.trim()).await.expect_active();
    let refused = run(call(&[])).await.expect(1);
    assert!(refused.stderr.contains("--ca-file"), "{}", refused.stderr);

    std::fs::write(server.folder().join("admin"), ADMIN_TOKEN).unwrap();
    let url = format!("https://{}", server.admin);
    let asked = ["token", "introspect", "--admin", "--url", &url, "--ca-file", "ca.crt", "--token-file", "admin"];
    let seen = run(Call::new(&asked).stdin(token.as_bytes()).within(server.folder())).await.expect(0).stdout;
    assert!(seen.contains("\"active\":true") || seen.contains("\"active\": true"), "{seen}");
}
