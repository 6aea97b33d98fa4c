//! Section 2: parameters (RFC 6749 sections 3.1 and 3.2, appendix B).

use crate::conformance::row::Check::Json;
use crate::conformance::row::{Row, ask, ask_by, introspect, revoke, row};
use crate::harness::Request;
use crate::harness::clients::secret_of;
use crate::harness::request::{INTROSPECT, TOKEN};

const GRANT: &str = "grant_type=client_credentials";

pub(crate) fn rows() -> Vec<Row> {
    [repeated(), omitted(), decoded(), misencoded(), in_the_query(), bounded()].into_iter().flatten().collect()
}

fn repeated() -> Vec<Row> {
    let secret = secret_of("billing");
    let in_body = format!("{GRANT}&client_id=billing&client_secret={secret}");
    let post = |form: String| Request::form(TOKEN, form);
    vec![
        row("P01", "grant_type", ask(format!("{GRANT}&{GRANT}"))).error("invalid_request"),
        row("P01", "another grant_type", ask(format!("{GRANT}&grant_type=canary"))).error("invalid_request"),
        row("P01", "scope", ask(format!("{GRANT}&scope=invoices:read&scope=invoices:read"))).error("invalid_request"),
        row("P01", "client_id", post(format!("{in_body}&client_id=billing"))).error("invalid_request"),
        row("P01", "client_secret", post(format!("{in_body}&client_secret={secret}"))).error("invalid_request"),
        row("P01", "client_assertion", post(format!("{GRANT}&client_assertion=a&client_assertion=a")))
            .error("invalid_request"),
        row("P01", "token at introspection", introspect("token={billing}&token={billing}")).error("invalid_request"),
        row("P01", "token at revocation", revoke("token={billing}&token={billing}")).error("invalid_request"),
        row("P01", "token_type_hint", introspect("token={billing}&token_type_hint=a&token_type_hint=a"))
            .error("invalid_request"),
        row("P01", "token_type_hint at revocation", revoke("token={revoked}&token_type_hint=a&token_type_hint=a"))
            .error("invalid_request"),
        row(
            "P02",
            "resource",
            ask(format!("{GRANT}&resource=https://api.example.com&resource=https://other.example.com/v1")),
        )
        .token(),
        row("P03", "foo", ask(format!("foo=bar&{GRANT}"))).token(),
        row("P03", "foo at introspection", introspect("foo=bar&token={billing}")).active(),
        row("P04", "foo and foo", ask(format!("foo=bar&{GRANT}&foo=bar"))).token(),
    ]
}

fn omitted() -> Vec<Row> {
    let default = || Json("/scope", "invoices:read".into());
    vec![
        row("P05", "scope=", ask(format!("{GRANT}&scope="))).token().with(default()),
        row("P05", "scope", ask(format!("scope&{GRANT}"))).token().with(default()),
        row("P05", "empty pairs", ask(format!("&&{GRANT}&"))).token().with(default()),
        row("P06", "client_secret=", ask(format!("{GRANT}&client_secret="))).token(),
        row("P06", "client_id= and client_secret=", ask(format!("client_id=&client_secret=&{GRANT}"))).token(),
        row("P07", "grant_type=", ask("grant_type=")).error("invalid_request"),
        row("P07", "grant_type", ask("grant_type")).error("invalid_request"),
    ]
}

fn decoded() -> Vec<Row> {
    vec![
        row("P08", "%-escapes", ask("gr%61nt%5ftype=client%5Fcredentials&scope=invoices%3Aread"))
            .token()
            .grants("scope", "invoices:read"),
        row("P08", "+ as a space", ask(format!("{GRANT}&scope=invoices:read+invoices:write")))
            .token()
            .grants("scope", "invoices:read invoices:write"),
        row("P08", "%20", ask(format!("{GRANT}&scope=invoices:read%20invoices:write")))
            .token()
            .grants("scope", "invoices:read invoices:write"),
        row("P08", "%2B as a plus", ask_by("plus", format!("{GRANT}&scope=a%2Bb"))).token().grants("scope", "a+b"),
        row("P13", "Grant_Type", ask("Grant_Type=client_credentials")).error("invalid_request"),
        row("P13", "INVOICES:READ", ask(format!("{GRANT}&scope=INVOICES:READ"))).error("invalid_scope"),
    ]
}

fn misencoded() -> Vec<Row> {
    let bad: [(&str, &[u8]); 8] = [
        ("%zz", b"%zz"),
        ("%4", b"%4"),
        ("%", b"%"),
        ("%ff", b"%ff"),
        ("%00", b"%00"),
        ("an overlong NUL", b"%c0%80"),
        ("a raw NUL", b"\0"),
        ("a raw byte that is no UTF-8", b"\xff"),
    ];
    let mut rows = Vec::new();
    for (name, value) in bad {
        let form = |parameter: &[u8]| [GRANT.as_bytes(), b"&", parameter, b"=", value].concat();
        rows.push(row("P09", format!("{name} in scope"), ask(form(b"scope"))).error("invalid_request"));
        rows.push(
            row("P09", format!("{name} in a token"), introspect([b"token=", value].concat())).error("invalid_request"),
        );
    }
    rows
}

fn in_the_query() -> Vec<Row> {
    let at = |query: &str, form: &str| Request { target: format!("{TOKEN}?{query}"), ..ask(form) };
    let secret = secret_of("billing");
    let bare = Request::form(&format!("{TOKEN}?client_id=billing&client_secret={secret}"), GRANT);
    let token = Request { target: format!("{INTROSPECT}?token={{billing}}"), ..introspect("") };
    vec![
        row("P10", "client_secret", bare).error("invalid_request"),
        row("P10", "client_secret beside Basic", at("client_secret=canary", GRANT)).error("invalid_request"),
        row("P10", "client_assertion", at("client_assertion=canary", GRANT)).error("invalid_request"),
        row("P10", "token", token).error("invalid_request"),
        row("P10", "access_token", at("access_token=canary", GRANT)).error("invalid_request"),
        row("P10", "an escaped client_secret", at("client%5Fsecret=canary", GRANT)).error("invalid_request"),
        row("P10", "grant_type alone", at(GRANT, "")).error("invalid_request"),
        row("P10", "grant_type beside the body's", at("grant_type=canary", GRANT)).token(),
        row("P10", "client_id beside Basic", at("client_id=canary", GRANT)).token(),
        row("P11", "a query of its own", at("tenant=acme&v=2", GRANT)).token(),
        row("P11", "an empty query", at("", GRANT)).token(),
    ]
}

fn bounded() -> Vec<Row> {
    let many = |count: usize| format!("{GRANT}{}", "&a=b".repeat(count - 1));
    let named = |bytes: usize| format!("{GRANT}&{}=b", "a".repeat(bytes));
    let valued = |bytes: usize| format!("{GRANT}&a={}", "b".repeat(bytes));
    vec![
        row("P12", "64 parameters", ask(many(64))).token(),
        row("P12", "65 parameters", ask(many(65))).error("invalid_request"),
        row("P12", "a name of 256 bytes", ask(named(256))).token(),
        row("P12", "a name of 257 bytes", ask(named(257))).error("invalid_request"),
        row("P12", "a value of 8 KiB", ask(valued(8192))).token(),
        row("P12", "a value of 8 KiB and 1", ask(valued(8193))).error("invalid_request"),
    ]
}
