//! `GET /.well-known/oauth-authorization-server`: RFC 8414. Built once, served with no store.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use ring::digest::{SHA256, digest};

use crate::http::reply::{self, Reply};
use crate::oauth::metadata::{self, ByCertificate, Issuer};
use crate::oauth::profile::Profile;

const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Bytes of the document's digest that make its tag.
const TAG_BYTES: usize = 12;

/// The document, and its tag.
#[derive(Debug)]
pub(crate) struct Metadata {
    document: Bytes,
    tag: HeaderValue,
}

impl Metadata {
    pub(crate) fn of(issuer: &Issuer, by_certificate: ByCertificate<'_>, profile: Profile) -> Self {
        let document = metadata::document(issuer, by_certificate, profile);
        let digest = digest(&SHA256, &document);
        let tag = format!("\"{}\"", BASE64URL_NOPAD.encode(&digest.as_ref()[..TAG_BYTES]));
        // Base64url in quotes is always a field value.
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"0\""));
        Self { document: document.into(), tag }
    }

    pub(crate) fn serve(&self, headers: &HeaderMap) -> Reply {
        let known = headers.get_all(IF_NONE_MATCH).iter().any(|listed| self.is_listed(listed));
        let (status, body) = match known {
            true => (StatusCode::NOT_MODIFIED, Bytes::new()),
            false => (StatusCode::OK, self.document.clone()),
        };
        let reply = reply::bare(status, body).with(CACHE_CONTROL, KEPT).with(ETAG, self.tag.clone());
        if known { reply } else { reply.with(CONTENT_TYPE, reply::JSON) }
    }

    /// "A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match" (RFC 9110 section 13.1.2).
    fn is_listed(&self, listed: &HeaderValue) -> bool {
        let Ok(listed) = listed.to_str() else { return false };
        let same = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.tag.as_bytes();
        listed.trim() == "*" || listed.split(',').map(str::trim).any(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m09_a_known_tag_is_not_sent_again() {
        let metadata = Metadata::of(
            &Issuer::parse("https://as.example", false).unwrap(),
            ByCertificate::Nowhere,
            Profile::Default,
        );
        let tag = metadata.tag.to_str().unwrap().to_string();
        let ask = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(given).unwrap());
            metadata.serve(&headers).status().as_u16()
        };
        assert_eq!(metadata.serve(&HeaderMap::new()).status(), StatusCode::OK);
        assert_eq!([ask(&tag), ask(&format!("W/{tag}")), ask(&format!("\"x\" , {tag}")), ask("*")], [304; 4]);
        assert_eq!([ask("\"x\""), ask(tag.trim_matches('"'))], [200; 2]);
    }
}
