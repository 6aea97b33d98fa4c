//! Slow, idle, old and too many clients: each is ended by its own timer or limit, and nobody else notices.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::clients::secret_of;
use crate::harness::config::ServerBuilder;
use crate::harness::http1::Wire;
use crate::harness::request::TOKEN;
use crate::harness::{Http, Request, TestServer, http2};

/// A server whose every timer is long, so that one that a test makes short is the one that strikes.
fn patient() -> ServerBuilder {
    ["header_timeout_ms", "body_timeout_ms", "idle_timeout_ms"]
        .into_iter()
        .fold(TestServer::builder(), |builder, name| builder.set(&format!("limits.{name}"), 600_000))
}

fn token_request() -> Request {
    Request::form(TOKEN, "grant_type=client_credentials").basic("billing", &secret_of("billing"))
}

/// Closed, with an answer before it (408) or none.
async fn expect_closed(wire: &mut Wire) {
    let rest = wire.read_to_end().await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let server = patient().set("limits.header_timeout_ms", 200).start().await;
    let mut half = Wire::connect(server.public).await;
    half.send("POST /oauth2/token HTTP/1.1\r\nhost: a").await;
    let mut preface = Wire::connect(server.public).await;
    preface.send("PRI * HTTP/2.0\r\n\r\nSM").await;
    let mut idle = Wire::connect(server.public).await;
    let mut used = Wire::connect(server.public).await;
    used.ask(&Request::get("/health/alive")).await.expect(200);
    expect_closed(&mut half).await;
    expect_closed(&mut preface).await;

    // Who has said nothing yet, or waits between two requests, has his own, longer time.
    idle.ask(&token_request()).await.expect_token();
    used.ask(&token_request()).await.expect_token();

    // A byte now and then does not prolong it.
    let mut dripping = Wire::connect(server.public).await;
    for byte in b"POST /oauth2/token HTTP/1.1\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        if dripping.try_send(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    expect_closed(&mut dripping).await;
}

#[tokio::test]
async fn half_a_body_is_not_waited_for() {
    let server = patient().set("limits.body_timeout_ms", 200).start().await;
    let mut half = Wire::connect(server.public).await;
    let bytes = half.bytes_of(&token_request());
    half.send(&bytes[..bytes.len() - 5]).await;
    // It is told what was wrong, or not; it is closed in any case, and nothing was issued.
    let rest = half.read_to_end().await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&rest));
    assert_eq!(server.metric("jeton_tokens_issued_total", &[]).await, 0.0);

    let mut steady = Wire::connect(server.public).await;
    steady.ask(&token_request()).await.expect_token();
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = patient().set("limits.idle_timeout_ms", 200).start().await;
    let mut untouched = Wire::connect(server.public).await;
    untouched.until_closed().await;
    let mut used = Wire::connect(server.public).await;
    used.ask(&token_request()).await.expect_token();
    used.until_closed().await;
    let mut h2 = http2::Wire::connect(server.public).await;
    h2.ask(&token_request()).await.expect_token();
    crate::harness::until("the end of an idle HTTP/2 connection", async || h2.is_closed().then_some(())).await;
}

#[tokio::test]
async fn old_connections_are_told_to_close() {
    let server = patient().set("limits.connection_age_ms", 300).start().await;
    let mut wire = Wire::connect(server.public).await;
    loop {
        let answer = wire.ask(&token_request()).await;
        let told = answer.header("connection") == Some("close");
        answer.expect_token();
        if told {
            break;
        }
    }
    wire.until_closed().await;

    let mut h2 = http2::Wire::connect(server.public).await;
    crate::harness::until("GOAWAY", async || {
        if h2.is_closed() {
            return Some(());
        }
        match h2.try_ask(&token_request()).await {
            Ok(answer) => drop(answer.expect_token()),
            Err(error) => assert!(h2.is_closed() || error.is_canceled(), "a request failed: {error:?}"),
        }
        None
    })
    .await;
}

