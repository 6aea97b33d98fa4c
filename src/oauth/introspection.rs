//! The introspection response: RFC 7662 section 2.2, and who may see a token: rows I01, I05, I06, I09, I16.

use data_encoding::BASE64URL_NOPAD;

use super::client::{Client, Clients, IntrospectionRight};
use super::grant::Grant;
use super::token::{Confirmation, JTI_CHARS, TokenAddress, TokenRecord};

/// The answer for every token that is not active, to the byte.
pub const INACTIVE: &str = r#"{"active":false}"#;

/// Why a token that a store knows is not active for this question; label values of the metric, never shown to a resource server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    /// The client is no longer registered.
    ClientGone,
    /// The client is disabled.
    ClientDisabled,
    /// Issued at or before the client's `not_before`.
    NotBefore,
    /// The caller may not see it.
    NotForCaller,
}

/// Whether the token's client still stands behind it: registered, enabled, issued after its `not_before`.
///
/// # Errors
/// [`Inactive`] but `NotForCaller`.
pub fn check_client(record: &TokenRecord, clients: &Clients) -> Result<(), Inactive> {
    let client = clients.get(record.grant.client_id().as_str()).ok_or(Inactive::ClientGone)?.registration();
    if client.disabled {
        return Err(Inactive::ClientDisabled);
    }
    match client.not_before {
        Some(not_before) if record.issued_at <= not_before => Err(Inactive::NotBefore),
        _ => Ok(()),
    }
}

/// Whether `caller` may see a token of `grant` (I09).
pub fn may_see(caller: &Client, grant: &Grant) -> bool {
    if caller.id() == grant.client_id() {
        return true;
    }
    match &caller.registration().introspection {
        IntrospectionRight::OwnOnly => false,
        IntrospectionRight::Audiences(audiences) => {
            grant.audience().iter().any(|one| audiences.binary_search(one).is_ok())
        }
        IntrospectionRight::All => true,
    }
}

/// Whether the client of a Bearer token may call introspection with it (I05): it has the introspection capability, the token is not
/// bound, and its audience, where there is one, holds the issuer.
pub fn may_call_with_bearer(client: &Client, record: &TokenRecord, issuer: &str) -> bool {
    let capable = match &client.registration().introspection {
        IntrospectionRight::OwnOnly => false,
        IntrospectionRight::Audiences(audiences) => !audiences.is_empty(),
        IntrospectionRight::All => true,
    };
    let audience = record.grant.audience();
    // A token meant for some API must not let that API introspect in its client's name.
    let meant_for_us = audience.is_empty() || audience.iter().any(|one| one == issuer);
    capable && record.confirmation.is_none() && meant_for_us
}

/// The JSON body of an active token. `issuer_json`: the issuer as a JSON string with its quotes.
pub fn active_body(address: &TokenAddress, record: &TokenRecord, issuer_json: &str) -> Vec<u8> {
    let (mut issued, mut expires, mut jti) = (itoa::Buffer::new(), itoa::Buffer::new(), [0; JTI_CHARS]);
    let issued = issued.format(record.issued_at_seconds());
    let confirmation = record.confirmation.as_ref();
    let pieces = [
        "{\"active\":true,",
        record.grant.introspection_members(),
        ",\"iss\":",
        issuer_json,
        ",\"exp\":",
        expires.format(record.expires_at_seconds()),
        ",\"iat\":",
        issued,
        ",\"nbf\":",
        issued,
        ",\"jti\":\"",
        address.jti_in(&mut jti),
        "\",\"token_type\":\"",
        Confirmation::token_type(confirmation),
        "\"",
        &confirmation.map(confirmation_member).unwrap_or_default(),
        record.grant.claim_members(),
        "}",
    ];
    // As long as it needs to be: what has room left costs an allocation more on its way to the socket.
    pieces.concat().into_bytes()
}

/// `cnf` (RFC 7800 section 3.1): `x5t#S256` of RFC 8705 section 3.2, `jkt` of RFC 9449 section 6.2. With a comma before it; empty where
/// there is neither.
fn confirmation_member(confirmation: &Confirmation) -> String {
    let thumbprints = [("x5t#S256", confirmation.x5t_s256), ("jkt", confirmation.jkt)];
    let members = thumbprints
        .into_iter()
        .filter_map(|(name, thumbprint)| Some(format!("\"{name}\":\"{}\"", BASE64URL_NOPAD.encode(&thumbprint?))));
    match members.collect::<Vec<_>>().join(",") {
        none if none.is_empty() => none,
        some => format!(",\"cnf\":{{{some}}}"),
    }
}

/// The JSON body for an operator of an inactive token; `reason`: the label value of the metric.
pub fn inactive_body_with_reason(reason: &str) -> Vec<u8> {
    format!("{{\"active\":false,\"reason\":\"{reason}\"}}").into_bytes()
}

/// Claims that a registration may not set, since the answer itself has them (I15).
pub const RESERVED_CLAIMS: &[&str] = &[
    "active",
    "scope",
    "client_id",
    "username",
    "token_type",
    "exp",
    "iat",
    "nbf",
    "sub",
    "aud",
    "iss",
    "jti",
    "cnf",
    "reason",
];

#[cfg(test)]
mod tests;
