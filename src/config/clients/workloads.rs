//! Trusted issuers, and which of their tokens prove a client (row W15).

use super::client_keys::{self, ClientKeys};
use super::members::{Members, Placed};
use crate::config::mistake::{Mistake, Origin};
use crate::oauth::workload::{TrustedIssuer, Workload};

/// What an `[[trusted_issuer]]` says.
pub(super) const ISSUER_MEMBERS: [&str; 7] =
    ["issuer", "jwks", "jwks_file", "jwks_uri", "jwks_ca_file", "jwks_token_file", "max_lifetime_seconds"];
/// What one of a client's `workloads` says.
const PARTS: [&str; 3] = ["issuer", "sub", "claims"];

const MAX_LIFETIME_SECONDS: u32 = 3600;
const MAX_LIFETIME_SECONDS_MAX: u32 = 86_400;

/// An issuer as one file has it.
#[derive(Clone, Debug)]
pub(crate) struct ReadIssuer {
    pub(crate) issuer: TrustedIssuer,
    /// The place of its `issuer`.
    pub(crate) origin: Origin,
}

/// Reads an issuer, and the file that its keys stand in.
pub(super) fn issuer(members: &Members<'_>) -> (Option<ReadIssuer>, ClientKeys) {
    let named = required(members, "issuer", "its `iss`, to the byte");
    let keys = client_keys::of_issuer(members);
    let lifetime = members.number("max_lifetime_seconds", 1, MAX_LIFETIME_SECONDS_MAX, "");
    let read = named.map(|(issuer, origin)| {
        let max_lifetime_seconds = lifetime.unwrap_or(MAX_LIFETIME_SECONDS).into();
        let jwks_uri = keys.place.clone().map(|(place, _)| place);
        ReadIssuer { issuer: TrustedIssuer { issuer, keys: keys.keys.clone(), jwks_uri, max_lifetime_seconds }, origin }
    });
    (read, keys)
}

/// Reads a client's `workloads`.
pub(super) fn of_client(members: &Members<'_>) -> Vec<Workload> {
    let one = |table: Members<'_>| {
        let issuer = required(&table, "issuer", "the `issuer` of a [[trusted_issuer]]");
        let subject = required(&table, "sub", "the whole `sub` of its tokens");
        let claims = table.object("claims").map(|(claims, _)| claims).unwrap_or_default();
        members.take_mistakes_of(table);
        Some(Workload { issuer: issuer?.0, subject: subject?.0, claims })
    };
    members.tables("workloads", &PARTS).into_iter().filter_map(one).collect()
}

fn required(members: &Members<'_>, name: &str, what: &str) -> Option<Placed> {
    if !members.has(name) {
        let mistake = Mistake::new(members.origin.clone(), format!("`{name}` is missing"));
        members.push(mistake.hint(format!("write {what}")));
        return None;
    }
    let (text, origin) = members.text(name)?;
    if text.is_empty() {
        members.mistake(origin, format!("`{name}` is empty"));
        return None;
    }
    Some((text, origin))
}
