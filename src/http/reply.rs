//! What an endpoint answers, and how it becomes a response.
//!
//! Invariants: every response says `nosniff` (H21); what carries a token, an answer about one, or an error is never kept by a cache
//! (RFC 6749 section 5.1: "the response MUST include the Cache-Control […] with a value of no-store […] as well as the Pragma
//! response header field with a value of no-cache").

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PRAGMA, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use crate::oauth::dpop::nonce::Nonce;
use crate::oauth::standing::Standing;

/// `Connection: close`.
pub(crate) const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// `Content-Type` of JSON.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `DPoP-Nonce` (RFC 9449 section 8.1).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Header fields that a usual request or response has room for: a map with room for more is not kept.
const FIELDS_USUAL: usize = 24;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Bytes,
    is_json: bool,
    may_be_kept: bool,
    closes: bool,
    /// What else its head says; most say nothing else.
    fields: Vec<(HeaderName, HeaderValue)>,
}

/// A reply with this body, of which a cache may think what it likes.
pub(crate) fn bare(status: StatusCode, body: Bytes) -> Reply {
    Reply { status, body, is_json: false, may_be_kept: true, closes: false, fields: Vec::new() }
}

/// JSON that no cache keeps.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Reply {
    Reply { is_json: true, may_be_kept: false, ..bare(status, body) }
}

/// JSON that no cache keeps, status 200.
pub(crate) fn ok(body: impl Into<Bytes>) -> Reply {
    json(StatusCode::OK, body.into())
}

/// Status 200 and nothing, which no cache keeps.
pub(crate) fn empty() -> Reply {
    Reply { may_be_kept: false, ..bare(StatusCode::OK, Bytes::new()) }
}

impl Reply {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The same with one field more, beside others of its name.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// The same with the nonce that the caller's next proof must hold.
    pub(crate) fn with_nonce(self, nonce: &Nonce) -> Self {
        // Base64url is always a field value.
        let value = HeaderValue::try_from(nonce.text()).unwrap_or(HeaderValue::from_static("0"));
        self.with(DPOP_NONCE, value)
    }

    /// The same with what is left of the caller's limits: "RateLimit-Policy" says each, "RateLimit" what is left of it, and in how many
    /// seconds it is whole again (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn with_standings(self, standings: &[Standing]) -> Self {
        let list = |item: fn(&Standing) -> String| standings.iter().map(item).collect::<Vec<_>>().join(", ");
        let policy = list(|limit| format!("\"{}\";q={};w={}", limit.name, limit.quota, limit.window_seconds));
        let left = list(|limit| format!("\"{}\";r={};t={}", limit.name, limit.remaining, limit.reset_seconds));
        // Digits and letters are always a field value.
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"rate\""));
        self.with(RATE_LIMIT_POLICY, value(policy)).with(RATE_LIMIT, value(left))
    }

    /// The same, the last on its connection where `closes` says so.
    pub(crate) fn closing(mut self, closes: bool) -> Self {
        self.closes = closes;
        self
    }

    /// Whether it must be the last on its connection.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// The response. `used`: a map that its request needs no more, whose memory serves again.
    pub(crate) fn into_response(self, used: HeaderMap) -> Response<Full<Bytes>> {
        let mut headers = emptied(used);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if !self.may_be_kept {
            headers.insert(CACHE_CONTROL, NO_STORE);
            headers.insert(PRAGMA, NO_CACHE);
        }
        if self.is_json {
            headers.insert(CONTENT_TYPE, JSON);
        }
        for (name, value) in self.fields {
            headers.append(name, value);
        }
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

/// An idle connection must not hold what one large head once needed.
fn emptied(mut used: HeaderMap) -> HeaderMap {
    if used.capacity() > FIELDS_USUAL {
        return HeaderMap::new();
    }
    used.clear();
    used
}
