//! What changes while the service runs: clients, secrets, the log's level. A bad file never disturbs it.

use rustix::process::Signal;

use crate::harness::clients::{client, fixture, secret_of};
use crate::harness::{TestServer, until};

/// Waits until this client gets a token.
async fn until_served(server: &TestServer, id: &str) -> String {
    let client = server.client(id);
    until(&format!("a token for {id}"), async || {
        let answer = client.request_token("").await;
        (answer.status == 200).then(|| answer.expect_token())
    })
    .await
}

/// Waits until this client is refused.
async fn until_refused(server: &TestServer, id: &str) {
    let client = server.client(id);
    // 429 where it has asked too often since.
    let refused = async || [401, 429].contains(&client.request_token("").await.status).then_some(());
    until(&format!("the end of {id}"), refused).await;
}

async fn last_reload_of_clients(server: &TestServer) -> f64 {
    server.metric("jeton_reload_last_successful", &["subject=\"clients\""]).await
}

#[tokio::test]
async fn a_client_comes_and_goes_with_the_file() {
    let server = TestServer::builder().start().await;
    server.client("newcomer").request_token("").await.expect_error(401, "invalid_client");
    server.write("clients.toml", &format!("{}\n{}", fixture(), client("newcomer", "")));
    let token = until_served(&server, "newcomer").await;
    let event = server.until_event("reloaded", |line| line.to_string().contains("newcomer")).await;
    assert!(!event.to_string().contains("$sha256$"), "a hash in the log: {event}");
    until("a good reload", async || (last_reload_of_clients(&server).await > 0.5).then_some(())).await;

    server.write("clients.toml", &fixture());
    until_refused(&server, "newcomer").await;
    server.resource_server("auditor").introspect(&token).await.expect_inactive();
    let reason = server.introspect_as_admin(&token).await.expect(200).json();
    assert_eq!((&reason["active"], &reason["reason"]), (&false.into(), &"client_gone".into()));

    // Whoever comes back finds the tokens that have not ended.
    server.write("clients.toml", &format!("{}\n{}", fixture(), client("newcomer", "")));
    until_served(&server, "newcomer").await;
    server.resource_server("auditor").introspect(&token).await.expect_active();
}

#[tokio::test]
async fn a_bad_file_keeps_the_last_good_clients_and_says_why() {
    let server = TestServer::builder().start().await;
    server.client("billing").request_token("").await.expect_token();
    let bad = format!("{}\n[[client]]\nclient_id = \"broken\"\nclient_sercet_hash = [\"x\"]\n", fixture());
    let line = bad.lines().position(|line| line.starts_with("client_sercet_hash")).unwrap() + 1;
    server.write("clients.toml", &bad);

    let place = format!("clients.toml:{line}:1");
    let event = server.until_event("reload_failed", |event| event.to_string().contains(&place)).await.to_string();
    assert!(event.contains("client_secret_hash"), "no hint: {event}");
    until("a failed reload", async || (last_reload_of_clients(&server).await < 0.5).then_some(())).await;
    server.client("billing").request_token("").await.expect_token();
    server.client("broken").request_token("").await.expect_error(401, "invalid_client");

    for worse in ["[[client]\n", "", "\u{0}"] {
        let failures = server.events("reload_failed").len();
        server.write("clients.toml", worse);
        if worse.is_empty() {
            // No client at all is a file like another.
            until_refused(&server, "billing").await;
        } else {
            until("another failure", async || (server.events("reload_failed").len() > failures).then_some(())).await;
        }
    }
    server.write("clients.toml", &fixture());
    until_served(&server, "billing").await;
    until("a good reload", async || (last_reload_of_clients(&server).await > 0.5).then_some(())).await;
}

#[tokio::test]
async fn a_hangup_reads_the_files_again() {
    let mut server = TestServer::builder().start().await;
    std::fs::write(server.folder().join("clients.toml"), format!("{}\n{}", fixture(), client("newcomer", ""))).unwrap();
    server.signal(Signal::HUP);
    until_served(&server, "newcomer").await;
    server.client("billing").request_token("").await.expect_token();
}

/// As a mounted secret changes: a link to another folder takes the place of the first.
#[tokio::test]
async fn files_are_followed_through_links() {
    let builder = TestServer::builder();
    let folder = builder.folder().to_owned();
    for (name, more) in [("one", String::new()), ("two", client("newcomer", ""))] {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("clients.toml"), format!("{}\n{more}", fixture())).unwrap();
    }
    std::os::unix::fs::symlink("one", folder.join("current")).unwrap();
    let server = builder.set("clients.file", "current/clients.toml").start().await;
    server.client("newcomer").request_token("").await.expect_error(401, "invalid_client");
    std::os::unix::fs::symlink("two", folder.join("next")).unwrap();
    std::fs::rename(folder.join("next"), folder.join("current")).unwrap();
    until_served(&server, "newcomer").await;
}

