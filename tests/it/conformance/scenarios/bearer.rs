//! K15 and K16: endpoints that are protected by a bearer token (RFC 6750).

use crate::conformance::bench::Bench;
use crate::conformance::row::introspect;
use crate::harness::config::ADMIN_TOKEN;
use crate::harness::request::INTROSPECT;
use crate::harness::{Answer, Request, TestServer};

const ADMIN: &str = "/admin/oauth2/introspect";

async fn ask_admin(bench: &Bench, request: &Request) -> Answer {
    bench.http.send(bench.server.admin, &bench.with_tokens(request).await).await
}

pub(crate) async fn admin(bench: &Bench) {
    let form = || Request::form(ADMIN, "token={billing}");
    let nobody = ask_admin(bench, &form()).await.expect(401);
    let challenge = nobody.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer realm=") && !challenge.contains("error"), "{challenge}");

    let wrong = ask_admin(bench, &form().bearer("canary")).await.expect(401);
    let challenge = wrong.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer") && challenge.contains("error=\"invalid_token\""), "{challenge}");

    let malformed = ask_admin(bench, &form().header("authorization", "Bearer")).await;
    assert!([400, 401].contains(&malformed.status), "{}", malformed.told());
    let twice = form().bearer(ADMIN_TOKEN).bearer(ADMIN_TOKEN);
    ask_admin(bench, &twice).await.expect_error(400, "invalid_request");

    // A token that jeton issued opens nothing here.
    ask_admin(bench, &form().bearer("{gateway}")).await.expect(401);

    let right = ask_admin(bench, &form().bearer(ADMIN_TOKEN)).await.expect_active();
    assert_eq!(right["client_id"], "billing");
    for (token, reason) in
        [("{revoked}", "not_found"), ("{expired}", "expired"), ("{foreign}", "forged"), ("canary", "malformed")]
    {
        let request = Request::form(ADMIN, format!("token={token}")).bearer(ADMIN_TOKEN);
        let answer = ask_admin(bench, &request).await.expect(200).expect_no_store().json();
        assert_eq!(answer["active"], false, "{token}");
        // Its page may have died with the token, or live a moment longer.
        let either = token == "{expired}" && answer["reason"] == "not_found";
        assert!(either || answer["reason"] == reason, "{token}: {answer}");
    }
}

pub(crate) async fn admin_switched_off(bench: &Bench) {
    let server = TestServer::builder().unset("admin.token_file").start().await;
    for request in [Request::form(ADMIN, "token=canary"), Request::form(ADMIN, "token=canary").bearer(ADMIN_TOKEN)] {
        let answer = bench.http.send(server.admin, &request).await.expect_error(403, "access_denied");
        assert!(
            answer.json()["error_description"].as_str().is_some_and(|text| text.contains("token_file")),
            "{}",
            answer.told()
        );
    }
    // The token opens nothing on the public listener.
    bench.send(&Request::form(ADMIN, "token=canary").bearer(ADMIN_TOKEN)).await.expect(404);
}

pub(crate) async fn in_the_wrong_place(bench: &Bench) {
    let in_query =
        Request { target: format!("{INTROSPECT}?access_token={{gateway}}"), ..Request::form("", "token={billing}") };
    bench.send(&in_query).await.expect_error(400, "invalid_request");
    let in_query_beside = in_query.bearer("{gateway}");
    bench.send(&in_query_beside).await.expect_error(400, "invalid_request");
    let in_body = Request::form(INTROSPECT, "token={billing}&access_token={gateway}").bearer("{gateway}");
    bench.send(&in_body).await.expect_error(400, "invalid_request");
    let admin = Request::form(&format!("{ADMIN}?access_token={ADMIN_TOKEN}"), "token={billing}");
    ask_admin(bench, &admin).await.expect_error(400, "invalid_request");
    // Beside Basic it is a parameter nobody knows.
    bench.send(&introspect("token={billing}&foo=bar")).await.expect_active();
}
