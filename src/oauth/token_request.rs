//! The access token request of the client credentials grant: RFC 6749 section 4.4.2, RFC 8707 section 2.

use super::error::ProtocolError;
use super::form::Form;

const NO_GRANT_TYPE: ProtocolError = ProtocolError::InvalidRequest("the parameter grant_type is missing");

/// What a client asks for, as it stands in the form: neither in grammar nor allowed yet.
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
        let grant_type = form.grant_type.as_deref().ok_or(NO_GRANT_TYPE)?;
        let resources = form.resource.iter().map(AsRef::as_ref).collect();
        let audiences = form.audience.iter().map(AsRef::as_ref).collect();
        Ok(Self { grant_type, scope: form.scope.as_deref(), resources, audiences })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k05_p07_a_missing_or_empty_grant_type_is_an_invalid_request() {
        for body in ["", "scope=a", "grant_type=", "Grant_Type=client_credentials"] {
            let form = Form::parse(body.as_bytes()).unwrap();
            assert_eq!(TokenRequest::parse(&form).unwrap_err(), NO_GRANT_TYPE, "{body}");
        }
    }

    #[test]
    fn the_request_is_what_the_form_says() {
        let form = Form::parse(b"grant_type=x&scope=a&resource=r&audience=b&resource=").unwrap();
        let request = TokenRequest::parse(&form).unwrap();
        assert_eq!((request.grant_type, request.scope), ("x", Some("a")));
        assert_eq!((request.resources, request.audiences), (vec!["r", ""], vec!["b"]));
    }
}
