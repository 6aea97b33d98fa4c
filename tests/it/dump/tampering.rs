//! Whoever writes to Redis can end tokens and stop the service, but forges none and raises none.

use super::{grants, pages, records, write_record};
use crate::harness::http1::Wire;
use crate::harness::{RedisServer, TestServer};

async fn on(redis: &RedisServer) -> TestServer {
    let server = TestServer::builder().with_redis(redis).start().await;
    server.until_store_up().await;
    server
}

/// The page and field of the only token in Redis.
fn only_record(redis: &RedisServer) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let page = pages(redis).pop().expect("a page");
    let (field, value) = records(&mut redis.connect(), &page).pop().expect("a record");
    (page, field, value)
}

#[tokio::test]
async fn swapped_and_copied_records_are_refused() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let low = server.client("billing").request_token("invoices:read").await.expect_token();
    let (low_page, low_field, low_value) = only_record(&redis);
    let high = server.client("billing").request_token("invoices:write").await.expect_token();
    let mut connection = redis.connect();
    let (high_page, high_field, high_value) = pages(&redis)
        .into_iter()
        .flat_map(|page| records(&mut redis.connect(), &page).into_iter().map(move |(f, v)| (page.clone(), f, v)))
        .find(|(_, field, _)| *field != low_field)
        .expect("the other record");

    let reader = server.resource_server("orders-api");
    write_record(&mut connection, &low_page, &low_field, &high_value);
    reader.introspect(&low).await.expect_inactive();
    write_record(&mut connection, &high_page, &high_field, &low_value);
    reader.introspect(&high).await.expect_inactive();
    assert_eq!(server.introspect_as_admin(&low).await.expect(200).json()["reason"], "seal");
    assert!(server.metric("jeton_store_records_refused_total", &["reason=\"seal\""]).await >= 3.0);

    // Back at its own place each is what it was.
    write_record(&mut connection, &low_page, &low_field, &low_value);
    write_record(&mut connection, &high_page, &high_field, &high_value);
    assert_eq!(reader.introspect(&low).await.expect_active()["scope"], "invoices:read");
    assert_eq!(reader.introspect(&high).await.expect_active()["scope"], "invoices:write");
}

/// Each bit of a record, its length, and random bytes in its place: never active, never an answer other than no or 503.
#[tokio::test]
async fn altered_records_are_refused() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    let (page, field, value) = only_record(&redis);
    let mut mutations: Vec<Vec<u8>> = (0..value.len() * 8)
        .map(|bit| {
            let mut changed = value.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        })
        .collect();
    mutations.extend((0..value.len()).map(|length| value[..length].to_vec()));
    mutations.extend([b"\0".as_slice(), b"\x20trailing"].map(|more| [&value, more].concat()));
    mutations.extend((0..=255).map(|byte| vec![byte; value.len()]));

    let mut connection = redis.connect();
    let mut wire = Wire::connect(server.public).await;
    for changed in mutations {
        if changed == value {
            continue;
        }
        write_record(&mut connection, &page, &field, &changed);
        let answer = wire.ask(&billing.introspection_request(&token)).await;
        if changed.first() == value.first() {
            answer.expect_inactive();
        } else if answer.status != 200 {
            // An unknown version is a fault of the store: a newer release may have written it.
            answer.expect_error(503, "temporarily_unavailable");
        } else {
            answer.expect_inactive();
        }
    }
    assert!(server.metric("jeton_store_records_refused_total", &["reason=\"version\""]).await >= 1.0);
    write_record(&mut connection, &page, &field, &value);
    wire.ask(&billing.introspection_request(&token)).await.expect_active();
}

/// A record that cannot be read is no token of anybody's: its revocation takes it away.
#[tokio::test]
async fn a_broken_record_can_be_revoked() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    let (page, field, mut value) = only_record(&redis);
    value[20] ^= 1;
    write_record(&mut redis.connect(), &page, &field, &value);
    billing.revoke(&token).await.expect_revoked();
    assert!(records(&mut redis.connect(), &page).is_empty(), "the record is still there");

    // But one of an unknown version may be somebody's: nothing is deleted, and nothing is claimed.
    let token = billing.request_token("invoices:read").await.expect_token();
    let (page, field, mut value) = only_record(&redis);
    value[0] = 0xEE;
    write_record(&mut redis.connect(), &page, &field, &value);
    billing.revoke(&token).await.expect_error(503, "temporarily_unavailable");
    assert_eq!(records(&mut redis.connect(), &page).len(), 1);
}

/// A grant that is missing, altered or another's: a fault of the store, for a node that does not know it from before.
#[tokio::test]
async fn grants_that_are_not_its_own_are_refused() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    let own = grants(&redis).pop().expect("a grant");
    billing.request_token("invoices:write").await.expect_token();
    let other = grants(&redis).into_iter().find(|key| *key != own).expect("another grant");
    let mut connection = redis.connect();
    let mut get = |key: &[u8]| redis::cmd("GET").arg(key).query::<Vec<u8>>(&mut connection).unwrap();
    let (own_value, other_value) = (get(&own), get(&other));
    let mut altered = own_value.clone();
    *altered.last_mut().unwrap() ^= 1;

    let keys = server.folder().join("jeton.keys");
    for (value, reason) in [(None, "grant_missing"), (Some(other_value), "grant_seal"), (Some(altered), "grant_seal")] {
        match &value {
            None => redis::cmd("DEL").arg(&own).exec(&mut redis.connect()).unwrap(),
            Some(value) => {
                redis::cmd("SET").arg(&own).arg(value).arg("EX").arg(600).exec(&mut redis.connect()).unwrap()
            }
        }
        let fresh = TestServer::builder().with_keys(&keys).with_redis(&redis).start().await;
        fresh.until_store_up().await;
        fresh.resource_server("orders-api").introspect(&token).await.expect_error(503, "temporarily_unavailable");
        fresh.client("billing").revoke(&token).await.expect_error(503, "temporarily_unavailable");
        let refused = fresh.metric("jeton_store_records_refused_total", &[&format!("reason=\"{reason}\"")]).await;
        assert!(refused >= 1.0, "{reason} is not counted");
    }
    redis::cmd("SET").arg(&own).arg(&own_value).arg("EX").arg(600).exec(&mut redis.connect()).unwrap();
    let fresh = TestServer::builder().with_keys(&keys).with_redis(&redis).start().await;
    fresh.until_store_up().await;
    fresh.resource_server("orders-api").introspect(&token).await.expect_active();
}

/// What is of another kind than ours is a fault of the store.
#[tokio::test]
async fn keys_of_another_kind_are_a_fault() {
    let redis = RedisServer::start().await;
    let server = on(&redis).await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    let (page, ..) = only_record(&redis);
    redis::cmd("SET").arg(&page).arg("not a page").arg("EX").arg(600).exec(&mut redis.connect()).unwrap();
    billing.introspect(&token).await.expect_error(503, "temporarily_unavailable");
    billing.revoke(&token).await.expect_error(503, "temporarily_unavailable");
    redis::cmd("DEL").arg(&page).exec(&mut redis.connect()).unwrap();
    billing.introspect(&token).await.expect_inactive();
    billing.request_token("invoices:read").await.expect_token();
}
