//! Section 3: client authentication (RFC 6749 sections 2.3 and 5.2).

use data_encoding::BASE64;

use crate::conformance::row::Check::HeaderHas;
use crate::conformance::row::{Row, ask, ask_by, row};
use crate::harness::Request;
use crate::harness::clients::{ODD_ID, ODD_SECRET, RAW_SECRET, secret_of};
use crate::harness::request::{INTROSPECT, REVOKE, TOKEN, encode, form};

const GRANT: &str = "grant_type=client_credentials";
const ASSERTION: &str =
    "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=canary";

pub(crate) fn rows() -> Vec<Row> {
    [right(), readings(), malformed(), wrong(), several(), registered()].into_iter().flatten().collect()
}

fn bare(more: &str) -> Request {
    Request::form(TOKEN, format!("{GRANT}&{more}"))
}

fn in_body(id: &str, secret: &str) -> Request {
    bare(&form(&[("client_id", id), ("client_secret", secret)]))
}

fn authorization(value: impl AsRef<[u8]>) -> Request {
    Request::form(TOKEN, GRANT).header("authorization", value)
}

fn right() -> Vec<Row> {
    let secret = secret_of("billing");
    let token =
        form(&[("token", "{billing}"), ("client_id", "orders-api"), ("client_secret", &secret_of("orders-api"))]);
    vec![
        row("A01", "Basic", ask(GRANT)).token(),
        row("A01", "in the body", in_body("billing", &secret)).token(),
        row(
            "A01",
            "in the body, at introspection",
            Request::form(INTROSPECT, token.replace("%7B", "{").replace("%7D", "}")),
        )
        .active(),
        row("A13", "Basic and the same client_id", ask(format!("{GRANT}&client_id=billing"))).token(),
        row("A18", "the old secret", Request::form(TOKEN, GRANT).basic("rotating", &secret_of("rotating"))).token(),
        row("A18", "the new secret", Request::form(TOKEN, GRANT).basic("rotating", &secret_of("rotating, once more")))
            .token(),
    ]
}

fn readings() -> Vec<Row> {
    let basic_raw = |credentials: &str| Request::form(TOKEN, GRANT).basic_raw(credentials);
    let credentials = BASE64.encode(format!("billing:{}", secret_of("billing")).as_bytes());
    vec![
        row("A02", "form-encoded", Request::form(TOKEN, GRANT).basic(ODD_ID, ODD_SECRET)).token(),
        row("A02", "in the body", in_body(ODD_ID, ODD_SECRET)).token(),
        row("A02", "with %20 for a space", basic_raw(&format!("{}:{}", percent(ODD_ID), percent(ODD_SECRET)))).token(),
        row("A03", "raw, its escapes bad", basic_raw(&format!("{ODD_ID}:{ODD_SECRET}"))).token(),
        row("A03", "raw, its escapes good", basic_raw(&format!("raw:{RAW_SECRET}"))).token(),
        row("A03", "form-encoded", Request::form(TOKEN, GRANT).basic("raw", RAW_SECRET)).token(),
        row("A04", "basic", authorization(format!("basic {credentials}"))).token(),
        row("A04", "BASIC", authorization(format!("BASIC {credentials}"))).token(),
        row("A04", "two spaces", authorization(format!("Basic  {credentials}"))).token(),
        row("A04", "garbage behind", authorization(format!("Basic {credentials} garbage"))).unauthorized(),
    ]
}

fn percent(text: &str) -> String {
    encode(text).replace('+', "%20")
}

fn malformed() -> Vec<Row> {
    let encoded = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
    vec![
        row("A05", "no base64", authorization("Basic !canary!")).unauthorized(),
        row("A05", "no colon", authorization(encoded("canary"))).unauthorized(),
        row("A05", "an empty id", authorization(encoded(":canary"))).unauthorized(),
        row("A05", "an empty secret", authorization(encoded("billing:"))).unauthorized(),
        row("A05", "nothing behind Basic", authorization("Basic")).unauthorized(),
        row("A05", "no text", authorization(b"Basic \xff\xfe")).unauthorized(),
        row("A05", "no UTF-8 within", authorization(format!("Basic {}", BASE64.encode(b"\xff:\xff")))).unauthorized(),
        row("A05", "an empty header", authorization("")).unauthorized(),
        row("A20", "Bearer", authorization("Bearer canary")).unauthorized(),
        row("A20", "Bearer with a live token", authorization("Bearer {gateway}")).unauthorized(),
        row("A20", "a scheme nobody knows", authorization("Canary canary")).unauthorized(),
        row("A21", "two headers", ask(GRANT).basic("billing", &secret_of("billing"))).error("invalid_request"),
        row("A21", "two headers of two kinds", ask(GRANT).bearer("canary")).error("invalid_request"),
    ]
}

