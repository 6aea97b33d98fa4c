//! What many tokens have in common: the client, its subject, the scope, the audience and the claims that an introspection shows.
//!
//! Invariants: a grant never changes; scope and audience are sorted and without duplicates, and its canonical JSON has sorted
//! members, so two requests for the same thing give the same bytes on every node; it holds no time.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client_id::ClientId;
use super::scope::Scope;

/// This process' own, so that no client finds grants that meet in one place of a table.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// A grant, with its canonical bytes and the introspection members that it gives, ready to send.
pub struct Grant {
    parts: GrantParts,
    canonical: Box<[u8]>,
    /// Of the canonical bytes, by which tables find it: once a grant, not once a token.
    hash: u64,
    introspection: Box<str>,
    claims: Box<str>,
}

/// What a grant is made of. Serialised, this is its canonical form: members in this order, which is sorted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantParts {
    /// Whose tokens may be used there (RFC 7519 `aud`); sorted, no duplicates; empty: no audience.
    pub audience: Vec<String>,
    /// Extra members of the introspection answer. `serde_json`'s map is sorted by name.
    pub claims: Map<String, Value>,
    /// The client that the tokens are issued to.
    pub client_id: ClientId,
    /// What they allow; empty: no scope.
    pub scope: Scope,
    /// RFC 7662 `sub`.
    pub subject: String,
}

/// The bytes are no grant in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAGrant;

impl Grant {
    /// A grant of these parts; audiences are sorted and made distinct here.
    pub fn new(mut parts: GrantParts) -> Arc<Self> {
        parts.audience.sort_unstable();
        parts.audience.dedup();
        let canonical = to_json(&parts).into_bytes().into_boxed_slice();
        let introspection = introspection_members(&parts).into_boxed_str();
        let claims = claim_members(&parts).into_boxed_str();
        let hash = HASHES.hash_one(&canonical);
        Arc::new(Self { parts, canonical, hash, introspection, claims })
    }

    /// Reads a grant from what [`Grant::canonical`] gave, here or on another node.
    ///
    /// # Errors
    /// [`NotAGrant`] where the bytes are anything else.
    pub fn from_canonical(bytes: &[u8]) -> Result<Arc<Self>, NotAGrant> {
        serde_json::from_slice(bytes).map(Self::new).map_err(|_| NotAGrant)
    }

    /// The bytes that name the grant: equal for equal grants.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The client that the tokens are issued to.
    pub fn client_id(&self) -> &ClientId {
        &self.parts.client_id
    }

    /// What the tokens allow.
    pub fn scope(&self) -> &Scope {
        &self.parts.scope
    }

    /// Where they may be used; sorted.
    pub fn audience(&self) -> &[String] {
        &self.parts.audience
    }

    /// The `scope`, `client_id`, `sub` and `aud` of an introspection answer as JSON members, without braces, never empty.
    pub fn introspection_members(&self) -> &str {
        &self.introspection
    }

    /// The client's claims as JSON members, each with a comma before it; empty where there are none.
    pub fn claim_members(&self) -> &str {
        &self.claims
    }
}

fn introspection_members(parts: &GrantParts) -> String {
    let mut members = String::new();
    if !parts.scope.is_empty() {
        members.push_str(&format!("\"scope\":{},", to_json(&parts.scope)));
    }
    members.push_str(&format!("\"client_id\":{},\"sub\":{}", to_json(&parts.client_id), to_json(&parts.subject)));
    match parts.audience.as_slice() {
        [] => {}
        [one] => members.push_str(&format!(",\"aud\":{}", to_json(one))),
        many => members.push_str(&format!(",\"aud\":{}", to_json(many))),
    }
    members
}

fn claim_members(parts: &GrantParts) -> String {
    parts.claims.iter().map(|(name, value)| format!(",{}:{value}", to_json(name))).collect()
}

/// Strings, string lists and JSON values have no serialisation that fails.
fn to_json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.hash == other.hash && self.canonical == other.canonical)
    }
}

impl Eq for Grant {}

impl Hash for Grant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grant").field(&self.parts).finish()
    }
}

impl fmt::Display for NotAGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the canonical form of a grant")
    }
}

impl std::error::Error for NotAGrant {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(audience: &[&str]) -> GrantParts {
        GrantParts {
            audience: audience.iter().map(ToString::to_string).collect(),
            claims: serde_json::from_str(r#"{"tenant":"acme","a":1}"#).unwrap(),
            client_id: ClientId::new("billing"),
            scope: Scope::parse("write read").unwrap(),
            subject: "svc:billing".into(),
        }
    }

    #[test]
    fn equal_requests_give_equal_bytes() {
        let (a, b) = (Grant::new(parts(&["y", "x", "y"])), Grant::new(parts(&["x", "y"])));
        assert_eq!(a.canonical(), b.canonical());
        let golden = r#"{"audience":["x","y"],"claims":{"a":1,"tenant":"acme"},"client_id":"billing","scope":"read write","subject":"svc:billing"}"#;
        assert_eq!(std::str::from_utf8(a.canonical()), Ok(golden));
        assert_eq!(Grant::from_canonical(a.canonical()).unwrap(), a);
        assert_eq!(Grant::from_canonical(b"{}"), Err(NotAGrant));
    }

    #[test]
    fn an_audience_is_a_string_when_there_is_one_and_absent_when_there_is_none() {
        let members = |audience: &[&str]| Grant::new(parts(audience)).introspection_members().to_string();
        let start = r#""scope":"read write","client_id":"billing","sub":"svc:billing""#;
        assert_eq!(members(&[]), start);
        assert_eq!(members(&["x"]), format!("{start},\"aud\":\"x\""));
        assert_eq!(members(&["x", "y"]), format!("{start},\"aud\":[\"x\",\"y\"]"));
        assert_eq!(Grant::new(parts(&[])).claim_members(), r#","a":1,"tenant":"acme""#);
    }
}
