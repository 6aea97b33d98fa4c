//! Section 1: what HTTP asks of every endpoint.

use crate::conformance::row::Check::{Body, Header, NoHeader};
use crate::conformance::row::{Row, ask, introspect, revoke, row};
use crate::harness::Request;
use crate::harness::request::{INTROSPECT, METADATA, REVOKE, TOKEN};

const GRANT: &str = "grant_type=client_credentials";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("H03", "POST on the metadata", Request::new("POST", METADATA))
            .error_at(405, "invalid_request")
            .with(Header("allow", "GET, HEAD")),
        row("H03", "DELETE on the other metadata", Request::new("DELETE", "/.well-known/openid-configuration"))
            .error_at(405, "invalid_request")
            .with(Header("allow", "GET, HEAD")),
        row("H03", "HEAD on the metadata", Request::new("HEAD", METADATA))
            .with(Header("content-type", "application/json"))
            .with(Body("")),
        row("H04", "JSON", typed("application/json", r#"{"grant_type":"client_credentials"}"#))
            .error("invalid_request"),
        row("H06", "ISO 8859-1", typed("application/x-www-form-urlencoded; charset=iso-8859-1", GRANT))
            .error("invalid_request"),
        row("H07", "no type and no body", ask("").without("content-type")).error("invalid_request"),
        row("H07", "no type and no body at introspection", introspect("").without("content-type"))
            .error("invalid_request"),
        row("H07", "no type and no body at revocation", revoke("").without("content-type")).error("invalid_request"),
        row("H08", "multipart", typed("multipart/form-data; boundary=b", MULTIPART)).error("invalid_request"),
        row("H16", "a target of 9 KiB", Request::get(&format!("/{}", "a".repeat(9 * 1024))))
            .error_at(414, "invalid_request"),
        row("H18", "a compressed body", ask(GRANT).header("content-encoding", "gzip")).error_at(415, "invalid_request"),
        row("H18", "a compressed token", introspect("token={billing}").header("content-encoding", "br"))
            .error_at(415, "invalid_request"),
    ];
    for target in [TOKEN, INTROSPECT, REVOKE] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
            rows.push(
                row("H01", format!("{method} {target}"), Request::new(method, target))
                    .error_at(405, "invalid_request")
                    .with(Header("allow", "POST")),
            );
        }
    }
    for target in ["/canary", "/", "/oauth2/token/", "/oauth2", "/oauth2/TOKEN", "/metrics", "/admin/oauth2/introspect"]
    {
        for method in ["GET", "POST"] {
            rows.push(
                row("H02", format!("{method} {target}"), Request::new(method, target))
                    .gives(404)
                    .with(Header("content-type", "application/json"))
                    .with(NoHeader("location")),
            );
        }
    }
    for kind in [
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"utf-8\"",
        "APPLICATION/X-WWW-Form-URLencoded",
        "application/x-www-form-urlencoded ;  charset=utf-8 ",
    ] {
        rows.push(row("H05", kind, typed(kind, GRANT)).token());
    }
    rows
}

fn typed(kind: &str, body: &str) -> Request {
    ask(body).without("content-type").header("content-type", kind)
}

const MULTIPART: &str =
    "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--b--\r\n";
