//! Certificates that come and go under a running server, and those with which it does not start.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::date_time_ymd;
use rustls::{ALL_VERSIONS, ClientConfig};

use crate::harness::http1::Wire;
use crate::harness::tls::{AUTHORITY, Authority, Certificate};
use crate::harness::{TestServer, tls, until};

/// The certificate that a newcomer is shown.
async fn shown(server: &TestServer) -> Vec<u8> {
    let stream = tls::connect_as(&fresh(), server.public).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// A client with nothing to resume.
fn fresh() -> Arc<ClientConfig> {
    tls::client(b"http/1.1", ALL_VERSIONS)
}

async fn until_shown(server: &TestServer, certificate: &Certificate) {
    until("another certificate", async || (shown(server).await == certificate.der()).then_some(())).await;
}

fn replace(server: &TestServer, certificate: &Certificate) {
    server.write("tls.crt", &certificate.certificate);
    server.write("tls.key", &certificate.key);
}

async fn expiry(server: &TestServer) -> f64 {
    server.metric("jeton_certificate_expiry_timestamp_seconds", &["listener=\"public\""]).await
}

async fn last_reload(server: &TestServer) -> f64 {
    server.metric("jeton_reload_last_successful", &["subject=\"certificates\""]).await
}

/// F29: who is connected notices nothing, who comes is shown the new one, and sessions of before are resumed.
#[tokio::test]
async fn a_changed_certificate_is_shown_and_no_connection_drops() {
    let server = TestServer::builder().with_tls().start().await;
    let request = server.client("billing").token_request("");
    let resuming = fresh();
    let stream = tls::connect_as(&resuming, server.public).await.unwrap();
    let mut kept = Wire::over(Box::new(stream), "as.example");
    kept.ask(&request).await.expect_token();

    let next = AUTHORITY.certify_with(|parameters| parameters.not_after = date_time_ymd(2099, 1, 1));
    replace(&server, &next);
    until_shown(&server, &next).await;
    server.until_event("reloaded", |line| line.to_string().contains("2099-01-01T00:00:00Z")).await;
    until("its end as a metric", async || (expiry(&server).await == 4_070_908_800.0).then_some(())).await;
    assert_eq!(last_reload(&server).await, 1.0);

    kept.ask(&request).await.expect_token();
    let stream = tls::connect_as(&resuming, server.public).await.unwrap();
    assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    Wire::over(Box::new(stream), "as.example").ask(&request).await.expect_token();
}

/// F29: what cannot be used is told with its reason and changes nothing, until it is mended.
#[tokio::test]
async fn a_bad_certificate_changes_nothing() {
    let server = TestServer::builder().with_tls().start().await;
    let first = shown(&server).await;
    let (other, stranger) = (AUTHORITY.certify(), AUTHORITY.certify());
    let expired = AUTHORITY.certify_with(|parameters| {
        parameters.not_before = date_time_ymd(2001, 1, 1);
        parameters.not_after = date_time_ymd(2002, 1, 1);
    });
    let early = AUTHORITY.certify_with(|parameters| parameters.not_before = date_time_ymd(2100, 1, 1));
    let pair = |certificate: &str, key: &str| Certificate { certificate: certificate.to_owned(), key: key.to_owned() };
    for (bad, why) in [
        (pair(&other.certificate, &stranger.key), "do not belong together"),
        (pair("no certificate", &other.key), "holds no certificate"),
        (pair(&other.certificate, "no key"), "holds no private key"),
        (expired, "has expired"),
        (early, "is not valid yet"),
    ] {
        let failures = server.events("reload_failed").len();
        replace(&server, &bad);
        until(&format!("a failure that says: {why}"), async || {
            server.events("reload_failed")[failures..].iter().any(|line| line.to_string().contains(why)).then_some(())
        })
        .await;
        assert_eq!(last_reload(&server).await, 0.0, "{why}");
        assert_eq!(shown(&server).await, first, "{why}");
        assert!(!server.lines().join("\n").contains("PRIVATE KEY"));
    }
    std::fs::remove_file(server.folder().join("tls.key")).unwrap();
    server.until_event("reload_failed", |line| line.to_string().contains("cannot be read")).await;
    assert_eq!(shown(&server).await, first);
    replace(&server, &other);
    until_shown(&server, &other).await;
    until("a good reload", async || (last_reload(&server).await == 1.0).then_some(())).await;
}

#[tokio::test]
async fn a_start_with_a_bad_certificate_is_78_and_says_why() {
    let other = Authority::new().certify();
    let cases = [("tls.key", other.key.as_str(), "do not belong together"), ("tls.crt", "", "holds no certificate")];
    for (name, content, why) in cases {
        let builder = TestServer::builder().with_tls().file(name, content);
        let (_folder, mut process) = builder.spawn();
        assert_eq!(process.until_exit().await.code(), Some(78));
        until(why, async || {
            let line = process.lines().into_iter().find(|line| line.contains(why))?;
            (line.contains("jeton.toml:") && line.contains("public.tls.certificate_file")).then_some(())
        })
        .await;
    }
    let (_folder, mut process) = TestServer::builder().with_tls().unset("public.tls.private_key_file").spawn();
    assert_eq!(process.until_exit().await.code(), Some(78));
    until("what is missing", async || {
        process.lines().iter().any(|line| line.contains("needs public.tls.private_key_file")).then_some(())
    })
    .await;
}

/// A certificate ends, whatever is written elsewhere.
#[tokio::test]
async fn a_mistake_in_the_options_keeps_no_certificate_from_being_followed() {
    let server = TestServer::builder().with_tls().start().await;
    let path = server.folder().join("jeton.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("mistaken = 1\n{good}")).unwrap();
    server.until_event("reload_failed", |line| line.to_string().contains("mistaken")).await;
    let other = AUTHORITY.certify();
    replace(&server, &other);
    until_shown(&server, &other).await;
    until("a good reload", async || (last_reload(&server).await == 1.0).then_some(())).await;
}

/// Its file does not change when it begins.
#[tokio::test]
async fn a_certificate_that_is_early_is_shown_when_it_begins() {
    let server = TestServer::builder().with_tls().start().await;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(8);
    let begins = date_time_ymd(1970, 1, 1) + soon;
    let early = AUTHORITY.certify_with(|parameters| parameters.not_before = begins);
    replace(&server, &early);
    server.until_event("reload_failed", |line| line.to_string().contains("is not valid yet")).await;
    until_shown(&server, &early).await;
    until("a good reload", async || (last_reload(&server).await == 1.0).then_some(())).await;
}

/// What nobody would believe is still served, and told: a clock may be wrong, and some clients may look away.
#[tokio::test]
async fn an_expired_certificate_is_told_at_start() {
    let expired = AUTHORITY.certify_with(|parameters| {
        parameters.not_before = date_time_ymd(2001, 1, 1);
        parameters.not_after = date_time_ymd(2002, 1, 1);
    });
    let builder = TestServer::builder().with_tls();
    expired.write(builder.folder());
    let server = builder.start().await;
    server.until_event("warning", |line| line.to_string().contains("expired at 2002-01-01T00:00:00Z")).await;
    tls::connect_as(&fresh(), server.public).await.unwrap_err();
}
