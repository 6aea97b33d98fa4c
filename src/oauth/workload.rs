//! Workload identity: tokens that others made for a workload (a cluster for its service accounts, SPIFFE, a CI system) as proof of which client
//! it is, so that it needs no secret of ours. Row W15.
//!
//! Invariant: an assertion whose `iss` is a trusted issuer is judged by what is configured of that issuer and by nothing else: its keys are
//! never those that the assertion names, and whole strings are compared.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::jws::jwk_set::JwkSet;
use super::key_place::KeyPlace;

/// Whom tokens of workloads are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its `iss`.
    pub issuer: String,
    /// Its public keys.
    pub keys: JwkSet,
    /// Where it publishes them, where it is not said what they are.
    pub jwks_uri: Option<KeyPlace>,
    /// How far ahead an `exp` may lie.
    pub max_lifetime_seconds: u64,
}

/// Which tokens of an issuer are a client's.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The issuer's `iss`.
    pub issuer: String,
    /// `sub`, whole.
    pub subject: String,
    /// Further claims, each of which must be there with just this value.
    pub claims: Map<String, Value>,
}

/// All trusted issuers, with whom their tokens prove: a `T` each.
#[derive(Debug)]
pub struct Workloads<T>(HashMap<String, Trusted<T>>);

#[derive(Debug)]
struct Trusted<T> {
    issuer: TrustedIssuer,
    /// By `sub`, in the order in which they were given.
    proven: HashMap<String, Vec<Proven<T>>>,
}

/// Which claims must be there, and whom they prove.
type Proven<T> = (Map<String, Value>, T);

/// What is configured of the issuer of one assertion.
#[derive(Debug)]
pub struct Rules<'a, T>(&'a Trusted<T>);

impl Workload {
    /// Whether claims may be just what both say.
    pub fn may_fit_with(&self, other: &Self) -> bool {
        let differs = |(name, value): (&String, &Value)| other.claims.get(name).is_some_and(|known| known != value);
        !self.claims.iter().any(differs)
    }
}

impl<T> Workloads<T> {
    /// Of these issuers. What is said of another is for nothing.
    pub fn new<'a>(
        issuers: impl IntoIterator<Item = TrustedIssuer>,
        proven: impl IntoIterator<Item = (&'a Workload, T)>,
    ) -> Self {
        let trusted = |issuer: TrustedIssuer| (issuer.issuer.clone(), Trusted { issuer, proven: HashMap::new() });
        let mut all: HashMap<String, Trusted<T>> = issuers.into_iter().map(trusted).collect();
        for (workload, who) in proven {
            if let Some(trusted) = all.get_mut(&workload.issuer) {
                let of_subject = trusted.proven.entry(workload.subject.clone()).or_default();
                of_subject.push((workload.claims.clone(), who));
            }
        }
        Self(all)
    }

    /// The issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.0.values().map(|trusted| &trusted.issuer)
    }

    /// What holds for assertions with this `iss`, if it is a trusted issuer's.
    pub fn of(&self, iss: &str) -> Option<Rules<'_, T>> {
        self.0.get(iss).map(Rules)
    }
}

impl<'a, T> Rules<'a, T> {
    /// Whom an assertion of this `sub` and with these claims proves, once its signature is verified.
    pub fn proven(&self, subject: &str, claims: &Map<String, Value>) -> Option<&'a T> {
        let of_subject = self.0.proven.get(subject)?;
        let fits = |expected: &Map<String, Value>| expected.iter().all(|(name, value)| claims.get(name) == Some(value));
        of_subject.iter().find(|(expected, _)| fits(expected)).map(|(_, who)| who)
    }

    /// The issuer.
    pub fn issuer(&self) -> &'a TrustedIssuer {
        &self.0.issuer
    }
}

impl<T> Default for Workloads<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn w15_a_subject_and_all_claims_of_a_rule_must_be_there_whole() {
        let issuer = |issuer: &str| TrustedIssuer {
            issuer: issuer.into(),
            keys: JwkSet::default(),
            jwks_uri: None,
            max_lifetime_seconds: 3600,
        };
        let workload = |issuer: &str, subject: &str, claims: Value| Workload {
            issuer: issuer.into(),
            subject: subject.into(),
            claims: object(claims),
        };
        let said = [
            workload("https://a", "repo", json!({ "ref": "main" })),
            workload("https://a", "repo", json!({ "ref": "next", "by": { "id": 1 } })),
            workload("https://b", "repo", json!({})),
            workload("https://c", "repo", json!({})),
        ];
        let workloads = Workloads::new([issuer("https://a"), issuer("https://b")], said.iter().zip(0..));
        let proven = |iss: &str, sub: &str, claims: Value| {
            workloads.of(iss).and_then(|rules| rules.proven(sub, &object(claims)).copied())
        };
        assert_eq!(proven("https://a", "repo", json!({ "ref": "main", "more": 1 })), Some(0));
        assert_eq!(proven("https://a", "repo", json!({ "ref": "next", "by": { "id": 1 } })), Some(1));
        assert_eq!(proven("https://b", "repo", json!({ "ref": "x" })), Some(2));
        for (iss, sub, claims) in [
            ("https://a", "repo", json!({})),
            ("https://a", "repo", json!({ "ref": "mainline" })),
            ("https://a", "repo", json!({ "ref": ["main"] })),
            ("https://a", "repo", json!({ "ref": "next", "by": { "id": 1, "name": "x" } })),
            ("https://a", "rep", json!({ "ref": "main" })),
            ("https://a", "repo/x", json!({ "ref": "main" })),
            ("https://a/", "repo", json!({ "ref": "main" })),
        ] {
            assert_eq!(proven(iss, sub, claims), None, "{iss} {sub}");
        }
        assert!(workloads.of("https://c").is_none(), "nobody trusts it");
    }
}
