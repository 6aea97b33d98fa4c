//! Responses and their headers, prebuilt.
//!
//! Invariants: every response says `nosniff` (H21); what carries a token, an answer about one, or an error is never kept by a cache
//! (RFC 6749 section 5.1: "the response MUST include the Cache-Control […] with a value of no-store […] as well as the Pragma
//! response header field with a value of no-cache").

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, PRAGMA, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

/// A whole answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// `Connection: close`.
pub(crate) const CLOSE: HeaderValue = HeaderValue::from_static("close");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Header fields that a reply gets, and those that hyper and the connection add: no growing on the way.
const HEADERS_USUAL: usize = 8;

/// A reply with this body and no header but `nosniff`.
pub(crate) fn bare(status: StatusCode, body: Bytes) -> Reply {
    let mut headers = HeaderMap::with_capacity(HEADERS_USUAL);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// JSON that no cache keeps.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Reply {
    let mut response = unkept(status, body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// JSON that no cache keeps, status 200.
pub(crate) fn ok(body: impl Into<Bytes>) -> Reply {
    json(StatusCode::OK, body.into())
}

/// Status 200 and nothing, which no cache keeps.
pub(crate) fn empty() -> Reply {
    unkept(StatusCode::OK, Bytes::new())
}

fn unkept(status: StatusCode, body: Bytes) -> Reply {
    let mut response = bare(status, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(PRAGMA, NO_CACHE);
    response
}
