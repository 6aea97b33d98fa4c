//! Section 5: introspection (RFC 7662).

use serde_json::json;

use crate::conformance::row::Check::{Absent, HeaderHas, Json, NoStore};
use crate::conformance::row::{Row, introspect, introspect_by, row};
use crate::harness::Request;
use crate::harness::clients::API;
use crate::harness::config::ISSUER;
use crate::harness::request::INTROSPECT;

pub(crate) fn rows() -> Vec<Row> {
    [answers(), callers(), bearers(), inactive()].into_iter().flatten().collect()
}

fn answers() -> Vec<Row> {
    vec![
        row("I01", "all members", introspect("token={billing}"))
            .active()
            .with(Json("/scope", "invoices:read".into()))
            .with(Json("/client_id", "billing".into()))
            .with(Json("/sub", "billing".into()))
            .with(Json("/aud", API.into()))
            .with(Json("/iss", ISSUER.into()))
            .with(Json("/token_type", "Bearer".into()))
            .with(Absent("/cnf")),
        row("I01", "several audiences", introspect("token={reporting}"))
            .active()
            .with(Json("/aud", json!([API, "reports"]))),
        row("I01", "no scope", introspect("token={bare}")).active().with(Absent("/scope")),
        row("I01", "the client's claims", introspect("token={named}"))
            .active()
            .with(Json("/tenant", "acme".into()))
            .with(Json("/level", 7.into()))
            .with(Json("/tags", json!(["a", "b"]))),
        row("I07", "no token", introspect("")).error("invalid_request"),
        row("I07", "an empty token", introspect("token=")).error("invalid_request"),
        row("I07", "token without =", introspect("token")).error("invalid_request"),
        row("I08", "refresh_token", introspect("token={billing}&token_type_hint=refresh_token")).active(),
        row("I08", "access_token", introspect("token={billing}&token_type_hint=access_token")).active(),
        row("I08", "foo", introspect("token={billing}&token_type_hint=foo")).active(),
        row("I08", "empty", introspect("token={billing}&token_type_hint=")).active(),
        row("I16", "the client", introspect("token={billing}"))
            .active()
            .with(Json("/sub", "billing".into()))
            .with(Absent("/username")),
        row("I16", "its subject", introspect("token={named}"))
            .active()
            .with(Json("/sub", "svc:named".into()))
            .with(Json("/client_id", "named".into()))
            .with(Absent("/username")),
    ]
}

fn callers() -> Vec<Row> {
    let wrong = "canary-0123456789-0123456789-0123456789-0123";
    vec![
        row("I02", "GET", Request::get(INTROSPECT)).error_at(405, "invalid_request"),
        row("I02", "GET with a token", Request::get(&format!("{INTROSPECT}?token={{billing}}")))
            .error_at(405, "invalid_request"),
        row("I03", "nobody", Request::form(INTROSPECT, "token={billing}"))
            .error_at(401, "invalid_client")
            .with(HeaderHas("www-authenticate", "Basic realm="))
            .with(HeaderHas("www-authenticate", "Bearer")),
        row("I04", "a wrong secret", Request::form(INTROSPECT, "token={billing}").basic("orders-api", wrong))
            .unauthorized(),
        row("I04", "a disabled caller", introspect_by("disabled", "token={billing}")).unauthorized(),
        row("I09", "of its audience", introspect("token={billing}")).active(),
        row("I09", "of another audience", introspect_by("elsewhere-api", "token={billing}")).inactive(),
        row("I09", "all", introspect_by("auditor", "token={billing}")).active(),
        row("I09", "its own", introspect_by("billing", "token={billing}")).active(),
        row("I09", "its own, with no audience", introspect_by("bare", "token={bare}")).active(),
        row("I09", "another client's", introspect_by("reporting", "token={billing}")).inactive(),
    ]
}

fn bearers() -> Vec<Row> {
    let by = |bearer: &str, form: &str| Request::form(INTROSPECT, form).bearer(bearer);
    let mut rows = vec![
        row("I05", "an authorised bearer", by("{gateway}", "token={billing}")).active(),
        row("I05", "and an inactive token", by("{gateway}", "token={revoked}")).inactive(),
        row("I05", "itself", by("{gateway}", "token={gateway}")).active(),
        row("I05", "no token", by("{gateway}", "")).error("invalid_request"),
        row(
            "I05",
            "in another case",
            Request::form(INTROSPECT, "token={billing}").header("authorization", "bearer {gateway}"),
        )
        .active(),
    ];
    for bearer in ["{billing}", "{bare}", "{revoked}", "{expired}", "{unknown}", "{foreign}", "canary"] {
        rows.push(
            row("I05", format!("by {bearer}"), by(bearer, "token={billing}"))
                .gives(401)
                .with(NoStore)
                .with(HeaderHas("www-authenticate", "Bearer"))
                .with(HeaderHas("www-authenticate", "error=\"invalid_token\"")),
        );
    }
    rows
}

fn inactive() -> Vec<Row> {
    let mut rows: Vec<Row> =
        ["{unknown}", "{expired}", "{revoked}", "{foreign}", "canary", "+", "jt_", "%C3%A9", "jt_%C3%A9"]
            .into_iter()
            .map(|token| row("I06", token, introspect(format!("token={token}"))).inactive())
            .collect();
    let long = "a".repeat(6 * 1024);
    rows.extend([
        row("I12", "like a JWT", introspect("token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.")).inactive(),
        row("I12", "of 6 KB", introspect(format!("token={long}"))).inactive(),
        row("I12", "of 6 KB with our prefix", introspect(format!("token=jt_{long}"))).inactive(),
        row("I12", "a live one and more", introspect("token={billing}A")).inactive(),
        row("I12", "a live one and a space", introspect("token={billing}+")).inactive(),
    ]);
    rows
}
