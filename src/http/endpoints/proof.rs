//! What a token is bound to: the certificate of its connection where its client's registration says so (RFC 8705 section 3), and the key of
//! the DPoP proof in its request (RFC 9449 section 5), where there is one.
//!
//! Invariant: a proof is looked at only after its client is authenticated and its request is right in all else, and it binds only once
//! the store has noted its use as the first: where that is not known, there is no token.

use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::reply::Reply;
use crate::oauth::client::Client;
use crate::oauth::dpop::nonce::{Nonce, Standing};
use crate::oauth::dpop::target::Target;
use crate::oauth::dpop::{Proof, ProofFault, ProvenKey};
use crate::oauth::error::ProtocolError;
use crate::oauth::grant::Grant;
use crate::oauth::profile::Profile;
use crate::oauth::replay::Claimed;
use crate::oauth::time::Timestamp;

const UNBOUND: ProtocolError =
    ProtocolError::InvalidRequest("tokens of this server are bound: send a DPoP proof, or come with a certificate");
const NO_AUDIENCE: ProtocolError =
    ProtocolError::InvalidTarget("tokens of this server are meant for somebody: ask for a resource");
const NO_CERTIFICATE: ProtocolError =
    ProtocolError::InvalidRequest("the tokens of this client are bound to a certificate, and none came");

/// A key that the caller has, if this is the first use of the proof of it.
pub(super) struct Judged {
    key: ProvenKey,
    /// For the next proof, where the one of this proof will soon be too old.
    next_nonce: Option<Nonce>,
}

/// The thumbprint of the certificate to which this client's tokens are bound (rows X06 and X07).
pub(super) fn certificate(
    services: &Services,
    asked: &Asked<'_>,
    client: &Client,
) -> Result<Option<[u8; 32]>, Failure> {
    if !client.registration().certificate_bound_access_tokens {
        // Where every token is bound, whatever can bind one does.
        let may = asked.certificate.as_ref().filter(|_| services.shared.profile == Profile::Bcp);
        return Ok(may.map(|certificate| certificate.thumbprint));
    }
    let certificate = asked.certificate.as_ref().ok_or(NO_CERTIFICATE)?;
    Ok(Some(certificate.thumbprint))
}

/// "Authorization servers SHOULD use mechanisms for sender-constraining access tokens" (RFC 9700 section 2.2.1; row B02).
pub(super) fn check_bound(services: &Services, is_bound: bool) -> Result<(), Failure> {
    match services.shared.profile {
        Profile::Bcp if !is_bound => Err(UNBOUND.into()),
        Profile::Bcp | Profile::Default => Ok(()),
    }
}

/// "access tokens SHOULD be audience-restricted" (RFC 9700 section 2.3; row B02).
pub(super) fn check_audience(services: &Services, grant: &Grant) -> Result<(), Failure> {
    match services.shared.profile {
        Profile::Bcp if grant.audience().is_empty() => Err(NO_AUDIENCE.into()),
        Profile::Bcp | Profile::Default => Ok(()),
    }
}

/// Judges the proof of this request. `None`: it has none, and its client needs none.
pub(super) async fn judge(services: &Services, asked: &Asked<'_>, client: &Client) -> Result<Option<Judged>, Failure> {
    let Some(proof) = Proof::of_fields(asked.head.dpop.iter()).map_err(refused)? else {
        // Row D06.
        let must = client.registration().dpop_bound_access_tokens;
        return if must { Err(refused(ProofFault::Missing)) } else { Ok(None) };
    };
    let now = services.now();
    // The listener that asks for certificates has a URL of its own, which whoever came there may mean.
    let other = services.shared.mtls.as_ref().map(|mtls| &mtls.target);
    let target = other.filter(|other| proof.is_for(other)).unwrap_or(&services.shared.dpop.target);
    let proof = if proof.is_slow() { settled(services, asked, proof, target, now).await? } else { proof };
    let key = proof.verify(target, now).map_err(refused)?;
    let next_nonce = judge_nonce(services, &proof, now)?;
    Ok(Some(Judged { key, next_nonce }))
}

/// The same, whose signature somebody has verified where it holds up nobody: asked of no proof that is wrong in all else.
async fn settled(
    services: &Services,
    asked: &Asked<'_>,
    proof: Proof,
    target: &Target,
    now: Timestamp,
) -> Result<Proof, Failure> {
    proof.check(target, now).map_err(refused)?;
    let settle = move || {
        proof.settle();
        proof
    };
    Ok(Box::pin(services.shared.verifier.spend(asked.by, settle)).await?)
}

/// "The authorization server includes a DPoP-Nonce HTTP header in the response supplying a nonce value to be used when sending the
/// subsequent request. […] This same error code is used when supplying a new nonce value when there was a nonce mismatch" (RFC 9449
/// section 8). The next one comes before the last is too old (section 8.2).
fn judge_nonce(services: &Services, proof: &Proof, now: Timestamp) -> Result<Option<Nonce>, Failure> {
    if !services.shared.dpop.requires_nonce {
        return Ok(None);
    }
    let keys = services.shared.keys.load();
    let standing = proof.nonce().map_or(Standing::Bad, |nonce| Nonce::judge(&keys, nonce, now));
    let fresh = || Nonce::make(&keys, now);
    match standing {
        Standing::Good => Ok(None),
        Standing::Aging => Ok(Some(fresh())),
        Standing::Bad => Err(ProtocolError::UseDpopNonce(fresh()).into()),
    }
}

impl Judged {
    /// Notes its use, the last of all checks: "HTTP requests to the same URI for which the jti value has been seen before would be
    /// declined" (RFC 9449 section 11.1).
    pub(super) async fn confirm(&self, services: &Services, asked: &Asked<'_>) -> Result<[u8; 32], Failure> {
        match services.notary.note(asked.by, self.key.single_use).await? {
            Claimed::First => Ok(self.key.jkt),
            Claimed::Used => Err(refused(ProofFault::Replayed)),
        }
    }

    /// The reply to its request, with the next nonce where it is time.
    pub(super) fn answer(&self, reply: Reply) -> Reply {
        match &self.next_nonce {
            Some(nonce) => reply.with_nonce(nonce),
            None => reply,
        }
    }
}

fn refused(fault: ProofFault) -> Failure {
    ProtocolError::InvalidDpopProof(fault).into()
}

#[cfg(test)]
mod tests;
