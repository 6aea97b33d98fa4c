//! H09, H15 and H20 to H22: what holds in both versions of HTTP.

use crate::conformance::bench::Bench;
use crate::conformance::row::{ask, introspect, judge_any, revoke};
use crate::harness::request::{INTROSPECT, METADATA, REVOKE, TOKEN};
use crate::harness::{Http, Request, http2};

const GRANT: &str = "grant_type=client_credentials";

pub(crate) async fn too_large(bench: &Bench) {
    let body = format!("{GRANT}&a={}", "b".repeat(16 * 1024));
    bench.send(&ask(body)).await.expect_error(413, "invalid_request");
    let just_fitting = format!("{GRANT}{}", format!("&a={}", "b".repeat(8000)).repeat(2));
    bench.send(&ask(just_fitting)).await.expect_token();
}

pub(crate) async fn too_large_head(bench: &Bench) {
    if bench.http != Http::Two {
        return;
    }
    let mut wire = http2::Wire::connect(bench.server.public).await;
    // Beyond what the server's SETTINGS allow: an answer, or the end of the stream or of the connection; never work.
    if let Ok(answer) = wire.try_ask(&Request::get(METADATA).header("x-long", "a".repeat(17 * 1024))).await {
        assert_eq!(answer.status, 431, "{}", answer.told());
    }
    let mut many = Request::get(METADATA);
    for i in 0..65 {
        many = many.header(&format!("x-{i}"), "a");
    }
    let mut wire = http2::Wire::connect(bench.server.public).await;
    if let Ok(answer) = wire.try_ask(&many).await {
        assert_eq!(answer.status, 431, "{}", answer.told());
    }
}

pub(crate) async fn both_versions_on_one_listener(bench: &Bench) {
    for http in [Http::One, Http::Two, Http::One] {
        http.send(bench.server.public, &ask(GRANT)).await.expect_token();
    }
    // On one HTTP/2 connection streams stand beside each other.
    let wire = http2::Wire::connect(bench.server.public).await;
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut wire = wire.share();
        streams.spawn(async move { wire.ask(&ask(GRANT)).await.expect_token() });
    }
    let mut tokens = streams.join_all().await;
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 50);
}

pub(crate) async fn headers_of_every_answer(bench: &Bench) {
    let requests = [
        ask(GRANT),
        ask("grant_type=canary"),
        introspect("token={billing}"),
        introspect("token=canary"),
        revoke("token=canary"),
        revoke(""),
        Request::form(TOKEN, GRANT),
        Request::get(METADATA),
        Request::get("/health/alive"),
        Request::get("/health/ready"),
        Request::get("/canary"),
        Request::get(TOKEN),
        Request::new("BREW", "/canary"),
    ];
    for request in requests {
        let answer = bench.send(&request).await;
        judge_any(&request.method, &answer).unwrap_or_else(|why| panic!("{why}: {request:?}: {}", answer.told()));
    }
}

/// No input at all is answered by anything but a small JSON error.
pub(crate) async fn a_thousand_errors(bench: &Bench) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let pieces: Vec<&[u8]> = vec![
        b"grant_type",
        b"=",
        b"&",
        b"client_credentials",
        b"canary",
        b"%",
        b"%zz",
        b"\xff",
        b"\0",
        b"scope",
        b"token",
        b"+",
        b"client_id",
        b"client_secret",
        b"{",
        b"\"",
        b"../../etc/passwd",
        b"resource",
        b"audience",
        b"client_assertion",
        b"\r\n",
        b"<script>",
        b"%00",
        b"jt_",
        b";",
        b"password",
    ];
    let targets = [TOKEN, INTROSPECT, REVOKE, METADATA, "/canary", "/oauth2/token?token=canary"];
    let methods = ["POST", "POST", "POST", "POST", "PUT", "DELETE"];
    let kinds = ["application/x-www-form-urlencoded", "application/json", "text/plain", "canary", ""];
    for _ in 0..1000 {
        let body: Vec<u8> = (0..random.below(12)).flat_map(|_| pieces[random.below(pieces.len())].to_vec()).collect();
        let mut request =
            Request::new(methods[random.below(methods.len())], targets[random.below(targets.len())]).body(body);
        if random.below(4) > 0 {
            request = request.header("content-type", kinds[random.below(kinds.len())]);
        }
        request = match random.below(5) {
            0 => request,
            1 => request.header("authorization", ["Basic canary", "Bearer canary", "Basic", ""][random.below(4)]),
            _ => request.basic("billing", &crate::harness::clients::secret_of("billing")),
        };
        let answer = bench.send(&request).await;
        if ![200, 304].contains(&answer.status) {
            judge_any(&request.method, &answer).unwrap_or_else(|why| panic!("{why}: {request:?}: {}", answer.told()));
        }
        assert!(answer.status < 500, "{request:?}: {}", answer.told());
    }
}

/// xorshift: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}
