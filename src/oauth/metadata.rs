//! Authorization server metadata: RFC 8414, rows M01 to M09.

/// An issuer that passed M03, with the URLs that follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    path: String,
}

/// Why a string is no issuer; the text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerError(pub &'static str);

impl Issuer {
    /// Reads an issuer: https, or http on a loopback host or where `plain_http_any`; no query, no fragment, no trailing slash.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn parse(url: &str, plain_http_any: bool) -> Result<Self, IssuerError> {
        todo!()
    }

    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Its path, without a slash at the end; empty where it has none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// As a JSON string with its quotes.
    pub fn to_json(&self) -> String {
        todo!()
    }
}

/// The metadata document, compact JSON.
pub fn document(issuer: &Issuer) -> Vec<u8> {
    todo!()
}
