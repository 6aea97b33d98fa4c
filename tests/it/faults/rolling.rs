//! Nodes are restarted one after the other, as a roll-out does, behind clients that forgive nothing: no request fails.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::strict::{StrictLoad, StrictTally};
use crate::harness::{Http, RedisServer, TestServer};

/// How long a node goes on accepting once it has been told to end.
const DRAIN_DELAY: Duration = Duration::from_millis(500);
/// Strict clients of each node.
const CLIENTS: usize = 8;

/// Two nodes on one Redis and one key file.
pub(crate) async fn two_nodes(redis: &RedisServer) -> [TestServer; 2] {
    let drain_delay_ms = i64::try_from(DRAIN_DELAY.as_millis()).unwrap();
    let node = || {
        let builder = TestServer::builder().with_redis(redis).on_fixed_ports();
        builder.set("limits.drain_delay_ms", drain_delay_ms).set("limits.drain_timeout_ms", 20_000)
    };
    let first = node().start().await;
    let second = node().with_keys(&first.folder().join("jeton.keys")).start().await;
    for node in [&first, &second] {
        node.until_store_up().await;
    }
    [first, second]
}

/// Restarts each node in turn, `rounds` restarts in all, under strict clients.
pub(crate) async fn roll(nodes: &mut [TestServer; 2], http: Http, rounds: usize) -> StrictTally {
    let load = StrictLoad::on(&[&nodes[0], &nodes[1]], CLIENTS, http, DRAIN_DELAY);
    for round in 0..rounds {
        load.until_answered(200).await;
        let node = &mut nodes[round % 2];
        node.signal(Signal::TERM);
        let status = node.until_exit().await;
        assert!(status.success(), "a node ended with {status}: {:#?}", node.lines());
        node.start_again().await;
        node.until_store_up().await;
        node.until_ready().await;
    }
    load.until_answered(200).await;
    load.stop().await
}

async fn no_request_fails(http: Http) {
    let redis = RedisServer::start().await;
    let mut nodes = two_nodes(&redis).await;
    let tally = roll(&mut nodes, http, 4).await;
    tally.expect_no_failure();
    assert!(tally.journal.answers() > 800);
}

#[tokio::test]
async fn no_http1_request_fails() {
    no_request_fails(Http::One).await;
}

#[tokio::test]
async fn no_http2_request_fails() {
    no_request_fails(Http::Two).await;
}
