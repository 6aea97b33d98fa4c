//! A request as a value, which both HTTP/1.1 and HTTP/2 can carry.

use std::net::SocketAddr;

use data_encoding::BASE64;

use super::expect::Answer;
use super::{http1, http2};

/// The paths of interface.md.
pub(crate) const TOKEN: &str = "/oauth2/token";
pub(crate) const INTROSPECT: &str = "/oauth2/introspect";
pub(crate) const REVOKE: &str = "/oauth2/revoke";
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

/// What a form is sent as.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A request: every byte of it but the framing.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// The version of HTTP that carries a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    /// By prior knowledge.
    Two,
}

impl Http {
    /// Sends a request on a connection of its own.
    pub(crate) async fn send(self, to: SocketAddr, request: &Request) -> Answer {
        match self {
            Self::One => http1::Wire::connect(to).await.ask(request).await,
            Self::Two => http2::Wire::connect(to).await.ask(request).await,
        }
    }
}

impl Request {
    /// A request with no header and no body.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A GET.
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST of a form, as it stands.
    pub(crate) fn form(target: &str, form: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).header("content-type", FORM).body(form)
    }

    /// Adds a header; one of that name may stand already.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Takes all headers of this name away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Client credentials by RFC 6749 section 2.3.1: each form-encoded, then Basic.
    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        self.basic_raw(format!("{}:{}", encode(id), encode(secret)))
    }

    /// Basic over these bytes as they are (as `curl -u` sends them).
    pub(crate) fn basic_raw(self, credentials: impl AsRef<[u8]>) -> Self {
        let value = format!("Basic {}", BASE64.encode(credentials.as_ref()));
        self.header("authorization", value)
    }

    /// RFC 6750 section 2.1.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
}

/// Form-encodes one name or value.
pub(crate) fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A form of these names and values.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
