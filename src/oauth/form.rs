//! `application/x-www-form-urlencoded` bodies (RFC 6749 appendix B), judged strictly before they are decoded: rows P01 to P13.

use std::borrow::Cow;

use super::error::ProtocolError;

/// The parameters of a body that this service knows, each at most once but `resource` and `audience`; unknown ones are gone.
/// An empty value counts as left out (RFC 6749 section 3.2). No `Debug` of values: they hold secrets.
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

impl<'a> Form<'a> {
    /// Reads a whole body.
    ///
    /// # Errors
    /// `invalid_request`: a bad escape, bad UTF-8, NUL (P09), a repeated known parameter (P01), limits (P12).
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        todo!()
    }

    /// `token` of introspection and revocation.
    ///
    /// # Errors
    /// `invalid_request` where it is missing or empty (I07, V04).
    pub fn token(&self) -> Result<&str, ProtocolError> {
        todo!()
    }
}

/// Refuses a query string that carries what must not be in one: `client_secret`, `client_assertion`, `token`, `access_token`
/// (P10); anything else there is ignored.
///
/// # Errors
/// `invalid_request`.
pub fn check_query(query: Option<&str>) -> Result<(), ProtocolError> {
    todo!()
}
