//! Authorization server metadata: RFC 8414, rows M01 to M09.

use std::fmt;

use serde::Serialize;
use url::{Host, Url};

use super::endpoint::Endpoint;
use super::jws::algorithm;
use super::profile::Profile;

/// An issuer that passed M03, with the URLs that follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    path: String,
    json: String,
}

/// Why a string is no issuer; the text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerError(pub &'static str);

impl Issuer {
    /// Reads an issuer: https, or http on a loopback host or where `plain_http_any`; no query, no fragment, no trailing slash.
    /// What is read is kept to the byte, since clients compare it so (RFC 8414 section 3.3).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn parse(url: &str, plain_http_any: bool) -> Result<Self, IssuerError> {
        let refuse = |why| Err(IssuerError(why));
        if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&byte)) {
            return refuse("a character that no URL has; write a host in its ASCII form");
        }
        let Ok(parsed) = Url::parse(url) else { return refuse("not an absolute URL") };
        let Some(host) = parsed.host() else { return refuse("no host in it") };
        match parsed.scheme() {
            "https" => {}
            "http" if plain_http_any || is_loopback(&host) => {}
            "http" => return refuse("http is for a loopback host alone, unless public.plain_http is any"),
            _ => return refuse("neither https nor http"),
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return refuse("a query or a fragment in it");
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return refuse("a user or a password in it");
        }
        if url.ends_with('/') {
            return refuse("a slash at its end");
        }
        let path = parsed.path().trim_end_matches('/');
        // Requests come in at the path as a client's URL library writes it: another spelling would never be asked for.
        let Some((_, rest)) = url.split_once("://") else { return refuse("no // before its host") };
        if path != rest.find('/').map_or("", |at| &rest[at..]) {
            return refuse("a path that is not in its normal form");
        }
        let json = serde_json::to_string(url).unwrap_or_default();
        Ok(Self { url: url.to_string(), path: path.to_string(), json })
    }

    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Its path, without a slash at the end; empty where it has none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The URL of an endpoint.
    pub fn url_of(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.url, endpoint.path())
    }

    /// The same over https at another port of its host.
    pub fn at_port(&self, port: u16) -> String {
        let Ok(mut url) = Url::parse(&self.url) else { return self.url.clone() };
        // Both are possible for every URL with a host, and an issuer has one.
        let _ = url.set_scheme("https");
        let _ = url.set_port(Some(port));
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// As a JSON string with its quotes.
    pub fn as_json(&self) -> &str {
        &self.json
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // RFC 6761 section 6.3: localhost and all names under it are this machine.
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The members of RFC 8414 section 2 that this server has, in their order there.
#[derive(Serialize)]
struct Document<'a> {
    issuer: &'a str,
    token_endpoint: String,
    // "Claims with zero elements MUST be omitted" against "REQUIRED": strict parsers need the member (M06).
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    // "This metadata entry MUST be present if either of these authentication methods are specified": private_key_jwt is.
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 6],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 6],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 6],
    // RFC 9449 section 5.1.
    dpop_signing_alg_values_supported: [&'static str; 6],
    // RFC 8705 section 3.3: "If omitted, the default value is \"false\"."
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tls_client_certificate_bound_access_tokens: bool,
    // RFC 8705 section 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    mtls_endpoint_aliases: Option<Aliases>,
}

/// Where clients may prove themselves by certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByCertificate<'a> {
    /// No certificate counts.
    Nowhere,
    /// At the endpoints themselves: a proxy tells of certificates.
    Here,
    /// At the same paths behind this URL.
    At(&'a str),
}

#[derive(Serialize)]
struct Aliases {
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
}

impl Aliases {
    fn at(base: &str) -> Self {
        let at = |endpoint: Endpoint| format!("{base}{}", endpoint.path());
        Self {
            token_endpoint: at(Endpoint::Token),
            revocation_endpoint: at(Endpoint::Revocation),
            introspection_endpoint: at(Endpoint::Introspection),
        }
    }
}

const SECRET_METHODS: &[&str] = &["client_secret_basic", "client_secret_post"];
const KEY_METHODS: &[&str] = &["private_key_jwt"];
const CERTIFICATE_METHODS: &[&str] = &["tls_client_auth", "self_signed_tls_client_auth"];
/// At introspection also a type of access token: "The valid client authentication method values are those registered in the
/// IANA OAuth Token Endpoint Authentication Methods registry or […] the IANA OAuth Access Token Types registry."
const TOKEN_METHODS: &[&str] = &["Bearer"];

