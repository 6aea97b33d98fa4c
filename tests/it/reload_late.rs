//! Files that are named before they are there: a reload fails until they come, and then needs nobody's hand.

use crate::harness::clients::{client, fixture, secret_of};
use crate::harness::{TestServer, until};

#[tokio::test]
async fn a_clients_secret_file_may_come_after_the_client() {
    let server = TestServer::builder().start().await;
    let late = client("late", "").lines().filter(|line| !line.contains("secret")).collect::<Vec<_>>().join("\n");
    server.write("clients.toml", &format!("{}\n{late}\nclient_secret_file = \"late-secret\"\n", fixture()));
    server.until_event("reload_failed", |line| line.to_string().contains("late-secret")).await;
    server.client("billing").request_token("").await.expect_token();

    server.write("late-secret", &secret_of("late"));
    let late = server.client("late");
    until("a token for the late one", async || {
        let answer = late.request_token("").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_admin_tokens_file_may_come_after_its_name() {
    let server = TestServer::builder().start().await;
    let config = std::fs::read_to_string(server.folder().join("jeton.toml")).unwrap();
    let token_file = config.lines().find(|line| line.contains("token_file")).expect("no admin.token_file").to_owned();
    server.write("jeton.toml", &config.replace(&token_file, "token_file = \"late-admin-token\""));
    server.until_event("reload_failed", |line| line.to_string().contains("late-admin-token")).await;
    server.write("late-admin-token", &"0123456789abcdef".repeat(4));
    server.until_event("reloaded", |line| line.to_string().contains("secrets")).await;
}
