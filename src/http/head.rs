//! What is needed of a request's head, found in one pass over its header fields.
//!
//! Invariant: of a field that must stand once the first and the second are kept, so that whoever asks can refuse two.

use hyper::Version;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
};
use hyper::http::Method;
use hyper::http::request::Parts;

/// `DPoP` (RFC 9449 section 4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A request's head. Lives as long as the request's own parts.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    parts: &'a Parts,
    pub(crate) hosts: usize,
    pub(crate) authorization: Field<'a>,
    pub(crate) content_type: Field<'a>,
    pub(crate) expect: Field<'a>,
    pub(crate) dpop: Field<'a>,
    content_length: Field<'a>,
    /// A `Content-Encoding` other than `identity` stands there.
    pub(crate) is_encoded: bool,
}

/// The values of one header field: the first two of them.
#[derive(Debug, Default)]
pub(crate) struct Field<'a> {
    pub(crate) first: Option<&'a HeaderValue>,
    pub(crate) second: Option<&'a HeaderValue>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(parts: &'a Parts) -> Self {
        let mut head = Self {
            parts,
            hosts: 0,
            authorization: Field::default(),
            content_type: Field::default(),
            expect: Field::default(),
            dpop: Field::default(),
            content_length: Field::default(),
            is_encoded: false,
        };
        for (name, value) in &parts.headers {
            if name == HOST {
                head.hosts += 1;
            } else if name == AUTHORIZATION {
                head.authorization.take(value);
            } else if name == CONTENT_TYPE {
                head.content_type.take(value);
            } else if name == CONTENT_LENGTH {
                head.content_length.take(value);
            } else if name == CONTENT_ENCODING {
                head.is_encoded |= !value.as_bytes().eq_ignore_ascii_case(b"identity");
            } else if name == EXPECT {
                head.expect.take(value);
            } else if name == DPOP {
                head.dpop.take(value);
            }
        }
        head
    }

    pub(crate) fn version(&self) -> Version {
        self.parts.version
    }

    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
    }

    /// All its header fields.
    pub(crate) fn fields(&self) -> &'a HeaderMap {
        &self.parts.headers
    }

    pub(crate) fn path(&self) -> &'a str {
        self.parts.uri.path()
    }

    pub(crate) fn query(&self) -> Option<&'a str> {
        self.parts.uri.query()
    }

    /// Bytes of the target, an authority's among them.
    pub(crate) fn target_bytes(&self) -> usize {
        let uri = &self.parts.uri;
        let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
        target + uri.authority().map_or(0, |authority| authority.as_str().len())
    }

    /// What `Content-Length` says.
    pub(crate) fn announced_bytes(&self) -> Option<u64> {
        self.content_length.first?.to_str().ok()?.parse().ok()
    }
}

impl<'a> Field<'a> {
    fn take(&mut self, value: &'a HeaderValue) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.second = self.second.or(Some(value)),
        }
    }

    /// The first two.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.first.into_iter().chain(self.second).map(HeaderValue::as_bytes)
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    #[test]
    fn each_field_is_found_wherever_it_stands() {
        let request = Request::post("/a?b")
            .header("content-type", "x")
            .header("host", "one")
            .header("x-other", "y")
            .header("Authorization", "a")
            .header("content-length", "12")
            .header("authorization", "b")
            .header("authorization", "c")
            .header("DPoP", "p")
            .header("content-encoding", "identity")
            .body(());
        let (mut parts, ()) = request.unwrap().into_parts();
        let head = Head::of(&parts);
        assert_eq!((head.hosts, head.announced_bytes(), head.is_encoded), (1, Some(12), false));
        assert_eq!(head.authorization.iter().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(head.content_type.iter().collect::<Vec<_>>(), [b"x"]);
        assert_eq!(head.dpop.iter().collect::<Vec<_>>(), [b"p"]);
        assert_eq!((head.path(), head.query(), head.target_bytes()), ("/a", Some("b"), 4));
        assert!(head.expect.first.is_none());

        parts.headers.append("content-encoding", HeaderValue::from_static("gzip"));
        assert!(Head::of(&parts).is_encoded);
    }
}
