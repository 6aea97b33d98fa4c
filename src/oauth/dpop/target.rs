//! What a proof is made for: a method and a URL, compared as RFC 9449 section 4.3 says: "servers SHOULD employ syntax-based
//! normalization (Section 6.2.2 of RFC 3986) and scheme-based normalization (Section 6.2.3 of RFC 3986) before comparing the htu
//! claim." Row D03.
//!
//! Invariant: the URL is the configured one. What a request says of its host says nothing of who sent it.

use url::Url;

use crate::oauth::endpoint::Endpoint;
use crate::oauth::metadata::Issuer;

/// A method and a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    method: &'static str,
    url: String,
}

impl Target {
    /// A `POST` to this URL.
    pub fn post(url: &str) -> Self {
        Self { method: "POST", url: normal_form(url).unwrap_or_else(|| url.to_owned()) }
    }

    /// Token requests to this server.
    pub fn token_endpoint(issuer: &Issuer) -> Self {
        Self::post(&issuer.url_of(Endpoint::Token))
    }

    /// The URL in its normal form.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether this `htm` and `htu` mean it. A method is case-sensitive (RFC 9110 section 9.1).
    pub fn is(&self, htm: &str, htu: &str) -> bool {
        htm == self.method && normal_form(htu).is_some_and(|htu| htu == self.url)
    }
}

/// The normal form of an http or https URL without its query and fragment; `None` where it is none.
pub(crate) fn normal_form(text: &str) -> Option<String> {
    // A URL parser of browsers mends what is no URL at all: white space, backslashes, slashes missing or too many.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&byte)) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_web = ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !is_web || rest.starts_with('/') {
        return None;
    }
    // Scheme and host in small letters, no default port, no dot segments, "/" for no path.
    let mut url = Url::parse(text).ok()?;
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = percent_normal(url.path())?;
    let origin = &url[..url::Position::BeforePath];
    Some(format!("{origin}{path}"))
}

/// "These URIs should be normalized by decoding any percent-encoded octet that corresponds to an unreserved character", and others have
/// capital digits (RFC 3986 sections 6.2.2.1 and 6.2.2.2).
fn percent_normal(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut parts = path.split('%');
    out.push_str(parts.next()?);
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        out.push_str(&part[2..]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(issuer: &str) -> Target {
        Target::token_endpoint(&Issuer::parse(issuer, false).unwrap())
    }

    #[test]
    fn d03_another_spelling_of_the_url_is_the_url() {
        for htu in [
            "https://as.example/oauth2/token",
            "HTTPS://AS.Example/oauth2/token",
            "https://as.example:443/oauth2/token",
            "https://as.example:/oauth2/token",
            "https://as.example/oauth2/token?a=b",
            "https://as.example/oauth2/token#f",
            "https://as.example/oauth2/token?",
            "https://as.example/./x/../oauth2/token",
            "https://as.example/x/%2e%2E/oauth2/token",
            "https://as.example/%6Fauth2/%74oken",
        ] {
            assert!(target("https://as.example").is("POST", htu), "{htu}");
        }
        let at = |issuer: &str, htu: &str| target(issuer).is("POST", htu);
        assert!(at("https://as.example/~a", "https://as.example/%7Ea/oauth2/token"));
        assert!(at("https://as.example/~a", "https://as.example/%7ea/oauth2/token"));
        assert!(at("https://as.example/%c3%A9", "https://as.example/%C3%a9/oauth2/token"));
        assert!(at("https://as.example:443", "https://as.example/oauth2/token"));
        assert!(at("http://[::1]:4444", "http://[0:0::1]:4444/oauth2/token"));
    }

    #[test]
    fn d02_d03_another_url_is_another() {
        for htu in [
            "",
            "/oauth2/token",
            "as.example/oauth2/token",
            "http://as.example/oauth2/token",
            "https://as.example:444/oauth2/token",
            "https://other.example/oauth2/token",
            "https://as.example.other/oauth2/token",
            "https://as.example@other.example/oauth2/token",
            "https://me@as.example/oauth2/token",
            "https://as.example/oauth2/token/",
            "https://as.example/oauth2/TOKEN",
            "https://as.example//oauth2/token",
            "https://as.example/oauth2/introspect",
            "https://as.example/oauth2%2Ftoken",
            "https://as.example/oauth2/token%",
            "https://as.example/oauth2/token%2",
            "https://as.example/oauth2/token%zz",
            "https:as.example/oauth2/token",
            "https:/as.example/oauth2/token",
            "https:///as.example/oauth2/token",
            "https:\\\\as.example\\oauth2\\token",
            " https://as.example/oauth2/token",
            "https://as.example/oauth2/to\nken",
            "https://as.example/oauth2/token;a",
            "https://as.example./oauth2/token",
            "wss://as.example/oauth2/token",
        ] {
            assert!(!target("https://as.example").is("POST", htu), "{htu}");
        }
        for htm in ["GET", "post", "", "POST "] {
            assert!(!target("https://as.example").is(htm, "https://as.example/oauth2/token"), "{htm}");
        }
    }
}