fn wrong() -> Vec<Row> {
    let wrong = "canary-0123456789-0123456789-0123456789-0123";
    vec![
        row("A06", "a wrong secret", Request::form(TOKEN, GRANT).basic("billing", wrong)).unauthorized(),
        row("A06", "at introspection", Request::form(INTROSPECT, "token={billing}").basic("orders-api", wrong))
            .unauthorized(),
        row("A06", "at revocation", Request::form(REVOKE, "token={billing}").basic("billing", wrong)).unauthorized(),
        row("A07", "an unknown client", Request::form(TOKEN, GRANT).basic("canary", wrong)).unauthorized(),
        row("A08", "a wrong secret in the body", in_body("billing", wrong)).unauthorized(),
        row("A08", "an unknown client in the body", in_body("canary", wrong)).unauthorized(),
        row("A09", "nothing", Request::form(TOKEN, GRANT)).unauthorized(),
        row("A09", "client_id alone", bare("client_id=billing")).unauthorized(),
        row("A09", "client_secret alone", bare("client_secret=canary")).unauthorized(),
        row("A17", "a disabled client", ask_by("disabled", GRANT)).unauthorized(),
        row("A17", "an expired secret", Request::form(TOKEN, GRANT).basic("ending", &secret_of("ending, before")))
            .unauthorized(),
        row("A17", "the one beside it", ask_by("ending", GRANT)).token(),
    ]
}

fn several() -> Vec<Row> {
    let secret = |id: &str| secret_of(id);
    let post = |id: &str, secret: &str| form(&[("client_id", id), ("client_secret", secret)]);
    let billing = post("billing", &secret("billing"));
    let orders = post("orders-api", &secret("orders-api"));
    let at = |target: &str, id: &str, form: String| Request::form(target, form).basic(id, &secret(id));
    vec![
        row("A10", "at the token endpoint", ask(format!("{GRANT}&{billing}"))).error("invalid_request"),
        row("A10", "client_secret alone beside Basic", ask(format!("{GRANT}&client_secret={}", secret("billing"))))
            .error("invalid_request"),
        row("A10", "at revocation", at(REVOKE, "billing", format!("token={{billing}}&{billing}")))
            .error("invalid_request"),
        row("A10", "the same at introspection", at(INTROSPECT, "orders-api", format!("token={{billing}}&{orders}")))
            .active(),
        row(
            "A10",
            "a differing secret at introspection",
            at(INTROSPECT, "orders-api", format!("token={{billing}}&{}", post("orders-api", "canary"))),
        )
        .error("invalid_request"),
        row("A11", "Basic and an assertion", ask(format!("{GRANT}&{ASSERTION}"))).error("invalid_request"),
        row("A11", "a secret and an assertion", bare(&format!("{billing}&{ASSERTION}"))).error("invalid_request"),
        row("A11", "two assertions", bare(&format!("{ASSERTION}&client_assertion=canary2"))).error("invalid_request"),
        row("A11", "an assertion that is none", bare(ASSERTION)).unauthorized(),
        row("A12", "another client_id", ask(format!("{GRANT}&client_id=reporting"))).error("invalid_request"),
    ]
}

fn registered() -> Vec<Row> {
    let by_post = |id: &str| in_body(id, &secret_of(id));
    vec![
        row("A14", "basic as registered", ask_by("strict-basic", GRANT)).token(),
        row("A14", "post where basic is registered", by_post("strict-basic")).unauthorized(),
        row("A14", "post as registered", by_post("strict-post")).token(),
        row("A14", "basic where post is registered", ask_by("strict-post", GRANT)).unauthorized(),
        row("A14", "basic where post is registered, not strictly", ask_by("loose-post", GRANT)).token(),
        row("A16", "no grant", ask_by("nogrants", GRANT)).error("unauthorized_client"),
        row("A16", "a resource server", ask_by("orders-api", GRANT)).error("unauthorized_client"),
        row("A09", "its challenge", Request::form(TOKEN, GRANT))
            .unauthorized()
            .with(HeaderHas("www-authenticate", "Basic")),
    ]
}
