//! A proof of possession of a key: a JWT that is made for one request and signed by the key that stands in it, DPoP (RFC 9449).
//! Rows D02 and D03.
//!
//! Invariants: the key of a proof serves for that proof alone and is never one of a client; what is cheap is judged first, then the
//! signature, and that a proof was used is the last question of all, for the store.

pub mod nonce;
pub mod target;

use self::target::Target;
use super::jws::Jws;
use super::jws::jwk::Jwk;
use super::jwt::Claims;
use super::replay::{JTI_BYTES_MAX, SKEW_SECONDS, SingleUse};
use super::time::Timestamp;

/// How long after its making a proof is good. It is made for one request: this is how long that may be under way, and how far behind
/// a client's clock may be.
const AGE_MAX_SECONDS: u64 = 60;

/// A presented proof, well formed and not yet verified.
#[derive(Debug)]
pub struct Proof {
    jws: Jws,
    key: Jwk,
    claims: Claims,
    htm: String,
    htu: String,
    nonce: Option<String>,
}

/// Why a proof proves nothing. The sentence is for the client, whose developer has nothing else to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofFault {
    /// There is none, where there must be one (row D06).
    Missing,
    /// There are two.
    Several,
    /// No JWT of this kind, or a claim that is missing or of the wrong type.
    Malformed,
    /// Its key is none that signs proofs, or holds the private part.
    Key,
    /// It was made for another method or another URL.
    Target,
    /// It was made too long ago.
    Expired,
    /// It was made at a time that is still to come.
    Ahead,
    /// The signature is not its key's.
    Signature,
    /// It was used before.
    Replayed,
}

/// What a proof shows: whoever sent it holds this key, if it is the first use of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    /// The thumbprint of the key.
    pub jkt: [u8; 32],
    /// The use that must be its first.
    pub single_use: SingleUse,
}

impl Proof {
    /// The proof in the header fields of a request, of which there may be one: "There is not more than one DPoP HTTP request header
    /// field" (RFC 9449 section 4.3, check 1).
    ///
    /// # Errors
    /// As [`Proof::parse`], and [`ProofFault::Several`].
    pub fn of_fields<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Result<Option<Self>, ProofFault> {
        match (fields.next(), fields.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(ProofFault::Several),
            (Some(field), None) => {
                Self::parse(std::str::from_utf8(field).map_err(|_| ProofFault::Malformed)?).map(Some)
            }
        }
    }

    /// Reads a proof: checks 2 to 5 and 7 of RFC 9449 section 4.3.
    ///
    /// # Errors
    /// [`ProofFault::Malformed`], [`ProofFault::Key`].
    pub fn parse(text: &str) -> Result<Self, ProofFault> {
        let jws = Jws::parse(text).map_err(|_| ProofFault::Malformed)?;
        if jws.header.typ.as_deref() != Some("dpop+jwt") {
            return Err(ProofFault::Malformed);
        }
        // "The jwk JOSE Header Parameter does not contain a private key."
        let key = Jwk::read(jws.header.jwk.as_ref().ok_or(ProofFault::Malformed)?).map_err(|_| ProofFault::Key)?;
        if !key.fits(jws.header.alg) {
            return Err(ProofFault::Key);
        }
        let claims = Claims::read(&jws.payload).map_err(|_| ProofFault::Malformed)?;
        let text = |name: &str| {
            let text = jws.payload.get(name).and_then(|value| value.as_str());
            text.map(ToOwned::to_owned).ok_or(ProofFault::Malformed)
        };
        let (htm, htu) = (text("htm")?, text("htu")?);
        let nonce = match jws.payload.get("nonce") {
            None => None,
            Some(nonce) => Some(nonce.as_str().ok_or(ProofFault::Malformed)?.to_owned()),
        };
        Ok(Self { key, claims, htm, htu, nonce, jws })
    }

    /// The nonce that it holds, not yet judged.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// Whether it says that it was made for a request of `target`.
    pub fn is_for(&self, target: &Target) -> bool {
        target.is(&self.htm, &self.htu)
    }

    /// Whether to verify it takes about a millisecond, which somebody else should spend: who calls [`Proof::settle`].
    pub fn is_slow(&self) -> bool {
        self.key.is_slow() && !self.jws.is_settled()
    }

    /// Finds out whether its key signed it, and keeps it.
    pub fn settle(&self) {
        self.jws.settle(vec![self.key.clone()]);
    }

    /// Judges it for a request of `target`: checks 6, 8, 9 and 11.
    ///
    /// # Errors
    /// [`ProofFault`].
    pub fn verify(&self, target: &Target, now: Timestamp) -> Result<ProvenKey, ProofFault> {
        let (jti, made_at) = self.check(target, now)?;
        if !self.jws.is_signed_by(&self.key) {
            return Err(ProofFault::Signature);
        }
        let jkt = self.key.thumbprint();
        Ok(ProvenKey { jkt, single_use: SingleUse::of_proof(&jkt, jti, target.url(), made_at) })
    }

    /// The same but for its signature: its `jti`, and when it was made.
    ///
    /// # Errors
    /// [`ProofFault`].
    pub fn check(&self, target: &Target, now: Timestamp) -> Result<(&str, Timestamp), ProofFault> {
        let jti = self.claims.jti.as_deref().filter(|jti| (1..=JTI_BYTES_MAX).contains(&jti.len()));
        let jti = jti.ok_or(ProofFault::Malformed)?;
        if !self.is_for(target) {
            return Err(ProofFault::Target);
        }
        Ok((jti, self.check_times(now)?))
    }

    /// "The creation time of the JWT, as determined by either the iat claim or a server managed timestamp via the nonce claim, is
    /// within an acceptable window." Few proofs have an `exp` or an `nbf`; where they stand they mean what they mean in every JWT.
    fn check_times(&self, now: Timestamp) -> Result<Timestamp, ProofFault> {
        let (now, skew) = (now.unix_millis(), SKEW_SECONDS * 1000);
        let made_at = self.claims.iat.ok_or(ProofFault::Malformed)?;
        let is_over = |exp: Timestamp| exp.unix_millis().saturating_add(skew) <= now;
        let is_old = made_at.unix_millis().saturating_add(AGE_MAX_SECONDS * 1000) < now;
        if is_old || self.claims.exp.is_some_and(is_over) {
            return Err(ProofFault::Expired);
        }
        let is_ahead = |at: Timestamp| at.unix_millis() > now.saturating_add(skew);
        if is_ahead(made_at) || self.claims.nbf.is_some_and(is_ahead) {
            return Err(ProofFault::Ahead);
        }
        Ok(made_at)
    }
}

impl ProofFault {
    /// A sentence for the client's developer, in the characters of RFC 6749 section 5.2.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "this client's tokens are bound to a key, and there is no DPoP header field",
            Self::Several => "more than one DPoP header field",
            Self::Malformed => "the DPoP proof is no JWT of type dpop+jwt with jwk, jti, htm, htu and iat",
            Self::Key => "the key in the DPoP proof does not fit its alg, is not supported, or is a private one",
            Self::Target => {
                "the DPoP proof is for another method or URL than POST and the token endpoint of the metadata"
            }
            Self::Expired => "the DPoP proof was made too long ago",
            Self::Ahead => "the DPoP proof was made at a time that is still to come: look at the client's clock",
            Self::Signature => "the signature of the DPoP proof is not that of its key",
            Self::Replayed => "the DPoP proof was used before",
        }
    }
}

#[cfg(test)]
mod tests;
