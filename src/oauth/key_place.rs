//! Where somebody publishes its keys: the URL of a JWK set (`jwks_uri` of RFC 7591 section 2), and how its server is known.
//!
//! Invariant: it is https, with a host and without a user, a password or a fragment.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::{Host, Url};

const URL_BYTES_MAX: usize = 2048;

/// A place. Cheap to clone; two that are equal are one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPlace {
    url: Arc<Url>,
    ca: Option<Arc<[u8]>>,
    token_file: Option<Arc<Path>>,
}

/// Why a text is no place; for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlaceError(pub &'static str);

impl KeyPlace {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`KeyPlaceError`].
    pub fn parse(text: &str) -> Result<Self, KeyPlaceError> {
        let refuse = |why| Err(KeyPlaceError(why));
        if text.len() > URL_BYTES_MAX {
            return refuse("longer than 2048 bytes");
        }
        // What a URL library would mend in silence, others would read in another way.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return refuse("no URL: it holds a character that none has");
        }
        let Ok(url) = Url::parse(text) else { return refuse("no URL") };
        if url.scheme() != "https" {
            return refuse("not https: keys that come by another way are anybody's");
        }
        if url.host().is_none() || !text["https:".len()..].starts_with("//") {
            return refuse("without a host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("one with a user or a password");
        }
        if url.fragment().is_some() {
            return refuse("one with a fragment");
        }
        Ok(Self { url: Arc::new(url), ca: None, token_file: None })
    }

    /// The same, whose server is known by certificates of these authorities alone (PEM).
    pub fn vouched_for_by(self, ca: &[u8]) -> Self {
        Self { ca: Some(ca.into()), ..self }
    }

    /// The same, whose server wants the bearer token that stands in this file at the time.
    pub fn opened_by(self, token_file: PathBuf) -> Self {
        Self { token_file: Some(token_file.into()), ..self }
    }

    /// Its host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Its host, where that is an address and not a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// Host and, where it is not the usual one, port.
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// Who vouches for its server (PEM); `None`: whoever the service believes.
    pub fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// Where the token stands that its server wants.
    pub fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }
}

impl fmt::Display for KeyPlace {
    /// Without its query, in which somebody may have put a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..url::Position::AfterPath])
    }
}

impl fmt::Debug for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPlace({self})")
    }
}

impl fmt::Display for KeyPlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for KeyPlaceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w14_a_place_is_https_with_a_host_alone() {
        for (text, why) in [
            ("http://a.example/jwks", "not https"),
            ("ftp://a.example/jwks", "not https"),
            ("file:///etc/passwd", "not https"),
            ("a.example/jwks", "no URL"),
            ("", "no URL"),
            ("https://", "no URL"),
            ("https:a.example", "without a host"),
            ("https:/a.example", "without a host"),
            ("https://a.example\\@10.0.0.1/", "a character"),
            ("https://a.example/ jwks", "a character"),
            ("https://\u{430}.example/", "a character"),
            ("https://u@a.example/jwks", "a user"),
            ("https://:p@a.example/jwks", "a user"),
            ("https://a.example/jwks#", "a fragment"),
        ] {
            let found = KeyPlace::parse(text).unwrap_err();
            assert!(found.0.contains(why), "{text}: {found}");
        }
        assert!(KeyPlace::parse(&format!("https://a.example/{}", "a".repeat(2048))).is_err());
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        for text in ["https://127.0.0.1/", "https://0x7f.1/", "https://2130706433/", "https://0177.0.0.1/"] {
            assert_eq!(KeyPlace::parse(text).unwrap().address(), Some([127, 0, 0, 1].into()), "{text}");
        }
        let place = KeyPlace::parse("https://[::ffff:10.0.0.1]:8443/keys?a=secret").unwrap();
        assert_eq!((place.host(), place.port(), place.target()), ("::ffff:a00:1", 8443, "/keys?a=secret"));
        assert_eq!(
            (place.authority(), place.to_string().as_str()),
            ("[::ffff:a00:1]:8443", "https://[::ffff:a00:1]:8443/keys")
        );
        let named = KeyPlace::parse("https://A.example").unwrap();
        assert_eq!((named.address(), named.host(), named.port(), named.target()), (None, "a.example", 443, "/"));
        assert_ne!(named, named.clone().vouched_for_by(b"x"));
    }
}
