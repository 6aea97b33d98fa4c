//! The ways to reach a Redis: TCP, TLS, a unix socket, a user and a password; and one that cannot be trusted to keep tokens.

use crate::harness::config::ServerBuilder;
use crate::harness::{RedisServer, TestServer};

/// A token lives in this store, and ends.
async fn serves(builder: ServerBuilder) -> TestServer {
    let server = builder.start().await;
    server.until_store_up().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    server.client("billing").revoke(&token).await.expect_revoked();
    server.resource_server("orders-api").introspect(&token).await.expect_inactive();
    server.client("billing").request_token("invoices:read").await.expect_token();
    server
}

#[tokio::test]
async fn a_unix_socket() {
    let redis = RedisServer::start().await;
    let url = format!("redis+unix://{}", redis.socket_path().display());
    serves(TestServer::builder().with_store(&url)).await;
    assert!(!redis.keys().is_empty());
}

#[tokio::test]
async fn a_user_and_a_password() {
    let redis = RedisServer::start_with_user("jeton", "the-right-password").await;
    serves(TestServer::builder().with_redis(&redis)).await;

    // What is configured goes over what stands in the URL.
    let wrong = format!("redis://nobody:wrong@127.0.0.1:{}", redis.port());
    let builder = TestServer::builder().with_store(&wrong);
    let builder = builder.set("store.username", "jeton").set("store.password", "the-right-password");
    let server = serves(builder).await;
    assert!(!server.lines().join("\n").contains("the-right-password"));
}

/// The commands that jeton needs, and no others: what the documents tell an operator to allow.
#[tokio::test]
async fn a_user_with_few_rights() {
    let redis = RedisServer::start_with_user("admin", "the-admins-password").await;
    let rights = "ACL SETUSER jeton on >the-right-password ~jeton:* resetchannels -@all +hello +auth +ping +echo +select +client \
                  +info +role +hget +hset +hdel +pexpire +expire +multi +exec +exists +get +set +incrby +xadd +xrange +xtrim +wait";
    redis.run::<()>(rights);
    let url = format!("redis://jeton:the-right-password@127.0.0.1:{}", redis.port());
    serves(TestServer::builder().with_store(&url)).await;
}

#[tokio::test]
async fn another_database_and_prefix() {
    let redis = RedisServer::start().await;
    serves(TestServer::builder().with_store(&format!("{}/3", redis.url())).set("store.key_prefix", "auth:")).await;
    assert!(redis.keys().is_empty(), "keys in the first database");
    let mut connection = redis.connect();
    redis::cmd("SELECT").arg(3).exec(&mut connection).unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("auth:")), "{keys:?}");
}

#[tokio::test]
async fn tls() {
    let folder = tempfile::TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let redis = RedisServer::start_with_tls(&certificate, &made.signing_key.serialize_pem()).await;
    let ca = folder.path().join("redis-ca.crt");
    std::fs::write(&ca, certificate).unwrap();
    serves(TestServer::builder().with_store(&redis.tls_url()).set("store.tls.ca_file", ca.to_str().unwrap())).await;

    // A certificate that nobody vouches for is no Redis of ours.
    let server = TestServer::builder().with_store(&redis.tls_url()).start().await;
    server.until_store_down().await;
    server.client("billing").request_token("").await.expect_error(503, "temporarily_unavailable");
}

/// A Redis that may evict would end live tokens: it is warned of, or not used at all.
#[tokio::test]
async fn one_that_may_evict() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let server = serves(TestServer::builder().with_redis(&redis)).await;
    server.until_event("warning", |line| line.to_string().contains("allkeys-lru")).await;
    assert_eq!(server.metric("jeton_store_eviction_policy_safe", &[]).await, 0.0);

    let strict = TestServer::builder().with_redis(&redis).set("store.require_noeviction", true).start().await;
    strict.until_store_down().await;
    strict.client("billing").request_token("").await.expect_error(503, "temporarily_unavailable");
    assert_eq!(strict.metric("jeton_store_eviction_policy_safe", &[]).await, 0.0);
    redis.run::<()>("CONFIG SET maxmemory-policy noeviction");
    strict.until_store_up().await;
    assert_eq!(strict.metric("jeton_store_eviction_policy_safe", &[]).await, 1.0);
    strict.client("billing").request_token("").await.expect_token();
}

/// Two services share one Redis where their prefixes, or only their keys, differ.
#[tokio::test]
async fn one_redis_for_two_services() {
    let redis = RedisServer::start().await;
    let one = serves(TestServer::builder().with_redis(&redis)).await;
    let other = serves(TestServer::builder().with_redis(&redis)).await;
    let token = one.client("billing").request_token("").await.expect_token();
    other.resource_server("auditor").introspect(&token).await.expect_inactive();
    one.resource_server("auditor").introspect(&token).await.expect_active();
}
