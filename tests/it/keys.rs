//! The service's own keys: made, rotated under two nodes that read the file at different times, removed.

use data_encoding::BASE64URL_NOPAD;

use crate::harness::cli::jeton;
use crate::harness::config::generate_keys;
use crate::harness::{RedisServer, TestServer, until};

/// The id of the key that made a token.
fn key_of(token: &str) -> u8 {
    BASE64URL_NOPAD.decode(&token.as_bytes()[3..]).unwrap()[0]
}

async fn mint(node: &TestServer) -> String {
    node.client("billing").request_token("invoices:read").await.expect_token()
}

/// Each node knows what each node made.
async fn expect_known_everywhere(nodes: &[TestServer]) {
    for maker in nodes {
        let token = mint(maker).await;
        for reader in nodes {
            reader.resource_server("orders-api").introspect(&token).await.expect_active();
        }
    }
}

async fn until_keys_are_read(node: &TestServer, reloads_before: usize) {
    until("the new keys", async || {
        let reloads = node.events("reloaded").iter().filter(|line| line.to_string().contains("keys")).count();
        (reloads > reloads_before).then_some(())
    })
    .await;
}

/// Two nodes that read the new file seconds apart never call each other's tokens forged.
#[tokio::test]
async fn two_nodes_rotate_at_different_times() {
    let redis = RedisServer::start().await;
    let file = tempfile::TempDir::with_prefix("jeton-keys-").unwrap();
    let file = file.path().join("jeton.keys");
    generate_keys(&file);
    let nodes = [(); 2].map(|()| TestServer::builder().with_redis(&redis).set("keys.file", "own.keys"));
    let [one, two] = nodes.map(|node| node.file("own.keys", &std::fs::read_to_string(&file).unwrap()));
    let nodes = [one.start().await, two.start().await];
    for node in &nodes {
        node.until_store_up().await;
    }
    let old = mint(&nodes[0]).await;
    expect_known_everywhere(&nodes).await;

    jeton(&["keys", "rotate", file.to_str().unwrap(), "--active-in", "10s"]).expect(0);
    let rotated = std::fs::read_to_string(&file).unwrap();
    nodes[0].write("own.keys", &rotated);
    until_keys_are_read(&nodes[0], 0).await;
    // One knows the new key and the other does not: nobody makes with it.
    expect_known_everywhere(&nodes).await;
    nodes[1].write("own.keys", &rotated);
    until_keys_are_read(&nodes[1], 0).await;
    expect_known_everywhere(&nodes).await;
    assert_eq!(key_of(&mint(&nodes[0]).await), key_of(&old), "the new key was used before its time");

    for node in &nodes {
        until("a token of the new key", async || (key_of(&mint(node).await) != key_of(&old)).then_some(())).await;
        expect_known_everywhere(&nodes).await;
        node.until_event("key_activated", |_| true).await;
        node.resource_server("orders-api").introspect(&old).await.expect_active();
    }

    // A key that is removed ends its tokens at once.
    jeton(&["keys", "remove", file.to_str().unwrap(), &key_of(&old).to_string()]).expect(0);
    for node in &nodes {
        node.write("own.keys", &std::fs::read_to_string(&file).unwrap());
        let reader = node.resource_server("orders-api");
        until("the end of a removed key", async || {
            (reader.introspect(&old).await.json()["active"] == false).then_some(())
        })
        .await;
    }
    expect_known_everywhere(&nodes).await;
}

#[tokio::test]
async fn a_bad_key_file_keeps_the_last_good_keys() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    let token = mint(&server).await;
    for bad in ["no keys at all", ""] {
        let failures = server.events("reload_failed").len();
        server.write("jeton.keys", bad);
        until("a failed reload", async || (server.events("reload_failed").len() > failures).then_some(())).await;
        server.resource_server("orders-api").introspect(&token).await.expect_active();
        mint(&server).await;
    }
    until("a failed reload", async || {
        (server.metric("jeton_reload_last_successful", &["subject=\"keys\""]).await < 0.5).then_some(())
    })
    .await;
}

/// Tokens made with keys of another service are refused with no question to the store.
#[tokio::test]
async fn other_keys_are_forgeries() {
    let redis = RedisServer::start().await;
    let ours = TestServer::builder().with_redis(&redis).start().await;
    let theirs = TestServer::builder().with_redis(&redis).start().await;
    ours.until_store_up().await;
    theirs.until_store_up().await;
    let token = mint(&theirs).await;
    ours.resource_server("orders-api").introspect(&token).await.expect_inactive();
    assert_eq!(ours.introspect_as_admin(&token).await.expect(200).json()["reason"], "forged");
    theirs.resource_server("orders-api").introspect(&token).await.expect_active();
}

#[tokio::test]
async fn an_embedded_store_keeps_its_tokens_through_a_rotation() {
    let builder = TestServer::builder();
    let file = builder.folder().join("own.keys");
    generate_keys(&file);
    let server = builder.set("keys.file", "own.keys").start().await;
    let old = mint(&server).await;
    jeton(&["keys", "rotate", file.to_str().unwrap(), "--active-in", "0s"]).expect(0);
    until("a token of the new key", async || (key_of(&mint(&server).await) != key_of(&old)).then_some(())).await;
    server.resource_server("orders-api").introspect(&old).await.expect_active();
    let keys = server.metrics().await;
    assert!(keys.contains("jeton_key_info{"), "{keys}");
}
