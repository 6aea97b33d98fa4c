//! H09 to H13, H17 and H19: where an HTTP/1.1 request ends, and who may disagree about it.

use crate::conformance::bench::Bench;
use crate::harness::Answer;
use crate::harness::clients::secret_of;
use crate::harness::http1::Wire;
use crate::harness::request::{FORM, Request, TOKEN};

const GRANT: &str = "grant_type=client_credentials";

/// A head of a right token request, with these further lines, each with its line end.
fn head(lines: &str) -> String {
    let basic = Request::new("POST", TOKEN).basic("billing", &secret_of("billing")).headers.remove(0).1;
    let basic = String::from_utf8(basic).unwrap();
    format!(
        "POST {TOKEN} HTTP/1.1\r\nhost: as.example\r\nauthorization: {basic}\r\ncontent-type: {FORM}\r\n{lines}\r\n"
    )
}

async fn wire(bench: &Bench) -> Wire {
    Wire::connect(bench.server.public).await
}

/// Sends these bytes and no more, and returns all answers up to the end of the connection.
async fn answers(bench: &Bench, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
    let mut wire = wire(bench).await;
    let _ = wire.try_send(bytes.as_ref()).await;
    wire.finish().await;
    let mut answers = Vec::new();
    while let Some(answer) = wire.try_receive("POST").await {
        answers.push(answer);
    }
    answers
}

async fn issued(bench: &Bench) -> f64 {
    bench.server.metric("jeton_tokens_issued_total", &[]).await
}

pub(crate) async fn too_large_by_its_length(bench: &Bench) {
    let mut wire = wire(bench).await;
    // The body is never sent: the answer does not wait for it.
    wire.send(head("content-length: 16385\r\n")).await;
    let answer = wire.receive("POST").await.expect_error(413, "invalid_request");
    assert_eq!(answer.header("connection"), Some("close"));
    wire.until_closed().await;
}

pub(crate) async fn too_large_in_chunks(bench: &Bench) {
    let mut wire = wire(bench).await;
    wire.send(head("transfer-encoding: chunked\r\n")).await;
    // The last chunk is never sent: the answer comes as soon as the limit is passed.
    for _ in 0..17 {
        let _ = wire.try_send(format!("400\r\n{}\r\n", "a".repeat(1024)).as_bytes()).await;
    }
    let answer = wire.receive("POST").await.expect_error(413, "invalid_request");
    assert_eq!(answer.header("connection"), Some("close"));
    wire.until_closed().await;
}

pub(crate) async fn another_length_than_said(bench: &Bench) {
    let before = issued(bench).await;
    // Longer than what is sent, and the client closes: no answer can be right but 400.
    let longer = answers(bench, head("content-length: 100\r\n") + GRANT).await;
    assert!(longer.iter().all(|answer| answer.status == 400), "{longer:?}");
    // Shorter: the rest is no request.
    let shorter = answers(bench, head("content-length: 10\r\n") + GRANT).await;
    assert!(shorter.iter().all(|answer| answer.status == 400), "{shorter:?}");
    // An unfinished chunk.
    let unfinished = answers(bench, head("transfer-encoding: chunked\r\n") + "1d\r\n" + GRANT).await;
    assert!(unfinished.iter().all(|answer| answer.status == 400), "{unfinished:?}");
    assert_eq!(issued(bench).await, before, "a part of a request was processed");
}

pub(crate) async fn two_framings(bench: &Bench) {
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: as.example\r\n\r\n";
    let chunked = format!("1d\r\n{GRANT}\r\n0\r\n\r\n");
    for lines in
        ["content-length: 29\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 29\r\n"]
    {
        let answers = answers(bench, head(lines) + &chunked + smuggled).await;
        assert_eq!(answers.len(), 1, "more than one request was parsed: {answers:?}");
        assert!([200, 400].contains(&answers[0].status), "{answers:?}");
    }
}

pub(crate) async fn framings_nobody_can_follow(bench: &Bench) {
    let before = issued(bench).await;
    for lines in [
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "content-length: 29\r\ncontent-length: 30\r\n",
        "content-length: +29\r\n",
        "content-length: -29\r\n",
        "content-length: 29, 30\r\n",
        "content-length: 0x1d\r\n",
        "content-length: 2 9\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length:\r\n",
    ] {
        let answers = answers(bench, head(lines) + GRANT).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [400], "{lines}");
    }
    let old =
        head("transfer-encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") + "1d\r\n" + GRANT + "\r\n0\r\n\r\n";
    assert_eq!(answers(bench, old).await.iter().map(|answer| answer.status).collect::<Vec<_>>(), [400]);
    for chunk in ["g\r\n", "-1d\r\n", "+1d\r\n", "0x1d\r\n", "ffffffffffffffffff\r\n"] {
        let answers = answers(bench, head("transfer-encoding: chunked\r\n") + chunk + GRANT + "\r\n0\r\n\r\n").await;
        assert!(answers.iter().all(|answer| answer.status == 400), "{chunk}: {answers:?}");
    }
    assert_eq!(issued(bench).await, before, "a request nobody can follow was processed");
}

pub(crate) async fn expectations(bench: &Bench) {
    let mut accepted = wire(bench).await;
    accepted.send(head("content-length: 29\r\nexpect: 100-continue\r\n")).await;
    assert_eq!(accepted.receive("POST").await.status, 100);
    accepted.send(GRANT).await;
    accepted.receive("POST").await.expect_token();

    let mut too_large = wire(bench).await;
    too_large.send(head("content-length: 16385\r\nexpect: 100-continue\r\n")).await;
    too_large.receive("POST").await.expect_error(413, "invalid_request");

    let mut unknown = wire(bench).await;
    unknown.send(head("content-length: 29\r\nexpect: foo\r\n")).await;
    unknown.receive("POST").await.expect_error(417, "invalid_request");
}

pub(crate) async fn fifty_at_once(bench: &Bench) {
    let mut wire = wire(bench).await;
    let scopes = ["invoices:read", "invoices:write", "invoices:read invoices:write", "canary", ""];
    let requests: Vec<Request> =
        (0..50).map(|i| bench.client("billing").token_request(scopes[i % scopes.len()])).collect();
    let bytes: Vec<u8> = requests.iter().flat_map(|request| wire.bytes_of(request)).collect();
    wire.send(bytes).await;
    let mut tokens = Vec::new();
    for i in 0..50 {
        let answer = wire.receive("POST").await;
        if scopes[i % scopes.len()] == "canary" {
            answer.expect_error(400, "invalid_scope");
        } else {
            tokens.push((scopes[i % scopes.len()], answer.expect_token()));
        }
    }
    for (scope, token) in tokens {
        let wanted = if scope.is_empty() { "invoices:read" } else { scope };
        let answer = wire.ask(&bench.client("billing").introspection_request(&token)).await;
        assert_eq!(answer.expect_active()["scope"], wanted);
    }
}
