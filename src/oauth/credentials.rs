//! What a request presents as proof of who sent it, claimed and not yet verified (RFC 6749 section 2.3): rows A01 to A21.

use super::client::ClientId;
use super::error::ProtocolError;
use super::form::Form;
use super::secret::Secret;

/// Which endpoint is asked: introspection accepts Bearer (I05) and the same secret in two places (A10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// RFC 6749.
    Token,
    /// RFC 7662.
    Introspection,
    /// RFC 7009.
    Revocation,
}

/// How a client presents its proof; the closed set of the label `auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// One reading of an id and a secret.
#[derive(Debug)]
pub struct SecretReading {
    /// Who is claimed.
    pub client_id: ClientId,
    /// The proof.
    pub secret: Secret,
}

/// Proof as presented. More methods come as arms.
#[derive(Debug)]
pub enum PresentedCredentials {
    /// An id and a secret. Basic is read form-decoded first and, where that differs, raw (A03); either may match.
    Secret {
        /// Where it stood.
        method: PresentedMethod,
        /// The reading of the RFC.
        first: SecretReading,
        /// The raw one, if it differs.
        second: Option<SecretReading>,
    },
    /// A Bearer token (RFC 6750), at introspection alone.
    Bearer(Secret),
    /// A client_id with no proof, an assertion (until its issue), an Authorization that cannot be read, or nothing at all.
    Unproven(Unproven),
}

/// Why there is nothing to verify; all are `invalid_client` to the client, and told apart in metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Nothing was presented.
    Missing,
    /// An Authorization header that cannot be read.
    Malformed,
    /// A method that this server does not take (an assertion, a foreign scheme).
    Unsupported,
}

impl PresentedCredentials {
    /// Reads the proof from the Authorization headers (all of them: two are refused, A21), and the form.
    ///
    /// # Errors
    /// `invalid_request` for more than one method (A10 to A12), two Authorization headers (A21).
    pub fn parse<'a>(
        endpoint: Endpoint,
        authorization: impl Iterator<Item = &'a [u8]>,
        form: &Form<'_>,
    ) -> Result<Self, ProtocolError> {
        todo!()
    }
}
