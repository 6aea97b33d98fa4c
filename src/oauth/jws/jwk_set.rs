//! The public keys of one party (RFC 7517 section 5), and the choice among them.
//!
//! Invariant: what a stranger makes us verify is bounded: a `kid` names few keys, and without one few are tried.

use serde_json::{Map, Value};

use super::Jws;
use super::jwk::{Jwk, JwkError};

/// Keys in one set: those of a large issuer in the midst of a rotation.
pub const KEYS_MAX: usize = 32;
/// Keys that are tried for one signature.
const TRIES_MAX: usize = 4;

/// Public keys of one party.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

/// What a set says of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One of the keys made it.
    Good,
    /// No key has that `kid` and fits the `alg`.
    NoKey,
    /// A key that should have made it did not.
    Bad,
}

/// Why a JSON object is no set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwkSetError {
    /// There is no array `keys` of objects.
    NoKeys,
    /// There are more than [`KEYS_MAX`].
    TooMany,
}

impl JwkSet {
    /// Reads a set, and why some of its keys are left out: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" […]
    /// values that are not understood by them, that are missing required members, or for which values are out of the supported
    /// ranges" (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`JwkSetError`].
    pub fn read(members: &Map<String, Value>) -> Result<(Self, Vec<JwkError>), JwkSetError> {
        let Some(Value::Array(listed)) = members.get("keys") else { return Err(JwkSetError::NoKeys) };
        if listed.len() > KEYS_MAX {
            return Err(JwkSetError::TooMany);
        }
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for key in listed {
            let Value::Object(key) = key else { return Err(JwkSetError::NoKeys) };
            match Jwk::read(key) {
                Ok(key) => keys.push(key),
                Err(why) => left_out.push(why),
            }
        }
        Ok((Self { keys }, left_out))
    }

    /// Whether there is no key in it.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of these keys made the signature. A `kid` in the header must be a key's; without one, all that fit are tried.
    pub fn verify(&self, jws: &Jws) -> Verdict {
        let mut verdict = Verdict::NoKey;
        for key in self.candidates(jws) {
            if jws.is_signed_by(key) {
                return Verdict::Good;
            }
            verdict = Verdict::Bad;
        }
        verdict
    }

    /// What somebody else should [settle](Jws::settle) before this is verified, where it would take long here.
    pub fn slow_keys(&self, jws: &Jws) -> Option<Vec<Jwk>> {
        if jws.is_settled() {
            return None;
        }
        let slow: Vec<Jwk> = self.candidates(jws).filter(|key| key.is_slow()).cloned().collect();
        (!slow.is_empty()).then_some(slow)
    }

    fn candidates(&self, jws: &Jws) -> impl Iterator<Item = &Jwk> {
        let header = &jws.header;
        let named = move |key: &&Jwk| header.kid.as_deref().is_none_or(|kid| key.kid() == Some(kid));
        self.keys.iter().filter(named).filter(move |key| key.fits(header.alg)).take(TRIES_MAX)
    }
}

impl std::fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKeys => f.write_str("it has no array `keys` of objects"),
            Self::TooMany => write!(f, "it has more than {KEYS_MAX} keys"),
        }
    }
}

impl std::error::Error for JwkSetError {}
