//! `profile = "bcp"`, the stricter rules of RFC 9700: row B02, and of W05 what it asks.

use serde_json::{Value, json};

use crate::harness::config::ISSUER;
use crate::harness::request::{INTROSPECT, METADATA, REVOKE, TOKEN, encode, form};
use crate::harness::signer::{Assertion, KEYS, SIGNER, asking, possession, proof};
use crate::harness::{Answer, Request, TestServer, until};

async fn start() -> TestServer {
    // The fixture's signer gets an audience when it asks for none; this one does not.
    let keys = toml::Value::try_from(KEYS.jwks()).unwrap();
    let aimless = format!(
        "[[client]]\nclient_id = \"aimless\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks = {keys}\nscope = \"invoices:read\"\n"
    );
    TestServer::builder().set("profile", "bcp").and_client(&aimless).start().await
}

/// The answer to a request with an assertion of this client, once the store knows all uses of what is made now.
async fn ask(server: &TestServer, make: impl Fn() -> Request) -> Answer {
    until("the end of what the store may have forgotten", async || {
        let answer = server.send(&make()).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

fn bound(request: Request) -> Request {
    request.header("dpop", possession("ES256").sign())
}

fn signed(assertion: &Assertion) -> Request {
    Request::form(TOKEN, asking(&assertion.sign(), &[]))
}

#[tokio::test]
async fn b02_a_token_is_bound_and_meant_for_somebody_or_there_is_none() {
    let server = start().await;
    let of = Assertion::of;
    let issued = ask(&server, || bound(signed(&of(SIGNER)))).await;
    assert_eq!(issued.expect_token_type(), "DPoP");
    let token = issued.expect_token();
    let about = |endpoint: &str, assertion: &Assertion| {
        let proven = proof(&assertion.sign()).map(|(name, value)| format!("{name}={}", encode(value))).join("&");
        Request::form(endpoint, format!("{proven}&token={token}"))
    };
    ask(&server, || about(INTROSPECT, &of(SIGNER))).await.expect_active();

    ask(&server, || signed(&of(SIGNER))).await.expect_error(400, "invalid_request");
    ask(&server, || bound(signed(&of("aimless")))).await.expect_error(400, "invalid_target");
    // Nobody is told by a right secret.
    for (id, secret) in [("billing", None), ("billing", Some("wrong")), ("nobody", Some("x"))] {
        let secret = secret.map_or_else(|| crate::harness::clients::secret_of(id), str::to_owned);
        for endpoint in [TOKEN, INTROSPECT, REVOKE] {
            let body = form(&[("grant_type", "client_credentials"), ("token", &token)]);
            let by_header = Request::form(endpoint, body.clone()).basic(id, &secret);
            server.send(&bound(by_header)).await.expect_error(401, "invalid_client");
            let in_body = format!("{body}&client_id={id}&client_secret={}", encode(&secret));
            server.send(&bound(Request::form(endpoint, in_body))).await.expect_error(401, "invalid_client");
        }
    }
    let counted = ["auth_method=\"client_secret_basic\"", "outcome=\"method_not_registered\""];
    assert_eq!(server.metric("jeton_client_authentications_total", &counted).await, 9.0);
    ask(&server, || about(REVOKE, &of(SIGNER))).await.expect(200);
}

/// W05: the issuer and nothing else.
#[tokio::test]
async fn w05_an_assertion_is_meant_for_the_issuer_alone() {
    let server = start().await;
    let token = format!("{ISSUER}{TOKEN}");
    for aud in [json!(ISSUER), json!([ISSUER])] {
        ask(&server, || bound(signed(&Assertion::of(SIGNER).claim("aud", aud.clone())))).await.expect_token();
    }
    for aud in [json!(token), json!([ISSUER, token]), json!([]), Value::Null] {
        let assertion = Assertion::of(SIGNER).claim("aud", aud);
        ask(&server, || bound(signed(&assertion))).await.expect_error(401, "invalid_client");
    }
}

#[tokio::test]
async fn m08_no_secret_and_no_bearer_is_advertised() {
    let server = start().await;
    let told = server.get(METADATA).await.expect(200).json();
    for endpoint in ["token", "introspection", "revocation"] {
        assert_eq!(told[format!("{endpoint}_endpoint_auth_methods_supported")], json!(["private_key_jwt"]));
    }
}
