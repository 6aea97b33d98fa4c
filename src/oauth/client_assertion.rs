//! A client's assertion: a JWT that it signed itself, `private_key_jwt` (RFC 7521 section 4.2, RFC 7523 section 3). Rows W03 to W12.
//!
//! Invariant: what is cheap is judged first. A signature is verified only for a registered client whose claims are right, and that an
//! assertion was used is the last question of all, for the store.

use super::endpoint::Endpoint;
use super::jws::jwk::Jwk;
use super::jws::jwk_set::{JwkSet, Verdict};
use super::jws::{Jws, JwsError};
use super::jwt::Claims;
use super::metadata::Issuer;
use super::profile::Profile;
use super::replay::{JTI_BYTES_MAX, SKEW_SECONDS, SingleUse};
use super::time::Timestamp;
use super::workload::Rules;

/// `client_assertion_type` of a JWT.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far ahead an `exp` may lie, and how long ago an assertion may have been made: what is good for longer is good for whoever
/// steals it.
const LIFETIME_MAX_SECONDS: u64 = 300;

/// A presented assertion, well formed and not yet verified.
#[derive(Debug)]
pub struct ClientAssertion {
    jws: Jws,
    claims: Claims,
}

/// Why an assertion does not prove who sent it. One answer to the client; told apart for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionFault {
    /// No JWT, or one of a kind that is not for this.
    Malformed,
    /// `iss`, `sub` or `jti` are missing or not what they must be.
    Claims,
    /// It is meant for somebody else, or for others too.
    Audience,
    /// It is over, or made too long ago.
    Expired,
    /// It is not good yet, or for longer than an assertion may be.
    Times,
    /// The client has no key that it names, or none for its algorithm.
    Key,
    /// The signature is not its key's.
    Signature,
    /// It was used before.
    Replayed,
}

/// The `aud` that assertions may have: what client libraries send.
#[derive(Clone, Debug)]
pub struct Audiences {
    issuer: String,
    /// The URLs of the endpoints, and those on the listener that asks for certificates. None where the issuer alone is meant.
    bases: Vec<String>,
}

impl Audiences {
    /// Those of a server, which may also be called at the URL `mtls`. By [`Profile::Bcp`] the issuer alone: an endpoint's URL is one that
    /// another server can make a client believe in, and so get an assertion that is good here (CVE-2025-27370, CVE-2025-27371).
    pub fn of(issuer: &Issuer, mtls: Option<&str>, profile: Profile) -> Self {
        let bases = match profile {
            Profile::Default => std::iter::once(issuer.as_str()).chain(mtls).map(str::to_owned).collect(),
            Profile::Bcp => Vec::new(),
        };
        Self { issuer: issuer.as_str().to_owned(), bases }
    }

    /// "The JWT MUST contain an "aud" (audience) claim containing a value that identifies the authorization server as an intended
    /// audience. The token endpoint URL of the authorization server MAY be used" (RFC 7523 section 3). Nobody else may be meant: who
    /// else gets it could use it here.
    fn are_meant(&self, aud: &[String], sent_to: Endpoint) -> bool {
        let paths = [Endpoint::Token.path(), sent_to.path()];
        let is_endpoint = |aud: &str| {
            self.bases.iter().any(|base| aud.strip_prefix(base.as_str()).is_some_and(|path| paths.contains(&path)))
        };
        !aud.is_empty() && aud.iter().all(|aud| *aud == self.issuer || is_endpoint(aud))
    }
}

impl ClientAssertion {
    /// Reads an assertion.
    ///
    /// # Errors
    /// [`AssertionFault::Malformed`], [`AssertionFault::Key`] for an algorithm that no key here has.
    pub fn parse(text: &str) -> Result<Self, AssertionFault> {
        let jws = Jws::parse(text).map_err(|error| match error {
            JwsError::Malformed | JwsError::Critical => AssertionFault::Malformed,
            JwsError::UnknownAlgorithm => AssertionFault::Key,
        })?;
        // A JWT that was made for something else is none for this (RFC 8725 section 3.11). "JOSE" says no more than that it is a JWS, and
        // may stand in a JWT-SVID (its section 2.3).
        let is_for_this =
            jws.header.typ.as_deref().is_none_or(|typ| matches!(typ, "jwt" | "jose" | "client-authentication+jwt"));
        if !is_for_this || jws.header.jwk.is_some() || jws.header.points_to_keys {
            return Err(AssertionFault::Malformed);
        }
        let claims = Claims::read(&jws.payload).map_err(|_| AssertionFault::Malformed)?;
        Ok(Self { jws, claims })
    }

