//! TLS on the listeners: handshakes, sessions that are resumed, and who is slow or speaks something else.

mod certificates;
mod operators;

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::AsyncWriteExt;

use crate::harness::http1::Wire;
use crate::harness::strict::StrictLoad;
use crate::harness::wait::within_patience;
use crate::harness::{Http, TestServer, http2, tls, until};

/// So many handshakes on the public listener ended so.
async fn handshakes(server: &TestServer, outcome: &str) -> f64 {
    let outcome = format!("outcome=\"{outcome}\"");
    server.metric("jeton_tls_handshakes_total", &["listener=\"public\"", &outcome]).await
}

async fn until_handshakes(server: &TestServer, outcome: &str, count: f64) {
    until(&format!("{count} handshakes {outcome}"), async || {
        (handshakes(server, outcome).await >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_versions_of_http_over_both_of_tls() {
    let server = TestServer::builder().with_tls().start().await;
    let request = server.client("billing").token_request("");
    for version in [&TLS12, &TLS13] {
        for protocol in [&b"http/1.1"[..], b"h2"] {
            let stream = tls::connect_as(&tls::client(protocol, &[version]), server.public).await.unwrap();
            let spoken = stream.get_ref().1;
            assert_eq!(spoken.alpn_protocol(), Some(protocol));
            assert_eq!(spoken.protocol_version(), Some(version.version));
            let answer = match protocol {
                b"h2" => http2::Wire::over(Box::new(stream), "as.example").await.unwrap().ask(&request).await,
                _ => Wire::over(Box::new(stream), "as.example").ask(&request).await,
            };
            let token = answer.expect_token();
            server.resource_server("orders-api").introspect(&token).await.expect_active();
        }
    }
    // Who says nothing of it speaks HTTP/1.1; who wants something else alone is refused.
    let mut silent = ClientConfig::clone(&tls::client(b"", &[&TLS13]));
    silent.alpn_protocols.clear();
    let stream = tls::connect_as(&Arc::new(silent), server.public).await.unwrap();
    Wire::over(Box::new(stream), "as.example").ask(&request).await.expect_token();
    tls::connect_as(&tls::client(b"spdy/1", &[&TLS13]), server.public).await.unwrap_err();
    until_handshakes(&server, "failed", 1.0).await;
}

/// Both versions: a client that comes back costs no signature.
#[tokio::test]
async fn a_session_is_resumed() {
    let server = TestServer::builder().with_tls().start().await;
    let request = server.client("billing").token_request("");
    for (version, resumed) in [(&TLS12, 1.0), (&TLS13, 2.0)] {
        let config = tls::client(b"http/1.1", &[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let stream = tls::connect_as(&config, server.public).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind), "{version:?}");
            // The ticket of TLS 1.3 comes with the first answer.
            Wire::over(Box::new(stream), "as.example").ask(&request).await.expect_token();
        }
        assert_eq!([handshakes(&server, "full").await, handshakes(&server, "resumed").await], [resumed; 2]);
    }
}

/// Whoever says nothing, half a hello, or one drop by drop is cut, and each has its place among the connections until then.
#[tokio::test]
async fn a_slow_handshake_is_cut() {
    let builder = TestServer::builder().with_tls().set("limits.handshake_timeout_ms", 1000);
    let server = builder.start().await;
    let hello = hello();
    let mut held = Vec::new();
    for sent in [0, 1, hello.len() / 2] {
        let mut stream = tls::connect_plain(server.public).await.unwrap();
        stream.write_all(&hello[..sent]).await.unwrap();
        held.push(stream);
    }
    until("three connections", async || {
        (server.metric("jeton_connections", &["listener=\"public\""]).await >= 3.0).then_some(())
    })
    .await;
    let dripping = async {
        let mut stream = tls::connect_plain(server.public).await.unwrap();
        for byte in &hello {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        panic!("a hello of {} drops was taken", hello.len());
    };
    within_patience("the end of a dripping client", dripping).await;
    for stream in held {
        within_patience("the end", Wire::over(Box::new(stream), "as.example").until_closed()).await;
    }
    until_handshakes(&server, "timed_out", 4.0).await;
    server.client("billing").request_token("").await.expect_token();
}

/// What a client of TLS sends first.
fn hello() -> Vec<u8> {
    let config = tls::client(b"http/1.1", rustls::ALL_VERSIONS);
    let mut client = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Handshakes that do not go on are counted against the limits. Who has sent nothing makes room, who has sent half a hello does not.
#[tokio::test]
async fn handshakes_have_their_place_among_the_connections() {
    let builder = TestServer::builder().with_tls().set("public.workers", 1).set("limits.connections", 1);
    let server = builder.set("limits.handshake_timeout_ms", 60_000).start().await;
    let silent = tls::connect_plain(server.public).await.unwrap();
    until("a place", async || {
        let mut wire = Wire::try_connect(server.public).await.ok()?;
        wire.try_ask(&server.client("billing").token_request("")).await
    })
    .await
    .expect_token();
    Wire::over(Box::new(silent), "as.example").until_closed().await;

    let mut half = until("half a hello on the only place", async || {
        let mut half = tls::connect_plain(server.public).await.unwrap();
        half.write_all(&hello()[..100]).await.ok()?;
        let refused = Wire::try_connect(server.public).await.is_err();
        let still_there = half.write_all(&hello()[100..101]).await.is_ok();
        (refused && still_there).then_some(half)
    })
    .await;
    assert!(server.metric("jeton_connections_refused_total", &["reason=\"total\""]).await > 0.0);
    // It is a handshake like another, once it goes on.
    half.write_all(&hello()[..1]).await.unwrap();
}

/// Whoever speaks plain HTTP is told so in plain HTTP, and nothing that was sent is looked at.
#[tokio::test]
async fn plain_http_is_told_where_it_is() {
    let server = TestServer::builder().with_tls().start().await;
    let request = server.client("billing").token_request("");
    let mut wire = Wire::over(Box::new(tls::connect_plain(server.public).await.unwrap()), "as.example");
    let answer = wire.ask(&request).await;
    assert_eq!(answer.header("connection"), Some("close"));
    answer.expect_error(400, "invalid_request");
    wire.until_closed().await;

    let stream = Box::new(tls::connect_plain(server.public).await.unwrap());
    let mut wire = http2::Wire::over(stream, "as.example").await.unwrap();
    wire.ask(&request).await.expect_error(400, "invalid_request");
    until_handshakes(&server, "plain_http", 2.0).await;
    assert_eq!(server.metric("jeton_tokens_issued_total", &[]).await, 0.0);
    assert_eq!(server.metric("jeton_client_authentications_total", &[]).await, 0.0);
}

#[tokio::test]
async fn no_request_fails_in_a_drain() {
    for http in [Http::One, Http::Two] {
        let mut server = TestServer::builder().with_tls().set("limits.drain_delay_ms", 500).start().await;
        let load = StrictLoad::on(&[&server], 8, http, std::time::Duration::from_millis(500));
        load.until_answered(100).await;
        server.signal(rustix::process::Signal::TERM);
        assert!(server.until_exit().await.success());
        load.stop().await.expect_no_failure();
    }
}

/// Nobody waits for handshakes that have not begun, and those that have are seen through.
#[tokio::test]
async fn a_drain_waits_for_no_silent_client() {
    let mut server =
        TestServer::builder().with_tls().set("limits.drain_delay_ms", 0).set("limits.handshake_timeout_ms", 60_000);
    server = server.set("limits.drain_timeout_ms", 60_000);
    let mut server = server.start().await;
    let silent = tls::connect_plain(server.public).await.unwrap();
    until("a connection", async || {
        (server.metric("jeton_connections", &["listener=\"public\""]).await >= 1.0).then_some(())
    })
    .await;
    server.signal(rustix::process::Signal::TERM);
    assert!(server.until_exit().await.success());
    Wire::over(Box::new(silent), "as.example").until_closed().await;
}
