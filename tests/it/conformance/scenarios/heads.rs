//! H14 to H16: heads of HTTP/1.1 that are too large, or none.

use crate::conformance::bench::Bench;
use crate::harness::Answer;
use crate::harness::http1::Wire;

/// Sends these bytes and returns the answer, and whether the server closed the connection behind it.
async fn answer_and_end(bench: &Bench, bytes: &[u8]) -> Answer {
    let mut wire = Wire::connect(bench.server.public).await;
    let _ = wire.try_send(bytes).await;
    let answer = wire.receive("GET").await;
    wire.until_closed().await;
    answer
}

fn get(lines: &str) -> String {
    format!("GET /health/alive HTTP/1.1\r\n{lines}\r\n")
}

pub(crate) async fn heads_that_are_none(bench: &Bench) {
    for head in [
        get("host: as.example\r\nx-folded: a\r\n b\r\n"),
        get("host: as.example\r\nx-nul: a\0b\r\n"),
        get("host: as.example\r\nx-spaced : a\r\n"),
        get("host: as.example\r\nx spaced: a\r\n"),
        get("host: as.example\r\n: a\r\n"),
        get("host: as.example\r\nno colon\r\n"),
        get("host: as.example\r\nhost: as.example\r\n"),
        get("host: as.example\r\nhost: other.example\r\n"),
        get("x-no-host: a\r\n"),
        get("host: as.example\r\n").replace("HTTP/1.1", "HTTP/9.9"),
        get("host: as.example\r\n").replace("GET", "G(T"),
        get("host: as.example\r\n").replace("/health/alive", "/health alive"),
        "canary\r\n\r\n".to_owned(),
    ] {
        let answer = answer_and_end(bench, head.as_bytes()).await;
        assert_eq!(answer.status, 400, "{head:?}");
    }
}

pub(crate) async fn absolute_form(bench: &Bench) {
    let mut wire = Wire::connect(bench.server.public).await;
    let request = get("host: as.example\r\n").replace("/health/alive", "http://as.example/health/alive");
    wire.send(request).await;
    wire.receive("GET").await.expect(200);
}

pub(crate) async fn bare_line_feeds(bench: &Bench) {
    let mut wire = Wire::connect(bench.server.public).await;
    wire.send("GET /health/alive HTTP/1.1\nhost: as.example\n\n").await;
    wire.finish().await;
    let first = wire.receive("GET").await;
    assert!([200, 400].contains(&first.status), "{first:?}");

    // Within a header's value it is a line end or an error, never the begin of a second request.
    let mut wire = Wire::connect(bench.server.public).await;
    wire.send(get("host: as.example\r\nx-a: b\nGET /smuggled HTTP/1.1\r\n")).await;
    wire.finish().await;
    let mut count = 0;
    while wire.try_receive("GET").await.is_some() {
        count += 1;
    }
    assert_eq!(count, 1, "a second request was parsed");
}

pub(crate) async fn too_large(bench: &Bench) {
    let many: String = (0..65).map(|i| format!("x-{i}: a\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(17 * 1024));
    let endless = format!("x-endless: {}", "a".repeat(64 * 1024));
    for lines in [many, long, endless] {
        let answer = answer_and_end(bench, get(&format!("host: as.example\r\n{lines}")).as_bytes()).await;
        assert_eq!(answer.status, 431, "{}…", &lines[..20]);
    }
    let just_fitting: String = (0..60).map(|i| format!("x-{i}: a\r\n")).collect();
    let mut wire = Wire::connect(bench.server.public).await;
    wire.send(get(&format!("host: as.example\r\n{just_fitting}"))).await;
    wire.receive("GET").await.expect(200);
}

pub(crate) async fn target_too_long(bench: &Bench) {
    for length in [8 * 1024 + 1, 12 * 1024, 15 * 1024] {
        let request = get("host: as.example\r\n").replace("/health/alive", &format!("/{}", "a".repeat(length)));
        let answer = answer_and_end(bench, request.as_bytes()).await.expect_error(414, "invalid_request");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    // Beyond the head's limit either answer is right, and the connection ends.
    let request = get("host: as.example\r\n").replace("/health/alive", &format!("/{}", "a".repeat(70 * 1024)));
    let answer = answer_and_end(bench, request.as_bytes()).await;
    assert!([414, 431].contains(&answer.status), "{answer:?}");
}