/// In a folder one bad file keeps its own last good clients and disturbs no other.
#[tokio::test]
async fn a_folder_of_clients_fails_file_by_file() {
    let builder = TestServer::builder();
    let folder = builder.folder().join("clients.d");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("a.toml", &client("alice", ""));
    write("b.toml", &client("bob", ""));
    write("ignored.txt", "no clients at all");
    let server = builder.set("clients.file", "clients.d").start().await;
    server.client("alice").request_token("").await.expect_token();
    server.client("bob").request_token("").await.expect_token();

    write("a.toml", "[[client]\n");
    write("b.toml", &(client("bob", "") + &client("bert", "")));
    write("c.toml", &client("carol", ""));
    until_served(&server, "bert").await;
    until_served(&server, "carol").await;
    server.until_event("reload_failed", |line| line.to_string().contains("a.toml:1")).await;
    server.client("alice").request_token("").await.expect_token();

    std::fs::remove_file(folder.join("a.toml")).unwrap();
    until_refused(&server, "alice").await;
    server.client("bob").request_token("").await.expect_token();
}

#[tokio::test]
async fn a_secret_file_is_followed() {
    let text = "[[client]]\nclient_id = \"filed\"\nclient_secret_file = \"filed-secret\"\n";
    let server = TestServer::builder().with_clients(text).file("filed-secret", &secret_of("filed")).start().await;
    server.client("filed").request_token("").await.expect_token();
    // One line end at its end is dropped.
    server.write("filed-secret", &(secret_of("another") + "\n"));
    let another = server.client("filed").with_secret(&secret_of("another"));
    until("the new secret", async || (another.request_token("").await.status == 200).then_some(())).await;
    until_refused(&server, "filed").await;
}

#[tokio::test]
async fn a_disabled_clients_tokens_rest() {
    let server = TestServer::builder().with_clients(&client("worker", "")).start().await;
    let token = until_served(&server, "worker").await;
    server
        .write("clients.toml", &(client("worker", "disabled = true") + &client("auditor", "introspection = [\"*\"]")));
    until_refused(&server, "worker").await;
    server.resource_server("auditor").introspect(&token).await.expect_inactive();
    assert_eq!(server.introspect_as_admin(&token).await.expect(200).json()["reason"], "client_disabled");
    server.write("clients.toml", &(client("worker", "") + &client("auditor", "introspection = [\"*\"]")));
    until_served(&server, "worker").await;
    server.resource_server("auditor").introspect(&token).await.expect_active();
}

/// All of a client's tokens end at one stroke, and while the moment lies ahead it gets none that would be dead at birth.
#[tokio::test]
async fn not_before_ends_what_was_issued() {
    let server = TestServer::builder().with_clients(&client("worker", "")).start().await;
    let token = until_served(&server, "worker").await;
    let moment = std::time::SystemTime::now() + std::time::Duration::from_secs(3);
    let stroke = format!("not_before = \"{}\"", humantime::format_rfc3339_seconds(moment));
    server.write("clients.toml", &client("worker", &stroke));

    let worker = server.client("worker");
    let refused = until("a refusal", async || {
        let answer = worker.request_token("").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    refused.expect_error(503, "temporarily_unavailable");
    worker.introspect(&token).await.expect_inactive();
    assert_eq!(server.introspect_as_admin(&token).await.expect(200).json()["reason"], "not_before");
    assert!(server.metric("jeton_token_requests_total", &["outcome=\"not_before\""]).await >= 1.0);

    let fresh = until_served(&server, "worker").await;
    worker.introspect(&fresh).await.expect_active();
    worker.introspect(&token).await.expect_inactive();
}

#[tokio::test]
async fn the_logs_level_is_followed() {
    let mut server = TestServer::builder().set("log.level", "warn").start_silent().await;
    let config = std::fs::read_to_string(server.folder().join("jeton.toml")).unwrap();
    assert!(config.contains("\"warn\""));
    server.write("jeton.toml", &config.replace("\"warn\"", "\"info\""));
    server.signal(Signal::HUP);
    server.until_event("reloaded", |line| line.to_string().contains("log")).await;
}
