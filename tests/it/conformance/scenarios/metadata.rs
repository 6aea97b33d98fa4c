//! H03, M02, M04 and M09: the document, and whether it is true.

use crate::conformance::bench::Bench;
use crate::conformance::row::{ask, introspect, revoke};
use crate::harness::config::ISSUER;
use crate::harness::request::METADATA;
use crate::harness::{Request, TestServer};

pub(crate) async fn head_is_get_without_its_body(bench: &Bench) {
    for target in [METADATA, "/.well-known/openid-configuration"] {
        let get = bench.send(&Request::get(target)).await.expect(200).without_date();
        let head = bench.send(&Request::new("HEAD", target)).await.expect(200).without_date();
        assert_eq!(head.body, b"");
        let sorted = |mut headers: Vec<(String, String)>| {
            headers.sort();
            headers
        };
        assert_eq!(sorted(head.headers), sorted(get.headers));
    }
}

pub(crate) async fn issuer_with_a_path(bench: &Bench) {
    let server = TestServer::builder().set("issuer", "https://as.example/t1").start().await;
    let send = async |request: Request| bench.http.send(server.public, &request).await;
    let inserted = send(Request::get("/.well-known/oauth-authorization-server/t1")).await.expect(200).json();
    let appended = send(Request::get("/t1/.well-known/openid-configuration")).await.expect(200).json();
    assert_eq!(inserted, appended);
    assert_eq!(inserted["issuer"], "https://as.example/t1");
    assert_eq!(inserted["token_endpoint"], "https://as.example/t1/oauth2/token");
    // A proxy in front may take the path off.
    send(Request::get(METADATA)).await.expect(200);
    send(Request::get("/.well-known/openid-configuration")).await.expect(200);
    for prefix in ["", "/t1"] {
        let moved = |request: Request| Request { target: format!("{prefix}{}", request.target), ..request };
        let token = send(moved(ask("grant_type=client_credentials"))).await.expect_token();
        let answer = send(moved(introspect(format!("token={token}")))).await.expect_active();
        assert_eq!(answer["iss"], "https://as.example/t1");
        send(moved(revoke(format!("token={token}")))).await.expect_revoked();
    }
    send(Request::get("/.well-known/oauth-authorization-server/t2")).await.expect(404);
    send(Request::form("/t2/oauth2/token", "")).await.expect(404);
}

pub(crate) async fn endpoints_answer(bench: &Bench) {
    let document = bench.send(&Request::get(METADATA)).await.expect(200).json();
    for member in ["token_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        let url = document[member].as_str().unwrap_or_else(|| panic!("no {member}"));
        let path = url.strip_prefix(ISSUER).unwrap_or_else(|| panic!("{url} is not below the issuer"));
        bench.send(&Request::form(path, "")).await.expect_error(401, "invalid_client");
    }
}

pub(crate) async fn not_modified(bench: &Bench) {
    let first = bench.send(&Request::get(METADATA)).await.expect(200);
    let tag = first.header("etag").expect("an ETag").to_owned();
    let listed = format!("\"canary\", {tag}");
    for value in [tag.as_str(), "*", &listed, &format!("W/{tag}")] {
        let again = bench.send(&Request::get(METADATA).header("if-none-match", value)).await.expect(304);
        assert_eq!(again.body, b"", "{value}");
        assert_eq!(again.header("etag"), Some(tag.as_str()), "{value}");
    }
    bench.send(&Request::get(METADATA).header("if-none-match", "\"canary\"")).await.expect(200);
}

pub(crate) async fn needs_no_store(bench: &Bench) {
    let server = bench.without_store().start().await;
    let answer = bench.http.send(server.public, &Request::get(METADATA)).await.expect(200);
    let with_store = bench.send(&Request::get(METADATA)).await.expect(200);
    assert_eq!(answer.body, with_store.body);
}
