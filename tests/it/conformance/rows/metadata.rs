//! Section 7: authorization server metadata (RFC 8414).

use serde_json::json;

use crate::conformance::row::Check::{Absent, Header, HeaderHas, Json};
use crate::conformance::row::{Row, row};
use crate::harness::Request;
use crate::harness::config::ISSUER;
use crate::harness::request::METADATA;

pub(crate) fn rows() -> Vec<Row> {
    let get = || Request::get(METADATA);
    let methods = json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]);
    let algorithms = json!(["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]);
    let mut rows = vec![
        row("M01", "its place", get())
            .with(Header("content-type", "application/json"))
            .with(Json("/issuer", ISSUER.into())),
        row("M01", "its other place", Request::get("/.well-known/openid-configuration"))
            .with(Header("content-type", "application/json"))
            .with(Json("/issuer", ISSUER.into())),
        row("M03", "the issuer", get()).with(Json("/issuer", ISSUER.into())),
        row("M04", "token_endpoint", get()).with(Json("/token_endpoint", format!("{ISSUER}/oauth2/token").into())),
        row("M04", "introspection_endpoint", get())
            .with(Json("/introspection_endpoint", format!("{ISSUER}/oauth2/introspect").into())),
        row("M04", "revocation_endpoint", get())
            .with(Json("/revocation_endpoint", format!("{ISSUER}/oauth2/revoke").into())),
        row("M05", "grant types", get()).with(Json("/grant_types_supported", json!(["client_credentials"]))),
        row("M06", "response types", get()).with(Json("/response_types_supported", json!([]))),
        row("M07", "at the token endpoint", get())
            .with(Json("/token_endpoint_auth_methods_supported", methods.clone())),
        row("M07", "at revocation", get()).with(Json("/revocation_endpoint_auth_methods_supported", methods)),
        row("M09", "how long it may be kept", get()).with(HeaderHas("cache-control", "max-age=300")),
        row("M09", "by whom", get()).with(HeaderHas("cache-control", "public")),
        row("M09", "another ETag", get().header("if-none-match", "\"canary\"")).with(Json("/issuer", ISSUER.into())),
    ];
    let of_proofs = "/dpop_signing_alg_values_supported";
    rows.push(row("M08", of_proofs, get()).with(Json(of_proofs, algorithms.clone())));
    for endpoint in ["token", "revocation", "introspection"] {
        let member: &'static str = format!("/{endpoint}_endpoint_auth_signing_alg_values_supported").leak();
        rows.push(row("M07", member, get()).with(Json(member, algorithms.clone())));
    }
    for unsupported in [
        "/tls_client_certificate_bound_access_tokens",
        "/mtls_endpoint_aliases",
        "/introspection_signing_alg_values_supported",
        "/jwks_uri",
        "/registration_endpoint",
        "/authorization_endpoint",
    ] {
        rows.push(row("M08", unsupported, get()).with(Absent(unsupported)));
    }
    rows
}
