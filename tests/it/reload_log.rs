//! What is logged follows the configuration while the service runs, and a mended file says so.

use rustix::process::Signal;

use crate::harness::TestServer;
use crate::harness::clients::fixture;

#[tokio::test]
async fn requests_are_logged_from_the_moment_they_are_asked_for() {
    let mut server = TestServer::builder().set("log.requests", "none").start().await;
    let billing = server.client("billing");
    billing.request_token("").await.expect_token();
    let config = std::fs::read_to_string(server.folder().join("jeton.toml")).unwrap();
    assert!(config.contains("\"none\""), "{config}");
    server.write("jeton.toml", &config.replace("\"none\"", "\"failures\""));
    server.signal(Signal::HUP);
    server.until_event("reloaded", |line| line.to_string().contains("failures")).await;

    billing.request_token("").await.expect_token();
    billing.request_token("no-such-scope").await.expect_error(400, "invalid_scope");
    // What the client was told is what the line says, for want of anything worse.
    let line = server.until_event("request", |_| true).await.to_string();
    assert!(line.contains("invalid_scope") && line.contains("\"reason\""), "{line}");
    assert_eq!(server.events("request").len(), 1);
}

#[tokio::test]
async fn a_file_that_was_mended_says_so() {
    let server = TestServer::builder().start().await;
    server.write("clients.toml", "[[client]\n");
    server.until_event("reload_failed", |line| line.to_string().contains("clients.toml:1:")).await;
    assert_eq!(server.metric("jeton_reload_last_successful", &["subject=\"clients\""]).await, 0.0);
    server.write("clients.toml", &fixture());
    server.until_event("reloaded", |line| line.to_string().contains("0 added, 0 changed, 0 removed")).await;
    for subject in ["clients", "keys", "secrets", "certificates", "log"] {
        let label = format!("subject=\"{subject}\"");
        assert_eq!(server.metric("jeton_reload_last_successful", &[&label]).await, 1.0, "{subject}");
    }
}
