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

const ACTIVE: &[u8] = b"{\"active\":true,";
const ISS: &[u8] = b",\"iss\":";
const EXP: &[u8] = b",\"exp\":";
const IAT: &[u8] = b",\"iat\":";
const NBF: &[u8] = b",\"nbf\":";
const JTI: &[u8] = b",\"jti\":\"";
const TYPE: &[u8] = b"\",\"token_type\":\"";

/// The JSON body of an active token. `issuer_json`: the issuer as a JSON string with its quotes.
pub fn active_body(address: &TokenAddress, record: &TokenRecord, issuer_json: &str) -> Vec<u8> {
    let (members, claims) = (record.grant.introspection_members(), record.grant.claim_members());
    let (mut issued, mut expires, mut jti) = (itoa::Buffer::new(), itoa::Buffer::new(), [0; JTI_CHARS]);
    let issued = issued.format(record.issued_at_seconds()).as_bytes();
    let expires = expires.format(record.expires_at_seconds()).as_bytes();
    let token_type = Confirmation::token_type(record.confirmation.as_ref());
    // As long as it will be, but for a bound token's: a body with room left costs an allocation more on its way to the socket.
    let names = ACTIVE.len() + ISS.len() + EXP.len() + IAT.len() + NBF.len() + JTI.len() + TYPE.len() + 2;
    let values = members.len() + issuer_json.len() + expires.len() + 2 * issued.len() + JTI_CHARS + token_type.len();
    let mut out = Vec::with_capacity(names + values + claims.len());
    out.extend_from_slice(ACTIVE);
    out.extend_from_slice(members.as_bytes());
    out.extend_from_slice(ISS);
    out.extend_from_slice(issuer_json.as_bytes());
    out.extend_from_slice(EXP);
    out.extend_from_slice(expires);
    out.extend_from_slice(IAT);
    out.extend_from_slice(issued);
    out.extend_from_slice(NBF);
    out.extend_from_slice(issued);
    out.extend_from_slice(JTI);
    out.extend_from_slice(address.jti_in(&mut jti).as_bytes());
    out.extend_from_slice(TYPE);
    out.extend_from_slice(token_type.as_bytes());
    out.push(b'"');
    push_confirmation(&mut out, record.confirmation.as_ref());
    out.extend_from_slice(claims.as_bytes());
    out.push(b'}');
    out
}

/// `cnf` (RFC 7800 section 3.1): `x5t#S256` of RFC 8705 section 3.2, `jkt` of RFC 9449 section 6.2.
fn push_confirmation(out: &mut Vec<u8>, confirmation: Option<&Confirmation>) {
    let Some(confirmation) = confirmation else { return };
    let thumbprints = [("x5t#S256", confirmation.x5t_s256), ("jkt", confirmation.jkt)];
    let mut before = ",\"cnf\":{";
    for (name, thumbprint) in thumbprints {
        let Some(thumbprint) = thumbprint else { continue };
        for piece in [before, "\"", name, "\":\"", &BASE64URL_NOPAD.encode(&thumbprint), "\""] {
            out.extend_from_slice(piece.as_bytes());
        }
        before = ",";
    }
    if before == "," {
        out.push(b'}');
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