/// Full: the connection that has been idle for longest goes for the new one.
#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_idlest() {
    let server = patient().set("limits.connections", 4).start().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect(server.public).await;
        wire.ask(&token_request()).await.expect_token();
        open.push(wire);
    }
    let [idlest, others @ ..] = open.as_mut_slice() else { unreachable!() };
    // The others stay at work, and who was at work a moment ago is not idle yet.
    let fifth = crate::harness::until("a place", async || {
        for wire in others.iter_mut() {
            wire.ask(&token_request()).await.expect_token();
        }
        let mut fifth = Wire::try_connect(server.public).await.ok()?;
        fifth.try_ask(&token_request()).await.map(|answer| (answer.expect_token(), fifth))
    });
    let (_, _fifth) = fifth.await;
    idlest.until_closed().await;
    for wire in others {
        wire.ask(&token_request()).await.expect_token();
    }
    let limit = server.metric("jeton_connections_max", &["listener=\"public\""]).await;
    assert_eq!(limit, 4.0);
}

/// Full of those who work: the new one is closed at once, and counted.
#[tokio::test]
async fn a_busy_house_takes_nobody_more() {
    let server = patient().set("limits.connections", 2).start().await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::connect(server.public).await;
        let bytes = wire.bytes_of(&token_request().header("expect", "100-continue"));
        wire.send(&bytes[..bytes.len() - 5]).await;
        // From here on it is no idle connection.
        wire.receive("POST").await.expect(100);
        busy.push((wire, bytes));
    }
    let mut third = Wire::connect(server.public).await;
    assert!(third.try_ask(&token_request()).await.is_none(), "a third connection was served");
    let refused = server.metric("jeton_connections_refused_total", &["listener=\"public\"", "reason=\"total\""]).await;
    assert!(refused >= 1.0);
    for (wire, bytes) in &mut busy {
        wire.send(&bytes[bytes.len() - 5..]).await;
        wire.receive("POST").await.expect_token();
    }
}

#[tokio::test]
async fn one_source_cannot_take_all() {
    let server = patient().set("limits.connections_per_source", 3).start().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect(server.public).await;
        wire.ask(&token_request()).await.expect_token();
        open.push(wire);
    }
    let mut fourth = Wire::connect(server.public).await;
    assert!(fourth.try_ask(&token_request()).await.is_none(), "a fourth connection of one source");
    for wire in &mut open {
        wire.ask(&token_request()).await.expect_token();
    }
    let refused = server.metric("jeton_connections_refused_total", &["listener=\"public\"", "reason=\"source\""]).await;
    assert!(refused >= 1.0);
    drop(open);
    crate::harness::until("room", async || {
        let mut wire = Wire::try_connect(server.public).await.ok()?;
        wire.try_ask(&token_request()).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn the_bodys_limit_is_the_configured_one() {
    let server = patient().set("limits.body_bytes", 1024).start().await;
    let long = Request::form(TOKEN, format!("grant_type=client_credentials&a={}", "b".repeat(1024)));
    for http in [Http::One, Http::Two] {
        http.send(server.public, &long).await.expect_error(413, "invalid_request");
        http.send(server.public, &token_request()).await.expect_token();
    }
}

/// A server whose public listener is a unix socket, and the path of that.
async fn on_a_socket(builder: ServerBuilder) -> (TestServer, PathBuf) {
    let path = builder.folder().join("jeton.sock");
    let builder = builder.set("public.listen", format!("unix:{}", path.display()));
    let admin = crate::harness::ports::free();
    let (folder, process) = builder.set("admin.listen", format!("127.0.0.1:{admin}")).spawn();
    let admin = std::net::SocketAddr::from(([127, 0, 0, 1], admin));
    let server = TestServer::listening(folder, process, admin, admin).await;
    crate::harness::until("the socket", async || path.exists().then_some(())).await;
    (server, path)
}

/// A unix socket is a listener like another.
#[tokio::test]
async fn it_listens_on_a_unix_socket() {
    let (_server, path) = on_a_socket(TestServer::builder()).await;
    let mut wire = Wire::connect_unix(&path).await;
    wire.ask(&token_request()).await.expect_token();
}

/// Who comes over a socket is believed what it says of its clients' certificates: other users of the machine do not come.
#[tokio::test]
async fn x09_a_socket_whose_peers_tell_of_certificates_is_closed_to_others() {
    for (header, others_may) in [("none", true), ("client-cert", false)] {
        let builder = TestServer::builder().set("public.client_certificate_header", header);
        let (_server, path) = on_a_socket(builder).await;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o005 != 0, others_may, "{header}: {mode:o}");
    }
}