/// The metadata document, compact JSON.
pub fn document(issuer: &Issuer, certificates: ByCertificate<'_>, profile: Profile) -> Vec<u8> {
    let by_certificate = if certificates == ByCertificate::Nowhere { &[] } else { CERTIFICATE_METHODS };
    // Without secrets there is no unbound token either, and a bound one is no Bearer.
    let (by_secret, by_token) = match profile {
        Profile::Default => (SECRET_METHODS, TOKEN_METHODS),
        Profile::Bcp => (&[][..], &[][..]),
    };
    let client_methods = || [by_secret, KEY_METHODS, by_certificate].concat();
    let document = Document {
        issuer: issuer.as_str(),
        token_endpoint: issuer.url_of(Endpoint::Token),
        response_types_supported: [],
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: client_methods(),
        token_endpoint_auth_signing_alg_values_supported: algorithm::NAMES,
        revocation_endpoint: issuer.url_of(Endpoint::Revocation),
        revocation_endpoint_auth_methods_supported: client_methods(),
        revocation_endpoint_auth_signing_alg_values_supported: algorithm::NAMES,
        introspection_endpoint: issuer.url_of(Endpoint::Introspection),
        introspection_endpoint_auth_methods_supported: [client_methods().as_slice(), by_token].concat(),
        introspection_endpoint_auth_signing_alg_values_supported: algorithm::NAMES,
        dpop_signing_alg_values_supported: algorithm::NAMES,
        tls_client_certificate_bound_access_tokens: certificates != ByCertificate::Nowhere,
        mtls_endpoint_aliases: match certificates {
            ByCertificate::At(base) => Some(Aliases::at(base)),
            ByCertificate::Here | ByCertificate::Nowhere => None,
        },
    };
    // Strings and lists of strings have no serialisation that fails.
    serde_json::to_vec(&document).unwrap_or_default()
}

impl fmt::Display for IssuerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for IssuerError {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn m03_an_issuer_is_kept_to_the_byte() {
        let good = [
            ("https://as.example", ""),
            ("https://as.example:8443/t1", "/t1"),
            ("https://AS.example/a/b", "/a/b"),
            ("http://127.0.0.1:4444", ""),
            ("http://[::1]:4444/x", "/x"),
            ("http://localhost", ""),
        ];
        for (url, path) in good {
            let issuer = Issuer::parse(url, false).unwrap();
            assert_eq!((issuer.as_str(), issuer.path()), (url, path));
            assert_eq!(issuer.as_json(), &format!("\"{url}\""));
        }
    }

    #[test]
    fn m03_what_is_no_issuer_is_refused() {
        let bad = [
            "",
            "as.example",
            "/t1",
            "https://",
            "ftp://as.example",
            "urn:example:as",
            "http://as.example",
            "http://128.0.0.1",
            "http://localhost.example",
            "https://as.example/",
            "https://as.example/t1/",
            "https://as.example?",
            "https://as.example?a=b",
            "https://as.example#f",
            "https://as.example/a/../b",
            "https://as.example/a b",
            " https://as.example",
            "https://as.example\\t1",
            "https:as.example",
            "https://me:pw@as.example",
            "https://\u{e4}s.example",
        ];
        for url in bad {
            assert!(Issuer::parse(url, false).is_err(), "{url}");
        }
        assert!(Issuer::parse("http://as.example", true).is_ok());
        assert!(Issuer::parse("http://as.example/", true).is_err());
    }

    #[test]
    fn m02_m04_to_m07_the_document() {
        let issuer = Issuer::parse("https://h/t1", false).unwrap();
        let algorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];
        let expected = json!({
            "issuer": "https://h/t1",
            "token_endpoint": "https://h/t1/oauth2/token",
            "introspection_endpoint": "https://h/t1/oauth2/introspect",
            "revocation_endpoint": "https://h/t1/oauth2/revoke",
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
            "introspection_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "private_key_jwt", "Bearer"],
            "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
            "dpop_signing_alg_values_supported": algorithms,
        });
        assert_eq!(
            serde_json::from_slice::<Value>(&document(&issuer, ByCertificate::Nowhere, Profile::Default)).unwrap(),
            expected
        );
    }

    #[test]
    fn x08_the_document_names_the_listener_that_asks_for_certificates() {
        let issuer = Issuer::parse("https://h:8443/t1", false).unwrap();
        assert_eq!(issuer.at_port(4446), "https://h:4446/t1");
        let told: Value =
            serde_json::from_slice(&document(&issuer, ByCertificate::At(&issuer.at_port(4446)), Profile::Default))
                .unwrap();
        assert_eq!(told["token_endpoint"], "https://h:8443/t1/oauth2/token");
        assert_eq!(
            told["mtls_endpoint_aliases"],
            json!({
                "token_endpoint": "https://h:4446/t1/oauth2/token",
                "revocation_endpoint": "https://h:4446/t1/oauth2/revoke",
                "introspection_endpoint": "https://h:4446/t1/oauth2/introspect",
            })
        );
        assert_eq!(told["tls_client_certificate_bound_access_tokens"], true);
        let methods = told["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(methods.contains(&json!("tls_client_auth")) && methods.contains(&json!("self_signed_tls_client_auth")));
        assert_eq!(Issuer::parse("http://localhost", false).unwrap().at_port(4446), "https://localhost:4446");
    }
}
