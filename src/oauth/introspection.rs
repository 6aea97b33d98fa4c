//! The introspection response: RFC 7662 section 2.2, and who may see a token: rows I01, I05, I06, I09, I16.

use super::client::{Client, Clients};
use super::grant::Grant;
use super::time::Timestamp;
use super::token::{TokenAddress, TokenRecord};

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
    todo!()
}

/// Whether `caller` may see a token of `grant` (I09).
pub fn may_see(caller: &Client, grant: &Grant) -> bool {
    todo!()
}

/// Whether the client of a Bearer token may call introspection with it (I05): it has the introspection capability, the token is not
/// bound, and its audience, where there is one, holds the issuer.
pub fn may_call_with_bearer(client: &Client, record: &TokenRecord, issuer: &str) -> bool {
    todo!()
}

/// The JSON body of an active token. `issuer_json`: the issuer as a JSON string with its quotes.
pub fn active_body(address: &TokenAddress, record: &TokenRecord, issuer_json: &str) -> Vec<u8> {
    todo!()
}

/// The JSON body for an operator: the active one, or `active`: false with a `reason` (the label value of the metric).
pub fn inactive_body_with_reason(reason: &str) -> Vec<u8> {
    todo!()
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
