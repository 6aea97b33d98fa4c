//! What a request presents as proof of who sent it, claimed and not yet verified (RFC 6749 section 2.3): rows A01 to A21.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::client_assertion::{self, AssertionFault, ClientAssertion};
use super::client_certificate::PresentedCertificate;
pub use super::endpoint::Endpoint;
use super::error::ProtocolError;
use super::form::{Form, unescape};
use super::secret::Secret;

const TWO_HEADERS: ProtocolError = ProtocolError::InvalidRequest("more than one Authorization header");
const TWO_METHODS: ProtocolError = ProtocolError::InvalidRequest("more than one way of client authentication");
const TWO_CLIENTS: ProtocolError = ProtocolError::InvalidRequest("client_id is not that of the Authorization header");
const NO_ASSERTION: ProtocolError = ProtocolError::InvalidRequest("client_assertion is missing");
const FOREIGN_ASSERTION: ProtocolError =
    ProtocolError::InvalidRequest("client_assertion_type is missing or none of ours");
const TWO_TOKENS: ProtocolError = ProtocolError::InvalidRequest("an access token in header and body");

/// How a client presents its proof; the closed set of the label `auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// One reading of an id and a secret: one piece of memory, wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretReading {
    /// The id, a byte between, the secret.
    pair: Zeroizing<Vec<u8>>,
    id_bytes: usize,
}

/// An assertion as presented.
#[derive(Debug)]
pub struct PresentedAssertion {
    /// Where.
    pub sent_to: Endpoint,
    /// The `client_id` beside it, which need not be there (RFC 7521 section 4.2).
    pub client_id: Option<Box<str>>,
    /// What it is, or why it is none.
    pub assertion: Result<ClientAssertion, AssertionFault>,
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
    /// What the client signed (RFC 7523). Apart, since nobody else should carry its size about; shared, since it may have to be judged
    /// again once its keys are there.
    Assertion(Arc<PresentedAssertion>),
    /// A certificate of its connection (RFC 8705).
    Certificate(Box<PresentedCertificate>),
    /// A Bearer token (RFC 6750), at introspection alone.
    Bearer(Secret),
    /// A client_id with no proof, an Authorization that cannot be read, or nothing at all.
    Unproven(Unproven),
}

/// Why there is nothing to verify; all are `invalid_client` to the client, and told apart in metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Nothing was presented.
    Missing,
    /// An Authorization header that cannot be read, or a client_secret with no client_id.
    Malformed,
    /// A method that this server does not take (a foreign scheme).
    Unsupported,
}

/// What the Authorization header says, by itself.
enum Header {
    Absent,
    Basic { first: SecretReading, second: Option<SecretReading> },
    Bearer(Secret),
    Foreign,
    Malformed,
}

impl PresentedCredentials {
    /// The same, to be judged again: an assertion alone.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Assertion(presented) => Some(Self::Assertion(Arc::clone(presented))),
            Self::Secret { .. } | Self::Certificate(_) | Self::Bearer(_) | Self::Unproven(_) => None,
        }
    }

    /// Reads the proof from the Authorization headers (all of them: two are refused, A21), and the form.
    ///
    /// # Errors
    /// `invalid_request` for more than one method (A10 to A12), two Authorization headers (A21), an access token in two places
    /// (K16).
    pub fn parse<'a>(
        endpoint: Endpoint,
        mut authorization: impl Iterator<Item = &'a [u8]>,
        form: &Form<'_>,
    ) -> Result<Self, ProtocolError> {
        let header = authorization.next().map_or(Header::Absent, Header::read);
        if authorization.next().is_some() {
            return Err(TWO_HEADERS);
        }
        header.refuse_a_second_method(endpoint, form)?;
        Ok(match header {
            Header::Absent => from_body(endpoint, form)?,
            Header::Basic { first, second } => from_basic(first, second, form)?,
            Header::Bearer(token) if endpoint == Endpoint::Introspection => Self::Bearer(token),
            Header::Bearer(_) | Header::Foreign => Self::Unproven(Unproven::Unsupported),
            Header::Malformed => Self::Unproven(Unproven::Malformed),
        })
    }
}

/// The readings that say what the body says, as far as it says anything.
fn from_basic(
    first: SecretReading,
    second: Option<SecretReading>,
    form: &Form<'_>,
) -> Result<PresentedCredentials, ProtocolError> {
    if !std::iter::once(&first).chain(&second).any(|reading| reading.is_of_client_in(form)) {
        return Err(TWO_CLIENTS);
    }
    let agrees = |reading: &SecretReading| reading.is_of_client_in(form) && reading.is_secret_in(form);
    let (first, second) = match (Some(first).filter(agrees), second.filter(agrees)) {
        (Some(first), second) => (first, second),
        (None, Some(second)) => (second, None),
        (None, None) => return Err(TWO_METHODS),
    };
    Ok(PresentedCredentials::Secret { method: PresentedMethod::Basic, first, second })
}

