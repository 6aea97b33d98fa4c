//! Redis keeps its connections and answers nothing, or late.

use std::time::{Duration, Instant};

use super::{Keys, expect_back, expect_no_waiting, expect_unavailable, expect_what_needs_no_store};
use crate::harness::load::Load;
use crate::harness::{ChaosProxy, RedisServer, TestServer};

/// The first ones wait for their deadline, those behind them for nothing.
#[tokio::test]
async fn stopped_for_seconds_it_answers_at_once_and_goes_on_afterwards() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();
    let load = Load::on(&server, 4);
    load.until_answered(50).await;

    redis.freeze();
    let asked = Instant::now();
    server.resource_server("orders-api").introspect(&token).await.expect_error(503, "temporarily_unavailable");
    // A second is promised.
    assert!(asked.elapsed() < Duration::from_secs(4), "the first refusal took {:?}", asked.elapsed());
    server.until_store_down().await;
    expect_unavailable(&server, &token, 2).await;
    expect_no_waiting(&server, &token).await;

    redis.thaw();
    expect_back(&server, Instant::now()).await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    let journal = load.stop().await;
    assert!(journal.failed.is_empty(), "requests went unanswered: {:?}", journal.failed);
}

/// A partition with no end and no reset looks like a stop, and heals by itself.
#[tokio::test]
async fn a_black_hole_is_found_and_left() {
    let redis = RedisServer::start().await;
    let mut chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();

    chaos.black_hole();
    server.until_store_down().await;
    expect_unavailable(&server, &token, 2).await;
    expect_no_waiting(&server, &token).await;
    chaos.mend().await;
    expect_back(&server, Instant::now()).await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
}

/// Slower than usual and faster than the deadline: nothing fails.
#[tokio::test]
async fn a_slow_redis_is_used() {
    let redis = RedisServer::start().await;
    let chaos = ChaosProxy::before(redis.port()).await;
    let builder = TestServer::builder().with_store(&redis.url_at(chaos.port()));
    let server = builder.set("store.operation_timeout_ms", 5000).start().await;
    server.until_store_up().await;
    chaos.delay(Duration::from_millis(50));
    let load = Load::on(&server, 8);
    load.until_answered(100).await;
    let journal = load.stop().await;
    assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
}

/// While Redis loads its file it refuses everything, which is a fault of the store and nothing else.
#[tokio::test]
async fn loading_it_is_away() {
    let keys = Keys::new();
    let token = keys.genuine_token().await;
    let mut redis = RedisServer::start().await;
    let _: () = redis::cmd("EVAL")
        .arg("for i = 1, 3000 do redis.call('SET', 'filler:' .. i, i) end")
        .arg(0)
        .query(&mut redis.connect())
        .unwrap();
    redis.run::<()>("SAVE");
    redis.kill();
    // Microseconds a key: some seconds of LOADING, in which it looks at its connections now and then.
    redis.begin_to_start(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);

    let server = TestServer::builder().with_keys(&keys.file()).with_redis(&redis).with_usual_deadlines().start().await;
    let answer = server.client("billing").request_token("").await;
    if answer.status != 200 {
        answer.expect_error(503, "temporarily_unavailable");
        server.resource_server("orders-api").introspect(&token).await.expect(503);
        expect_what_needs_no_store(&server).await;
    }
    server.until_store_up().await;
    server.client("billing").request_token("").await.expect_token();
}
