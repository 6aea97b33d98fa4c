//! The access token request of the client credentials grant: RFC 6749 section 4.4.2, RFC 8707 section 2.

use super::error::ProtocolError;
use super::form::Form;
use super::scope::Scope;

/// What a client asks for, in grammar but not yet allowed.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    pub(crate) grant_type: &'a str,
    /// `None`: it asks for none in particular.
    pub(crate) scope: Option<&'a str>,
    /// `resource`.
    pub(crate) resources: Vec<&'a str>,
    /// `audience`.
    pub(crate) audiences: Vec<&'a str>,
}

impl<'a> TokenRequest<'a> {
    /// Takes the request from a form.
    ///
    /// # Errors
    /// `invalid_request` where `grant_type` is missing (K05).
    pub fn parse(form: &'a Form<'_>) -> Result<Self, ProtocolError> {
        todo!()
    }
}