fn from_body(endpoint: Endpoint, form: &Form<'_>) -> Result<PresentedCredentials, ProtocolError> {
    Ok(match (&form.client_assertion, &form.client_id, &form.client_secret) {
        (Some(assertion), client_id, _) => {
            // "client_assertion_type REQUIRED" (RFC 7521 section 4.2).
            if form.client_assertion_type.as_deref() != Some(client_assertion::TYPE) {
                return Err(FOREIGN_ASSERTION);
            }
            PresentedCredentials::Assertion(Arc::new(PresentedAssertion {
                sent_to: endpoint,
                client_id: client_id.as_deref().map(Box::from),
                assertion: ClientAssertion::parse(assertion),
            }))
        }
        (None, ..) if form.client_assertion_type.is_some() => return Err(NO_ASSERTION),
        (None, Some(client_id), Some(secret)) => PresentedCredentials::Secret {
            method: PresentedMethod::Post,
            first: SecretReading::join(client_id.as_bytes(), secret.as_bytes()),
            second: None,
        },
        (None, None, Some(_)) => PresentedCredentials::Unproven(Unproven::Malformed),
        (None, _, None) => PresentedCredentials::Unproven(Unproven::Missing),
    })
}

impl Header {
    fn read(value: &[u8]) -> Self {
        let value = value.trim_ascii();
        let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
        let (scheme, credentials) = (&value[..end], value[end..].trim_ascii_start());
        // "Note that both scheme and parameter names are matched case-insensitively." (RFC 7617 section 2)
        if scheme.eq_ignore_ascii_case(b"basic") {
            Self::read_basic(credentials).unwrap_or(Self::Malformed)
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            Self::Bearer(Secret::new(credentials))
        } else if scheme.is_empty() {
            Self::Malformed
        } else {
            Self::Foreign
        }
    }

    fn read_basic(credentials: &[u8]) -> Option<Self> {
        let pair = Zeroizing::new(BASE64.decode(credentials).ok()?);
        let id_bytes = pair.iter().position(|&byte| byte == b':').filter(|&at| at > 0)?;
        let raw = SecretReading { pair, id_bytes };
        let decoded = match (unescape(raw.id()), unescape(raw.secret())) {
            (Some(Cow::Borrowed(_)), Some(Cow::Borrowed(_))) => None,
            (Some(id), Some(secret)) => SecretReading::join(&id, &Zeroizing::new(secret.into_owned())).of_text(),
            _ => None,
        };
        match (decoded, raw.of_text()) {
            (Some(first), second) => Some(Self::Basic { first, second }),
            (None, raw) => Some(Self::Basic { first: raw?, second: None }),
        }
    }

    /// "The client MUST NOT use more than one authentication method in each request." (RFC 6749 section 2.3)
    fn refuse_a_second_method(&self, endpoint: Endpoint, form: &Form<'_>) -> Result<(), ProtocolError> {
        let by_header = !matches!(self, Self::Absent);
        if form.client_assertion.is_some() && (by_header || form.client_secret.is_some()) {
            return Err(TWO_METHODS);
        }
        // "Clients MUST NOT use more than one method to transmit the token in each request." (RFC 6750 section 2)
        if matches!(self, Self::Bearer(_)) && form.access_token.is_some() {
            return Err(TWO_TOKENS);
        }
        // Shipped resource servers send one secret in both places: there, and there alone, it is one method.
        let may_repeat = matches!(self, Self::Basic { .. }) && endpoint == Endpoint::Introspection;
        if by_header && form.client_secret.is_some() && !may_repeat { Err(TWO_METHODS) } else { Ok(()) }
    }
}

impl SecretReading {
    fn join(id: &[u8], secret: &[u8]) -> Self {
        let mut pair = Zeroizing::new(Vec::with_capacity(id.len() + 1 + secret.len()));
        pair.extend_from_slice(id);
        pair.push(b':');
        pair.extend_from_slice(secret);
        Self { pair, id_bytes: id.len() }
    }

    /// `None` where the id is no text, and so no client's.
    fn of_text(self) -> Option<Self> {
        std::str::from_utf8(self.id()).is_ok().then_some(self)
    }

    /// Who is claimed.
    pub fn client_id(&self) -> &str {
        std::str::from_utf8(self.id()).unwrap_or_default()
    }

    /// The proof, for the one place that compares it.
    pub fn secret(&self) -> &[u8] {
        &self.pair[self.id_bytes + 1..]
    }

    fn id(&self) -> &[u8] {
        &self.pair[..self.id_bytes]
    }

    fn is_of_client_in(&self, form: &Form<'_>) -> bool {
        form.client_id.as_deref().is_none_or(|id| id.as_bytes() == self.id())
    }

    fn is_secret_in(&self, form: &Form<'_>) -> bool {
        form.client_secret.as_deref().is_none_or(|secret| secret.as_bytes() == self.secret())
    }
}

impl fmt::Debug for SecretReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretReading").field("client_id", &self.client_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
