//! What opens Redis changes while the service runs: its password, its certificate.

use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};

use crate::harness::load::Load;
use crate::harness::{RedisServer, TestServer, until};

/// All connections of the service to Redis are gone and made again.
async fn reconnects(redis: &RedisServer, server: &TestServer) {
    let before: u64 = connections_made(redis);
    redis.run::<()>("CLIENT KILL TYPE normal SKIPME yes");
    let since = Instant::now();
    until("new connections", async || (connections_made(redis) >= before + 2).then_some(())).await;
    server.until_store_up().await;
    until("a token", async || {
        (server.client("billing").request_token("invoices:read").await.status == 200).then_some(())
    })
    .await;
    // A second is promised; a machine that does much else beside may be slower.
    assert!(since.elapsed() < Duration::from_secs(5), "back only after {:?}", since.elapsed());
}

/// `HELLO`s so far: one for each connection, or two where the first was refused.
fn connections_made(redis: &RedisServer) -> u64 {
    redis.calls_of("hello")
}

/// The password changes under load, with the old and the new one named: nobody is told anything but 503, and that for a moment.
#[tokio::test]
async fn a_password_changes_under_load() {
    let redis = RedisServer::start().await;
    redis.run::<()>("ACL SETUSER jeton on >the-old-password ~* &* +@all");
    let server = TestServer::builder()
        .with_redis(&redis)
        .set("store.username", "jeton")
        .set("store.password_file", "redis-password")
        .set("store.password_previous_file", "redis-password-previous")
        .file("redis-password", "the-new-password\n")
        .file("redis-password-previous", "the-old-password\n")
        .with_usual_deadlines()
        .start()
        .await;
    server.until_store_up().await;
    server.until_event("warning", |line| line.to_string().contains("store.password_previous")).await;
    let load = Load::on(&server, 4);
    load.until_answered(100).await;

    redis.run::<()>("ACL SETUSER jeton resetpass >the-new-password");
    reconnects(&redis, &server).await;
    load.until_answered(100).await;
    // And further: the file is read again, the one before it is the previous one.
    server.write("redis-password-previous", "the-new-password\n");
    server.write("redis-password", "a-newer-password\n");
    until("the files to be read", async || (server.events("reloaded").len() >= 2).then_some(())).await;
    reconnects(&redis, &server).await;
    redis.run::<()>("ACL SETUSER jeton resetpass >a-newer-password");
    reconnects(&redis, &server).await;
    load.until_answered(100).await;

    load.stop_and_audit(&server).await;
    assert!(server.events("store_lost").is_empty(), "one of the two always opened");
    let lines = server.lines().join("\n");
    assert!(!["the-old-password", "the-new-password", "a-newer-password"].iter().any(|secret| lines.contains(secret)));
}

/// Another authority signs for Redis: what is open stays open, what is opened next believes the new one.
#[tokio::test]
async fn the_certificate_of_redis_changes() {
    let make = || generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (old, new): (CertifiedKey<KeyPair>, CertifiedKey<KeyPair>) = (make(), make());
    let redis = RedisServer::start_with_tls(&old.cert.pem(), &old.signing_key.serialize_pem()).await;
    let server = TestServer::builder()
        .with_store(&redis.tls_url())
        .set("store.tls.ca_file", "redis-ca.crt")
        .file("redis-ca.crt", &old.cert.pem())
        .start()
        .await;
    server.until_store_up().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();
    let before = connections_made(&redis);

    server.write("redis-ca.crt", &new.cert.pem());
    until("the new authority to be read", async || (!server.events("reloaded").is_empty()).then_some(())).await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    assert_eq!(connections_made(&redis), before, "a connection was dropped for nothing");

    redis.use_certificate(&new.cert.pem(), &new.signing_key.serialize_pem());
    reconnects(&redis, &server).await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    assert!(server.events("store_lost").is_empty());
}
