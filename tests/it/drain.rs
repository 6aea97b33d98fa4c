//! SIGTERM: not ready at once, still accepting for a while, then answering what has begun; nobody's request fails.

use rustix::process::Signal;

use crate::harness::clients::secret_of;
use crate::harness::http1::Wire;
use crate::harness::load::Load;
use crate::harness::request::{FORM, TOKEN};
use crate::harness::{Http, RedisServer, Request, TestServer, http2, until};

#[tokio::test]
async fn no_request_fails_on_the_embedded_store() {
    let server = TestServer::builder().set("limits.drain_delay_ms", 500).start().await;
    no_request_fails(server).await;
}

#[tokio::test]
async fn no_request_fails_on_redis() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).set("limits.drain_delay_ms", 500).start().await;
    server.until_store_up().await;
    no_request_fails(server).await;
}

async fn no_request_fails(mut server: TestServer) {
    let load = Load::on(&server, 8);
    load.until_answered(300).await;
    server.signal(Signal::TERM);
    let journal = load.until_ended().await;
    assert_eq!(journal.unanswered, 0, "requests were sent and never answered: {:?}", journal.statuses);
    assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
    assert!(server.until_exit().await.success());
    assert_eq!(server.events("drain_started").len(), 1);
    assert_eq!(server.events("stopped").len(), 1);
}

#[tokio::test]
async fn no_http2_request_fails() {
    let mut server = TestServer::builder().set("limits.drain_delay_ms", 500).start().await;
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let billing = server.client("billing");
        connections.spawn(async move {
            let mut wire = http2::Wire::connect(billing.server).await;
            let mut answered = 0_u32;
            while !wire.is_closed() {
                match wire.try_ask(&billing.token_request("invoices:read")).await {
                    Ok(answer) => drop(answer.expect_token()),
                    // GOAWAY came first and the request was never sent.
                    Err(error) if error.is_canceled() || wire.is_closed() => break,
                    Err(error) => panic!("a request failed: {error:?}"),
                }
                answered += 1;
            }
            answered
        });
    }
    until("tokens", async || (server.metric("jeton_tokens_issued_total", &[]).await > 100.0).then_some(())).await;
    server.signal(Signal::TERM);
    let answered: u32 = connections.join_all().await.into_iter().sum();
    assert!(answered > 100);
    assert!(server.until_exit().await.success());
}

/// A balancer is told at once, while those who have not heard of it are still served.
#[tokio::test]
async fn it_is_not_ready_at_once_and_accepts_for_a_while() {
    let mut server = TestServer::builder().set("limits.drain_delay_ms", 60_000).start().await;
    server.ready().await.expect(200);
    server.signal(Signal::TERM);
    until("not ready", async || (server.ready().await.status == 503).then_some(())).await;
    server.get("/health/alive").await.expect(200);
    let answer = server.send(&server.client("billing").token_request("")).await;
    assert_eq!(answer.header("connection"), Some("close"));
    answer.expect_token();
    Http::Two.send(server.public, &server.client("billing").token_request("")).await.expect_token();

    // A second signal does not wait.
    server.signal(Signal::TERM);
    server.until_exit().await;
}

/// A request that has begun is answered, however slow its client is, within the time that is given.
#[tokio::test]
async fn what_has_begun_is_answered() {
    let mut server = TestServer::builder().set("limits.drain_delay_ms", 0).start().await;
    let body = "grant_type=client_credentials";
    let request = Request::form(TOKEN, body).basic("billing", &secret_of("billing"));
    let (mut half_body, mut half_head) = (Wire::connect(server.public).await, Wire::connect(server.public).await);
    let bytes = half_body.bytes_of(&request);
    assert!(String::from_utf8_lossy(&bytes).contains(FORM));
    half_body.send(&bytes[..bytes.len() - 5]).await;
    half_head.send(&bytes[..40]).await;
    until("both connections", async || {
        (server.metric("jeton_connections", &["listener=\"public\""]).await >= 2.0).then_some(())
    })
    .await;
    // Answered behind those two on its own connection, so that theirs have been read.
    server.client("billing").request_token("").await.expect_token();

    server.signal(Signal::TERM);
    server.until_event("drain_started", |_| true).await;
    half_body.send(&bytes[bytes.len() - 5..]).await;
    half_head.send(&bytes[40..]).await;
    half_body.receive("POST").await.expect_token();
    half_head.receive("POST").await.expect_token();
    assert!(server.until_exit().await.success());
}

#[tokio::test]
async fn idle_connections_do_not_hold_it() {
    let mut server = TestServer::builder().set("limits.drain_delay_ms", 0).start().await;
    let mut idle = Wire::connect(server.public).await;
    idle.ask(&Request::get("/health/alive")).await.expect(200);
    let mut untouched = Wire::connect(server.public).await;
    server.signal(Signal::INT);
    assert!(server.until_exit().await.success());
    idle.until_closed().await;
    untouched.until_closed().await;
}
