//! Redis is far away, too far, or stands still for a moment: what is far is used, what is too far is left alone.

use std::time::{Duration, Instant};

use crate::harness::{ChaosProxy, RedisServer, TestServer, until};

/// Long enough that what a busy machine adds to it is little.
const TRIP: Duration = Duration::from_millis(400);

async fn behind_a_proxy() -> (RedisServer, ChaosProxy, TestServer) {
    let redis = RedisServer::start().await;
    let chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    (redis, chaos, server)
}

/// Mints and introspections that come one after another, none at the same moment; what each took, or `None` where one failed.
async fn asked_at_every_moment(server: &TestServer, token: &str) -> Option<Vec<Duration>> {
    let (billing, orders_api) = (server.client("billing"), server.resource_server("orders-api"));
    let asks = (0..120).map(|at| {
        let (billing, orders_api, token) = (billing.clone(), orders_api.clone(), token.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(10) * at).await;
            let asked = Instant::now();
            let answer = match at % 2 {
                0 => billing.request_token("invoices:read").await,
                _ => orders_api.introspect(&token).await,
            };
            (answer.status == 200).then(|| asked.elapsed())
        })
    });
    let mut took = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        took.push(ask.await.unwrap()?);
    }
    took.sort_unstable();
    Some(took)
}

/// Everybody is answered, and waits for about one trip, not for the end of another's and then his own, which would be one and a half for
/// most.
#[tokio::test]
async fn a_far_redis_costs_one_trip() {
    let redis = RedisServer::start().await;
    let chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).start().await;
    server.until_store_up().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();
    chaos.delay(TRIP / 2);
    // A busy machine may make one or the other too late; a window that does not widen makes most of them late each time.
    let took = until("a round in which everybody is served in about one trip", async || {
        let took = asked_at_every_moment(&server, &token).await?;
        (took[took.len() / 2] < TRIP * 5 / 4).then_some(took)
    })
    .await;
    assert!(took[0] >= TRIP, "the proxy delays nothing: {took:?}");
    server.resource_server("orders-api").introspect(&token).await.expect_active();
}

/// Farther than an operation may take: it is not used, and not tried on callers now and then either.
#[tokio::test]
async fn a_redis_too_far_away_stays_lost_and_comes_back() {
    let (_redis, mut chaos, server) = behind_a_proxy().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();
    chaos.delay(Duration::from_millis(150));
    server.until_store_down().await;
    let (lost, back) = (server.events("store_lost").len(), server.events("store_back").len());
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        let answer = server.resource_server("orders-api").introspect(&token).await;
        answer.expect_error(503, "temporarily_unavailable");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((server.events("store_lost").len(), server.events("store_back").len()), (lost, back), "it flaps");
    chaos.mend().await;
    server.until_store_up().await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
}

/// As when the disk under its log stalls: for a second Redis answers nobody, then it goes on.
#[tokio::test]
async fn a_redis_that_sleeps_for_a_second_is_back_after_it() {
    let redis = RedisServer::start_with(&["--enable-debug-command", "local"]).await;
    let server = TestServer::builder().with_redis(&redis).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let token = server.client("billing").request_token("invoices:read").await.expect_token();
    let mut connection = redis.connect();
    let asleep = tokio::task::spawn_blocking(move || redis::cmd("DEBUG").arg("SLEEP").arg(1.0).exec(&mut connection));
    let refused = async || (server.client("billing").request_token("invoices:read").await.status == 503).then_some(());
    until("a refusal", refused).await;
    server.resource_server("orders-api").introspect("forged").await.expect_inactive();
    asleep.await.unwrap().unwrap();
    server.until_store_up().await;
    server.resource_server("orders-api").introspect(&token).await.expect_active();
}
