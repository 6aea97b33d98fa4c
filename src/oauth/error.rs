//! What a request can be refused for, in the words of the RFCs, without a status code.
//!
//! Every sentence is a constant of ours: nothing that a request sent is ever repeated to it.

use std::fmt;

use super::dpop::ProofFault;
use super::dpop::nonce::Nonce;
use super::standing::Standing;

/// A request that the protocol refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// RFC 6749 section 5.2 `invalid_request`; the sentence says what is wrong.
    InvalidRequest(&'static str),
    /// RFC 6749 section 5.2 `invalid_client`: unknown, unproven, or no proof at all. One answer for all of them.
    InvalidClient,
    /// RFC 6749 section 5.2 `unauthorized_client`; the sentence says what this client may not.
    UnauthorizedClient(&'static str),
    /// RFC 6749 section 5.2 `unsupported_grant_type`.
    UnsupportedGrantType,
    /// RFC 6749 section 5.2 `invalid_scope`; the sentence says what is wrong.
    InvalidScope(&'static str),
    /// RFC 8707 section 2 `invalid_target`; the sentence says what is wrong.
    InvalidTarget(&'static str),
    /// RFC 9449 section 5 `invalid_dpop_proof`.
    InvalidDpopProof(ProofFault),
    /// RFC 9449 section 8 `use_dpop_nonce`: a proof must hold this nonce.
    UseDpopNonce(Nonce),
    /// RFC 6750 section 3.1 `invalid_token`: the Bearer token that authorises a caller is not good for it.
    InvalidToken,
    /// The client's `not_before` lies ahead: its tokens would be dead at birth.
    NotYet {
        /// Whole seconds to wait: 1 to 5 (K14), then it is told again.
        retry_after_seconds: u32,
    },
    /// Too many wrong proofs for one client from one source (row A22).
    TooManyFailures {
        /// Whole seconds until the minute is over.
        retry_after_seconds: u32,
    },
    /// The client asks for more tokens than its `rate_limit` says.
    RateLimited(Standing),
    /// The client has had all the tokens of its quota.
    QuotaExceeded(Standing),
    /// The client has as many live tokens as it may have.
    TooManyTokens {
        /// Whole seconds after which one of them may have ended.
        retry_after_seconds: u32,
    },
    /// The client asks for more different sets of scopes and audiences than it may in a day.
    TooManyGrants {
        /// Whole seconds until the day is over.
        retry_after_seconds: u32,
    },
}

impl ProtocolError {
    /// The registered error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope(_) => "invalid_scope",
            Self::InvalidTarget(_) => "invalid_target",
            Self::InvalidDpopProof(_) => "invalid_dpop_proof",
            Self::UseDpopNonce(_) => "use_dpop_nonce",
            Self::InvalidToken => "invalid_token",
            Self::NotYet { .. }
            | Self::TooManyFailures { .. }
            | Self::RateLimited(_)
            | Self::QuotaExceeded(_)
            | Self::TooManyTokens { .. }
            | Self::TooManyGrants { .. } => "temporarily_unavailable",
        }
    }

    /// One sentence for a person, of `%x20-21 / %x23-5B / %x5D-7E` only (RFC 6749 section 5.2).
    pub fn description(&self) -> &'static str {
        match self {
            Self::InvalidRequest(why)
            | Self::UnauthorizedClient(why)
            | Self::InvalidScope(why)
            | Self::InvalidTarget(why) => why,
            Self::InvalidClient => "client unknown, or its proof missing or wrong",
            Self::UnsupportedGrantType => "this server knows the grant client_credentials alone",
            Self::InvalidDpopProof(fault) => fault.sentence(),
            Self::UseDpopNonce(_) => "the DPoP proof needs the nonce of the DPoP-Nonce header field",
            Self::InvalidToken => "the bearer token is not good for this",
            Self::NotYet { .. } => "this client gets no tokens yet",
            Self::TooManyFailures { .. } => "too many wrong proofs for this client from this address",
            Self::RateLimited(_) => "this client asks for more tokens than it may have",
            Self::QuotaExceeded(_) => "this client has had all its tokens of this time",
            Self::TooManyTokens { .. } => "this client has as many live tokens as it may",
            Self::TooManyGrants { .. } => "this client asked for too many different sets of scopes and audiences today",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.description())
    }
}

impl std::error::Error for ProtocolError {}