    /// Who it says it is from: "For client authentication, the subject MUST be the "client_id"" (RFC 7523 section 3).
    pub fn subject(&self) -> Option<&str> {
        self.claims.sub.as_deref()
    }

    /// Judges all but the signature; gives the use that must be its first.
    ///
    /// # Errors
    /// [`AssertionFault`].
    pub fn check(
        &self,
        client_id: &str,
        audiences: &Audiences,
        sent_to: Endpoint,
        now: Timestamp,
    ) -> Result<SingleUse, AssertionFault> {
        let claims = &self.claims;
        let [iss, sub] = [&claims.iss, &claims.sub].map(Option::as_deref);
        if iss != Some(client_id) || sub != Some(client_id) {
            return Err(AssertionFault::Claims);
        }
        let jti = claims.jti.as_deref().filter(|jti| (1..=JTI_BYTES_MAX).contains(&jti.len()));
        let jti = jti.ok_or(AssertionFault::Claims)?;
        if !audiences.are_meant(&claims.aud, sent_to) {
            return Err(AssertionFault::Audience);
        }
        let made_at = check_times(claims, now, LIFETIME_MAX_SECONDS)?;
        Ok(SingleUse::of_assertion(client_id, jti, made_at))
    }

    /// Who it says that it is made by.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.iss.as_deref()
    }

    /// Judges a token that a trusted issuer made for a workload (row W15), all but the signature: whom it proves. It is good again until
    /// its `exp`: nobody who only carries it could have another made for each request.
    ///
    /// # Errors
    /// [`AssertionFault`].
    pub fn check_of_workload<'a, T>(
        &self,
        rules: &Rules<'a, T>,
        audiences: &Audiences,
        now: Timestamp,
    ) -> Result<Option<&'a T>, AssertionFault> {
        let subject = self.claims.sub.as_deref().ok_or(AssertionFault::Claims)?;
        if self.claims.aud != [audiences.issuer.as_str()] {
            return Err(AssertionFault::Audience);
        }
        check_times(&self.claims, now, rules.issuer().max_lifetime_seconds)?;
        Ok(rules.proven(subject, &self.jws.payload))
    }

    /// Whether its header says which key signed it.
    pub fn names_its_key(&self) -> bool {
        self.jws.header.kid.is_some()
    }

    /// What somebody else should [settle](ClientAssertion::settle) before the signature is judged, where it would take long here.
    pub fn slow_keys(&self, keys: &JwkSet) -> Option<Vec<Jwk>> {
        keys.slow_keys(&self.jws)
    }

    /// Finds out which of these keys signed it, and keeps it. Takes milliseconds.
    pub fn settle(&self, keys: Vec<Jwk>) {
        self.jws.settle(keys);
    }

    /// Judges the signature.
    ///
    /// # Errors
    /// [`AssertionFault::Key`], [`AssertionFault::Signature`].
    pub fn verify(&self, keys: &JwkSet) -> Result<(), AssertionFault> {
        match keys.verify(&self.jws) {
            Verdict::Good => Ok(()),
            Verdict::NoKey => Err(AssertionFault::Key),
            Verdict::Bad => Err(AssertionFault::Signature),
        }
    }
}

/// Rows W06 and W07: `exp` must be there, ahead, and not too far; `nbf` and `iat` not ahead, nor `iat` too long ago. When it was made,
/// by its own account, or at the earliest where it has no `iat`.
fn check_times(claims: &Claims, now: Timestamp, lifetime_max_seconds: u64) -> Result<Timestamp, AssertionFault> {
    let seconds = |seconds: u64| seconds * 1000;
    let (now, skew, lifetime_max) = (now.unix_millis(), seconds(SKEW_SECONDS), seconds(lifetime_max_seconds));
    let millis = |claim: Option<Timestamp>| claim.map(Timestamp::unix_millis);
    let exp = millis(claims.exp).ok_or(AssertionFault::Times)?;
    let made_at = millis(claims.iat).unwrap_or(exp.saturating_sub(lifetime_max));
    if exp.saturating_add(skew) <= now || made_at.saturating_add(lifetime_max + skew) < now {
        return Err(AssertionFault::Expired);
    }
    let is_ahead = |claim: Option<u64>| claim.is_some_and(|at| at > now + skew);
    if exp > now + lifetime_max + skew || is_ahead(millis(claims.nbf)) || is_ahead(millis(claims.iat)) {
        return Err(AssertionFault::Times);
    }
    Ok(Timestamp::from_unix_millis(made_at))
}

#[cfg(test)]
mod tests;
