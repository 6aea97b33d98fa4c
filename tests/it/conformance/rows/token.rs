//! Section 4: token request and response (RFC 6749 sections 3.3, 4.4, 5.1 and 5.2).

use serde_json::Value;

use crate::conformance::row::Check::{Absent, Header, Json};
use crate::conformance::row::{Row, ask, ask_by, row};
use crate::harness::Request;
use crate::harness::request::TOKEN;

const GRANT: &str = "grant_type=client_credentials";

pub(crate) fn rows() -> Vec<Row> {
    let scoped = |scope: &str| ask(format!("{GRANT}&scope={scope}"));
    let mut rows = vec![
        row("K01", "a token", scoped("invoices:read"))
            .token()
            .with(Header("content-type", "application/json"))
            .with(Json("/expires_in", 600.into()))
            .grants("scope", "invoices:read"),
        row("K01", "of the usual lifetime", ask_by("reporting", GRANT)).token().with(Json("/expires_in", 3600.into())),
        row("K02", "nothing else", ask(GRANT)).token().with(Absent("/refresh_token")).with(Absent("/id_token")),
        row("K03", "its type", ask(GRANT))
            .token()
            .with(Json("/token_type", "Bearer".into()))
            .grants("token_type", "Bearer"),
        row("K04", "its characters", ask(GRANT)).token(),
        row("K05", "no grant_type", ask("scope=invoices:read")).error("invalid_request"),
        row("K05", "an empty form", ask("")).error("invalid_request"),
        row("K06", "an unknown client asks for an unknown grant", Request::form(TOKEN, "grant_type=canary"))
            .unauthorized(),
        row("K07", "both", scoped("invoices:read%20invoices:write"))
            .token()
            .grants("scope", "invoices:read invoices:write"),
        row("K07", "in another order", scoped("invoices:write%20invoices:read"))
            .token()
            .grants("scope", "invoices:read invoices:write"),
        row("K07", "twice", scoped("invoices:read%20invoices:read")).token().grants("scope", "invoices:read"),
        row("K08", "unknown", scoped("canary")).error("invalid_scope"),
        row("K08", "another client's", scoped("reports:write")).error("invalid_scope"),
        row("K08", "one of two unknown", scoped("invoices:read%20canary")).error("invalid_scope"),
        row("K08", "a client with none asks for one", ask_by("bare", format!("{GRANT}&scope=invoices:read")))
            .error("invalid_scope"),
        row("K10", "the default", ask(GRANT)).token().with(Json("/scope", "invoices:read".into())),
        row("K10", "all", ask_by("reporting", GRANT))
            .token()
            .with(Json("/scope", "invoices:read reports:write".into())),
        row("K10", "none", ask_by("bare", GRANT)).token().with(Absent("/scope")).grants("scope", Value::Null),
    ];
    for grant_type in
        ["authorization_code", "password", "refresh_token", "canary", "CLIENT_CREDENTIALS", "client_credentials%20"]
    {
        let request = ask(format!("grant_type={grant_type}&username=canary&password=canary&code=canary"));
        rows.push(row("K06", grant_type, request).error("unsupported_grant_type"));
    }
    for (name, scope) in [
        ("a quote", "invoices:read%22"),
        ("a backslash", "invoices%5Cread"),
        ("a control character", "invoices%01read"),
        ("a tab", "invoices:read%09invoices:write"),
        ("a line end", "invoices:read%0Ainvoices:write"),
        ("DEL", "invoices%7Fread"),
        ("no ASCII", "invoices%C3%A9"),
        ("a leading space", "%20invoices:read"),
        ("a trailing space", "invoices:read%20"),
        ("two spaces", "invoices:read%20%20invoices:write"),
        ("a space alone", "%20"),
    ] {
        rows.push(row("K09", name, scoped(scope)).error("invalid_scope"));
    }
    rows
}
