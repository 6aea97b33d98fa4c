//! Guessing: tokens that nobody issued are refused with no question to the store.

use data_encoding::BASE64URL_NOPAD;

use crate::harness::http1::Wire;
use crate::harness::{RedisServer, TestClient, TestServer};

const CONNECTIONS: u64 = 4;
const BATCHES: u64 = 2500;
const BATCH: u64 = 100;

/// xorshift: other tokens on each connection, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// Something that is nearly the live token, or looks like one, or like nothing.
    fn token(&mut self, live: &str) -> String {
        let mut bytes = BASE64URL_NOPAD.decode(&live.as_bytes()[3..]).unwrap();
        match self.next() % 5 {
            0 => bytes = self.bytes(42),
            1 => {
                let at = usize::try_from(self.next() % 42).unwrap();
                bytes[at] ^= 1 << (self.next() % 8);
            }
            2 => bytes.splice(10..30, self.bytes(20)).for_each(drop),
            3 => bytes.splice(1..10, self.bytes(9)).for_each(drop),
            _ => bytes.splice(30..42, self.bytes(12)).for_each(drop),
        }
        let token = format!("jt_{}", BASE64URL_NOPAD.encode(&bytes));
        // Once in ages chance makes the live one.
        if token == live { "jt_".to_owned() + &"A".repeat(56) } else { token }
    }
}

/// Sends batches of requests that differ in the token alone, and looks at the bytes of the answers, which have one length.
async fn guess(reader: TestClient, live: String, seed: u64) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed.wrapping_mul(0x1234_5678_9ABC_DEF1));
    let mut wire = Wire::connect(reader.server).await;
    let template = wire.bytes_of(&reader.introspection_request(&live));
    let at = template.len() - live.len();
    wire.send([&template[..at], random.token(&live).as_bytes()].concat()).await;
    let answer_bytes = wire.length_of_answer().await;
    for _ in 0..BATCHES {
        let requests: Vec<u8> =
            (0..BATCH).flat_map(|_| [&template[..at], random.token(&live).as_bytes()].concat()).collect();
        wire.send(requests).await;
        for _ in 0..BATCH {
            let answer = wire.read_exactly(answer_bytes).await;
            let is_inactive = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\n{\"active\":false}");
            assert!(is_inactive, "{}", String::from_utf8_lossy(&answer));
        }
    }
}

#[tokio::test]
async fn a_million_forgeries_ask_the_store_nothing() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    let live = server.client("billing").request_token("invoices:read").await.expect_token();
    let asked_before = redis.calls_of("hget");
    let operations = server.metric("jeton_store_operation_duration_seconds_count", &[]).await;

    let mut connections = tokio::task::JoinSet::new();
    for seed in 0..CONNECTIONS {
        connections.spawn(guess(server.resource_server("orders-api"), live.clone(), seed));
    }
    connections.join_all().await;

    assert_eq!(redis.calls_of("hget"), asked_before, "Redis was asked");
    assert_eq!(server.metric("jeton_store_operation_duration_seconds_count", &[]).await, operations);
    let all = f64::from(u32::try_from(CONNECTIONS * (BATCHES * BATCH + 1)).unwrap());
    let refused = server.metric("jeton_introspections_total", &["outcome=\"forged\""]).await
        + server.metric("jeton_introspections_total", &["outcome=\"malformed\""]).await;
    assert_eq!(refused, all, "each is counted");
    server.resource_server("orders-api").introspect(&live).await.expect_active();
}
