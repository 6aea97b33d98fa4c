//! `application/x-www-form-urlencoded` bodies (RFC 6749 appendix B), judged strictly: rows P01 to P13.
//!
//! Invariant: one pass, no table of names that a request chose: a name is matched against a fixed list, so a hostile body costs
//! what its bytes cost. Nothing is copied where nothing is escaped.

use std::borrow::Cow;
use std::fmt;

use super::error::ProtocolError;

/// Parameters in one body, known or not.
const PARAMETERS_MAX: usize = 64;
/// Bytes of one decoded name.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of one decoded value.
const VALUE_BYTES_MAX: usize = 8192;

const BAD_ENCODING: ProtocolError = ProtocolError::InvalidRequest("the form is not well encoded");
const TOO_MANY: ProtocolError = ProtocolError::InvalidRequest("the form has too many parameters");
const TOO_LONG: ProtocolError = ProtocolError::InvalidRequest("a parameter of the form is too long");
const REPEATED: ProtocolError = ProtocolError::InvalidRequest("a parameter is repeated");
const NO_TOKEN: ProtocolError = ProtocolError::InvalidRequest("the parameter token is missing");
const IN_QUERY: ProtocolError = ProtocolError::InvalidRequest("secrets and tokens do not belong in the query");

/// The parameters of a body that this service knows, each at most once but `resource` and `audience`; unknown ones are gone.
/// An empty value counts as left out (RFC 6749 section 3.2), but for `resource`, whose empty value is no URI (R02). No `Debug`
/// of values: they hold secrets.
#[derive(Default)]
pub struct Form<'a> {
    pub(crate) grant_type: Option<Cow<'a, str>>,
    pub(crate) scope: Option<Cow<'a, str>>,
    pub(crate) client_id: Option<Cow<'a, str>>,
    pub(crate) client_secret: Option<Cow<'a, str>>,
    pub(crate) client_assertion: Option<Cow<'a, str>>,
    pub(crate) client_assertion_type: Option<Cow<'a, str>>,
    pub(crate) token: Option<Cow<'a, str>>,
    pub(crate) access_token: Option<Cow<'a, str>>,
    pub(crate) resource: Vec<Cow<'a, str>>,
    pub(crate) audience: Vec<Cow<'a, str>>,
}

/// What the form must remember of a parameter while it is read.
#[derive(Default)]
struct Once {
    given: bool,
}

/// Which of the parameters that stand at most once were given, with or without a value.
#[derive(Default)]
struct Given {
    grant_type: Once,
    scope: Once,
    client_id: Once,
    client_secret: Once,
    client_assertion: Once,
    client_assertion_type: Once,
    token: Once,
    token_type_hint: Once,
    access_token: Once,
}

impl<'a> Form<'a> {
    /// Reads a whole body.
    ///
    /// # Errors
    /// `invalid_request`: a bad escape, bad UTF-8, NUL (P09), a repeated known parameter (P01), limits (P12).
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut form = Self::default();
        let mut given = Given::default();
        let decode = if is_plain(body) { decode_plain } else { decode };
        let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
        for (position, pair) in pairs.enumerate() {
            if position == PARAMETERS_MAX {
                return Err(TOO_MANY);
            }
            let equals = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = equals.map_or((pair, &pair[..0]), |at| (&pair[..at], &pair[at + 1..]));
            let (name, value) = (decode(name)?, decode(value)?);
            if name.len() > NAME_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
                return Err(TOO_LONG);
            }
            form.take(&mut given, &name, value)?;
        }
        Ok(form)
    }

    fn take(&mut self, given: &mut Given, name: &str, value: Cow<'a, str>) -> Result<(), ProtocolError> {
        match name {
            "grant_type" => given.grant_type.put(&mut self.grant_type, value),
            "scope" => given.scope.put(&mut self.scope, value),
            "client_id" => given.client_id.put(&mut self.client_id, value),
            "client_secret" => given.client_secret.put(&mut self.client_secret, value),
            "client_assertion" => given.client_assertion.put(&mut self.client_assertion, value),
            "client_assertion_type" => given.client_assertion_type.put(&mut self.client_assertion_type, value),
            "token" => given.token.put(&mut self.token, value),
            // A hint is never needed here (I08, V06); that it stands once is the form's rule all the same.
            "token_type_hint" => given.token_type_hint.put(&mut None, value),
            "access_token" => given.access_token.put(&mut self.access_token, value),
            "resource" => {
                self.resource.push(value);
                Ok(())
            }
            "audience" if value.is_empty() => Ok(()),
            "audience" => {
                self.audience.push(value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `token` of introspection and revocation.
    ///
    /// # Errors
    /// `invalid_request` where it is missing or empty (I07, V04).
    pub fn token(&self) -> Result<&str, ProtocolError> {
        self.token.as_deref().ok_or(NO_TOKEN)
    }
}

impl Once {
    fn put<'a>(&mut self, slot: &mut Option<Cow<'a, str>>, value: Cow<'a, str>) -> Result<(), ProtocolError> {
        // "Request and response parameters MUST NOT be included more than once." (RFC 6749 section 3.2)
        if std::mem::replace(&mut self.given, true) {
            return Err(REPEATED);
        }
        // "Parameters sent without a value MUST be treated as if they were omitted from the request."
        if !value.is_empty() {
            *slot = Some(value);
        }
        Ok(())
    }
}

/// Refuses a query string that carries what must not be in one: `client_secret`, `client_assertion`, `token`, `access_token`
/// (P10); anything else there is ignored.
///
/// # Errors
/// `invalid_request`.
pub fn check_query(query: Option<&str>) -> Result<(), ProtocolError> {
    let Some(query) = query else { return Ok(()) };
    let secret = |name: &str| matches!(name, "client_secret" | "client_assertion" | "token" | "access_token");
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| secret(&name)) { Err(IN_QUERY) } else { Ok(()) }
}

/// Whether every byte of the body stands for itself: one look at all of them, many at a time, spares each part its own.
fn is_plain(body: &[u8]) -> bool {
    body.iter().fold(0, |odd, &byte| odd | u8::from(matches!(byte, b'%' | b'+' | 0 | 0x80..))) == 0
}

fn decode_plain(raw: &[u8]) -> Result<Cow<'_, str>, ProtocolError> {
    std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| BAD_ENCODING)
}

fn decode(raw: &[u8]) -> Result<Cow<'_, str>, ProtocolError> {
    let text = match unescape(raw).ok_or(BAD_ENCODING)? {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| BAD_ENCODING)?),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| BAD_ENCODING)?),
    };
    if text.as_bytes().contains(&0) { Err(BAD_ENCODING) } else { Ok(text) }
}

/// Undoes `+` and percent escapes; `None` where an escape is not two hexadecimal digits. Borrowed: there was nothing to undo.
pub(super) fn unescape(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    // Not `any`: looking at all of them is done many at a time.
    if raw.iter().fold(0, |escaped, &byte| escaped | u8::from(matches!(byte, b'%' | b'+'))) == 0 {
        return Some(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hexadecimal(*bytes.next()?)? << 4 | hexadecimal(*bytes.next()?)?,
            other => other,
        });
    }
    Some(Cow::Owned(decoded))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
