//! The network between jeton and Redis lies: it is silent, stands still one way, loses a connection without a word, cuts replies at any
//! byte, brings them in crumbs.

use std::time::{Duration, Instant};

use crate::harness::chaos::{End, Way};
use crate::harness::errands::Journal;
use crate::harness::load::Load;
use crate::harness::{ChaosProxy, RedisServer, TestServer, until};

struct House {
    _redis: RedisServer,
    chaos: ChaosProxy,
    server: TestServer,
    load: Load,
}

impl House {
    async fn under_load() -> Self {
        let redis = RedisServer::start().await;
        let chaos = ChaosProxy::before(redis.port()).await;
        let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
        server.until_store_up().await;
        let load = Load::with_uses_on(&[&server], 8);
        load.until_answered(100).await;
        Self { _redis: redis, chaos, server, load }
    }

    /// Waits until the service answers 200 to one request after another, on both workers.
    async fn until_well(&self) -> Duration {
        let since = Instant::now();
        let billing = self.server.client("billing");
        let mut good_in_a_row = 0;
        until("answers as before", async || {
            let status = billing.request_token("invoices:read").await.status;
            good_in_a_row = if status == 200 { good_in_a_row + 1 } else { 0 };
            (good_in_a_row >= 10).then_some(())
        })
        .await;
        since.elapsed()
    }

    async fn end(self) -> Journal {
        self.server.until_store_up().await;
        let journal = self.load.stop_and_audit(&self.server).await;
        assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
        journal
    }
}

/// Stopped with SIGSTOP for longer than anybody waits, then gone on: commands that were given up are executed late.
#[tokio::test]
async fn redis_stands_still() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let load = Load::on(&server, 8);
    for _ in 0..2 {
        load.until_answered(200).await;
        redis.freeze();
        server.until_store_down().await;
        load.until_answered(200).await;
        redis.thaw();
        server.until_store_up().await;
    }
    load.until_answered(200).await;
    let journal = load.stop_and_audit(&server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    assert!(journal.statuses.contains_key(&503), "the outage was not seen: {:?}", journal.statuses);
}

/// A partition: no byte, no end, no reset, both ways or one.
#[tokio::test]
async fn nothing_comes_through() {
    let mut house = House::under_load().await;
    for ways in [&[Way::There, Way::Back][..], &[Way::There], &[Way::Back]] {
        ways.iter().for_each(|way| house.chaos.stall(*way));
        house.server.until_store_down().await;
        house.load.until_answered(100).await;
        house.chaos.mend().await;
        house.until_well().await;
        house.load.until_answered(100).await;
    }
    assert!(house.end().await.statuses.contains_key(&503));
}

/// The connections that are open are dead and do not say so, while new ones work: they are found out and left.
#[tokio::test]
async fn a_connection_is_half_open() {
    let house = House::under_load().await;
    for _ in 0..2 {
        house.chaos.strand();
        let took = house.until_well().await;
        // 2.5 s are promised; a busy machine may take longer.
        assert!(took < Duration::from_secs(8), "well only after {took:?}");
        house.load.until_answered(100).await;
    }
    house.end().await;
}

/// Resets out of the blue: whoever was under way is told 503, and the next one is served.
#[tokio::test]
async fn connections_are_reset() {
    let house = House::under_load().await;
    for _ in 0..5 {
        house.chaos.reset();
        house.load.until_answered(50).await;
        house.until_well().await;
    }
    house.end().await;
}

/// Replies end at any byte, by a close or a reset.
#[tokio::test]
async fn replies_are_cut_at_any_byte() {
    let mut house = House::under_load().await;
    for (round, bytes) in [1, 2, 3, 7, 20, 45, 100, 333].into_iter().enumerate() {
        house.chaos.end_after(bytes, if round % 2 == 0 { End::Close } else { End::Reset });
        house.load.until_answered(30).await;
        house.chaos.mend().await;
        house.until_well().await;
    }
    assert!(house.end().await.statuses.contains_key(&503));
}

/// Bytes that come one by one are the same bytes: nothing fails.
#[tokio::test]
async fn bytes_come_one_by_one() {
    let redis = RedisServer::start().await;
    let chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).start().await;
    server.until_store_up().await;
    let load = Load::on(&server, 4);
    load.until_answered(20).await;
    chaos.slice(1);
    load.until_answered(100).await;
    let journal = load.stop_and_audit(&server).await;
    assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
}

/// What comes back is doubled, cut, torn, replaced or belongs to another question, under load: nobody is told anything of it.
#[tokio::test]
async fn replies_are_changed() {
    let mut house = House::under_load().await;
    for corruption in [
        |piece: &[u8]| piece.repeat(2),
        |piece: &[u8]| piece[..piece.len() / 2].to_vec(),
        |piece: &[u8]| vec![b'?'; piece.len()],
        |_: &[u8]| b"$-1\r\n".to_vec(),
        |piece: &[u8]| [b"$-1\r\n".as_slice(), piece].concat(),
        |piece: &[u8]| [b":1\r\n".as_slice(), piece].concat(),
        |piece: &[u8]| [b">2\r\n+invalidate\r\n$-1\r\n".as_slice(), piece].concat(),
        |piece: &[u8]| piece.iter().rev().copied().collect(),
    ] {
        house.chaos.corrupt(corruption);
        house.load.until_answered(50).await;
        house.chaos.mend().await;
        house.until_well().await;
        house.load.until_answered(50).await;
    }
    assert!(house.end().await.statuses.contains_key(&503));
}
