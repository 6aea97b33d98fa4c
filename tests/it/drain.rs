//! SIGTERM: not ready at once, still accepting for a while, then answering what has begun; nobody's request fails.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::clients::secret_of;
use crate::harness::http1::Wire;
use crate::harness::request::{FORM, TOKEN};
use crate::harness::strict::StrictLoad;
use crate::harness::{Http, Request, TestServer, until};

#[tokio::test]
async fn no_request_fails() {
    for http in [Http::One, Http::Two] {
        let mut server = TestServer::builder().set("limits.drain_delay_ms", 500).start().await;
        let load = StrictLoad::on(&[&server], 8, http, Duration::from_millis(500));
        load.until_answered(300).await;
        server.signal(Signal::TERM);
        assert!(server.until_exit().await.success());
        load.stop().await.expect_no_failure();
        assert_eq!(server.events("drain_started").len(), 1);
        assert_eq!(server.events("stopped").len(), 1);
    }
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
