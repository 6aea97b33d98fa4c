//! Releases that differ in what they write share one Redis: each reads what earlier ones wrote, and claims nothing of what it cannot read.

use serde_json::Value;

use crate::harness::clients::{self, client};
use crate::harness::{RedisServer, TestServer};

/// What version 1 wrote. Each later version adds a file.
const VERSIONS: &[&str] = &[include_str!("../golden/version-1.toml")];

fn text<'a>(table: &'a toml::Table, name: &str) -> &'a str {
    table[name].as_str().unwrap()
}

fn bytes(table: &toml::Table, name: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text(table, name).as_bytes()).unwrap()
}

/// A server with the keys of a golden file, and a Redis that holds its records and its grant.
async fn with_golden(golden: &toml::Table, change: impl Fn(Vec<u8>) -> Vec<u8>) -> (RedisServer, TestServer) {
    let redis = RedisServer::start().await;
    let mut connection = redis.connect();
    let grant = golden["grant"].as_table().unwrap();
    redis::cmd("SET")
        .arg(text(grant, "key"))
        .arg(bytes(grant, "stored"))
        .arg("EX")
        .arg(600)
        .exec(&mut connection)
        .unwrap();
    for record in records(golden) {
        let (key, field, stored) = (text(record, "key"), bytes(record, "field"), change(bytes(record, "stored")));
        redis::cmd("HSET").arg(key).arg(field).arg(stored).exec(&mut connection).unwrap();
    }
    let key = &golden["key"].as_array().unwrap()[0];
    let keys =
        toml::Table::from_iter([("last_id".to_owned(), key["id"].clone()), ("key".to_owned(), golden["key"].clone())]);
    let builder = TestServer::builder().with_redis(&redis).set("keys.file", "golden.keys");
    let builder = builder.file("golden.keys", &keys.to_string()).with_clients(&format!(
        "{}\n{}",
        client("billing", "scope = \"invoices:read\""),
        client("orders-api", &format!("introspection = [\"{}\"]\ngrant_types = []", clients::API)),
    ));
    let server = builder.start().await;
    server.until_store_up().await;
    (redis, server)
}

fn records(golden: &toml::Table) -> impl Iterator<Item = &toml::Table> {
    golden["record"].as_array().unwrap().iter().map(|record| record.as_table().unwrap())
}

/// Tokens of every version are what they were, by a process that has never seen their grant, and can be revoked.
#[tokio::test]
async fn what_earlier_versions_wrote_is_read() {
    for golden in VERSIONS {
        let golden: toml::Table = golden.parse().unwrap();
        let (redis, server) = with_golden(&golden, |stored| stored).await;
        for record in records(&golden) {
            let token = text(record, "token");
            let told = server.resource_server("orders-api").introspect(token).await.expect_active();
            let expected: Value = serde_json::from_str(text(record, "introspection")).unwrap();
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(told.get(name), Some(value), "{name} of {}", text(record, "key"));
            }
            server.client("billing").revoke(token).await.expect_revoked();
            server.resource_server("orders-api").introspect(token).await.expect_inactive();
            let left: bool = redis::cmd("EXISTS").arg(text(record, "key")).query(&mut redis.connect()).unwrap();
            assert!(!left, "a revoked record is still there");
        }
        assert_eq!(server.metric("jeton_store_records_refused_total", &[]).await, 0.0);
    }
}

/// Of a record that a later version wrote nothing is claimed, and nothing is deleted: after a roll-back it is still there.
#[tokio::test]
async fn what_a_later_version_wrote_is_left_alone() {
    let golden: toml::Table = VERSIONS[0].parse().unwrap();
    for version in [0, 2, 3, 0x7F, 0xFF] {
        let (redis, server) = with_golden(&golden, |stored| [&[version], &stored[1..]].concat()).await;
        for record in records(&golden) {
            let token = text(record, "token");
            server.resource_server("orders-api").introspect(token).await.expect_error(503, "temporarily_unavailable");
            server.client("billing").revoke(token).await.expect_error(503, "temporarily_unavailable");
            let stored: Vec<u8> = redis::cmd("HGET")
                .arg(text(record, "key"))
                .arg(bytes(record, "field"))
                .query(&mut redis.connect())
                .unwrap();
            assert_eq!(stored[0], version);
            assert_eq!(stored[1..], bytes(record, "stored")[1..]);
        }
        let refused = server.metric("jeton_store_records_refused_total", &["reason=\"version\""]).await;
        assert!(refused >= 6.0, "counted {refused} times");
        // Its own tokens are served meanwhile.
        let token = server.client("billing").request_token("invoices:read").await.expect_token();
        server.client("billing").introspect(&token).await.expect_active();
    }
}

/// The same of a grant: whose token it is cannot be told.
#[tokio::test]
async fn a_grant_of_a_later_version_is_left_alone() {
    let golden: toml::Table = VERSIONS[0].parse().unwrap();
    let (redis, server) = with_golden(&golden, |stored| stored).await;
    let grant = golden["grant"].as_table().unwrap();
    let later = [&[2], &bytes(grant, "stored")[1..]].concat();
    redis::cmd("SET").arg(text(grant, "key")).arg(&later).arg("EX").arg(600).exec(&mut redis.connect()).unwrap();
    for record in records(&golden) {
        let token = text(record, "token");
        server.resource_server("orders-api").introspect(token).await.expect_error(503, "temporarily_unavailable");
        server.client("billing").revoke(token).await.expect_error(503, "temporarily_unavailable");
    }
    let kept: Vec<u8> = redis::cmd("GET").arg(text(grant, "key")).query(&mut redis.connect()).unwrap();
    assert_eq!(kept, later);
    let ours = |key: &&Vec<u8>| key.starts_with(b"jeton:p:") || key.starts_with(b"jeton:g:");
    assert_eq!(redis.keys().iter().filter(ours).count(), 4, "records or the grant are gone");
}
