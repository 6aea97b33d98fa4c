//! The endpoints that clients prove themselves to.

/// Which endpoint is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// RFC 6749.
    Token,
    /// RFC 7662. It accepts Bearer (I05) and the same secret in two places (A10).
    Introspection,
    /// RFC 7009.
    Revocation,
}

impl Endpoint {
    /// Its path, behind the issuer's.
    pub fn path(self) -> &'static str {
        match self {
            Self::Token => "/oauth2/token",
            Self::Introspection => "/oauth2/introspect",
            Self::Revocation => "/oauth2/revoke",
        }
    }
}
