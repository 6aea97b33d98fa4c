//! What a proxy in front says of who is behind it: the address, and the certificate that it was shown (RFC 9440, or Envoy's XFCC). Row X09.
//!
//! Invariants: only who is trusted is believed, and one named header field alone is ever read for a certificate; where the field is missing,
//! there twice, or cannot be read, the request has no certificate, whatever the proxy showed of its own.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64;
use hyper::header::{HeaderMap, HeaderName};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::parse_x509_certificate;

use super::PeerIdentity;
use super::client_certificates::PeerCertificate;
use crate::oauth::network::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Who may speak for others, and how.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where they stand. Who comes over a unix socket is one too.
    pub networks: Vec<Network>,
    /// Where a certificate stands.
    pub certificate: CertificateHeader,
}

/// The header field with the certificate of a client (`public.client_certificate_header`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateHeader {
    /// None is read.
    #[default]
    None,
    /// `Client-Cert` (RFC 9440): the certificate in base64 between colons.
    ClientCert,
    /// `X-Forwarded-Client-Cert`: of its last element the member `Cert`, and `Chain` where it is there.
    Xfcc,
}

/// Who asks, as far as it is known.
pub(crate) struct Origin {
    pub(crate) source: Option<IpAddr>,
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
}

impl Proxies {
    /// Who sent a request with these fields on a connection of `peer`.
    pub(crate) fn origin(&self, peer: &PeerIdentity, fields: &HeaderMap) -> Origin {
        let direct = || Origin { source: peer.source, certificate: peer.certificate.clone() };
        // Nobody is trusted: the usual case, and nothing is looked for.
        if self.networks.is_empty() && peer.source.is_some() || !self.trusts(peer.source) {
            return direct();
        }
        let certificate = match self.certificate {
            CertificateHeader::None => peer.certificate.clone(),
            CertificateHeader::ClientCert => only(fields, &CLIENT_CERT).and_then(client_cert),
            CertificateHeader::Xfcc => only(fields, &XFCC).and_then(xfcc),
        };
        Origin { source: self.forwarded_for(fields).or(peer.source), certificate }
    }

    fn trusts(&self, source: Option<IpAddr>) -> bool {
        source.is_none_or(|source| self.networks.iter().any(|network| network.holds(source)))
    }

    /// The last from the right that is not trusted: what stands before it anybody may have written. Where all are trusted, the first.
    fn forwarded_for(&self, fields: &HeaderMap) -> Option<IpAddr> {
        let mut furthest = None;
        for field in fields.get_all(FORWARDED_FOR).iter().rev() {
            // By bytes: one that is no text must not hide what stands behind it.
            for named in field.as_bytes().rsplit(|byte| *byte == b',') {
                let address = std::str::from_utf8(named).ok().and_then(|named| named.trim().parse::<IpAddr>().ok());
                let Some(address) = address else { return furthest };
                furthest = Some(address.to_canonical());
                if !self.trusts(furthest) {
                    return furthest;
                }
            }
        }
        furthest
    }
}

/// The text of a field that stands there once.
fn only<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = fields.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(field), None) => field.to_str().ok(),
        _ => None,
    }
}

/// A byte sequence of structured fields (RFC 8941 section 3.3.5), and nothing beside it.
fn client_cert(field: &str) -> Option<Arc<PeerCertificate>> {
    let base64 = field.trim().strip_prefix(':')?.strip_suffix(':')?;
    let der = BASE64.decode(base64.as_bytes()).ok()?;
    certificate(&[CertificateDer::from(der)])
}

/// Elements are parted by commas, their members by semicolons; values may stand in quotes, where both mean nothing.
fn xfcc(field: &str) -> Option<Arc<PeerCertificate>> {
    // A proxy that appends to what it was sent closes what it opens. A quote that is left open is somebody's before it, who would have its
    // element be a part of his own.
    if ends_within_quotes(field) {
        return None;
    }
    // Envoy writes these two out of the client's certificate with nothing around them, so whoever had one made says with them what he
    // likes, another element too.
    let keys = split_outside_quotes(field, ',').flat_map(|element| split_outside_quotes(element, ';'));
    let mut keys = keys.map(|member| member.split_once('=').map_or(member, |(key, _)| key).trim());
    if keys.any(|key| key.eq_ignore_ascii_case("uri") || key.eq_ignore_ascii_case("dns")) {
        return None;
    }
    let last = split_outside_quotes(field, ',').last()?;
    let member = |name: &str| {
        let mut found = split_outside_quotes(last, ';').filter_map(|member| {
            let (key, value) = member.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        match (found.next(), found.next()) {
            (Some(value), None) => Some(unquoted(value)),
            _ => None,
        }
    };
    let pem = |text: &str| {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&unescaped(text)?).collect();
        certificates.ok()
    };
    let mut chain = pem(member("Cert")?)?;
    if chain.len() != 1 {
        return None;
    }
    if let Some(more) = member("Chain") {
        chain.extend(pem(more)?.into_iter().filter(|one| *one != chain[0]).collect::<Vec<_>>());
    }
    certificate(&chain)
}

/// No handshake has looked whether the first is one.
fn certificate(chain: &[CertificateDer<'_>]) -> Option<Arc<PeerCertificate>> {
    let (rest, _) = parse_x509_certificate(chain.first()?).ok()?;
    PeerCertificate::of(chain).filter(|_| rest.is_empty())
}

fn ends_within_quotes(text: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
    }
    quoted
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character| {
        let is_end = character == separator && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        is_end
    })
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// Percent-encoding (RFC 3986 section 2.1), where a plus is a plus: PEM has some.
fn unescaped(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('%') {
        return Some(text.as_bytes().into());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        if *byte == b'%' {
            let (digits, behind) = behind.split_at_checked(2)?;
            bytes.extend(data_encoding::HEXUPPER_PERMISSIVE.decode(digits).ok()?);
            rest = behind;
        } else {
            bytes.push(*byte);
            rest = behind;
        }
    }
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn proxies(certificate: CertificateHeader) -> Proxies {
        Proxies { networks: vec!["10.0.0.0/8".parse().unwrap()], certificate }
    }

    fn peer(source: Option<&str>) -> PeerIdentity {
        PeerIdentity { source: source.map(|source| source.parse().unwrap()), ..PeerIdentity::default() }
    }

    fn fields(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn x09_b04_a_forwarded_address_is_the_last_from_the_right_that_is_not_trusted() {
        let proxies = proxies(CertificateHeader::None);
        let source = |from: Option<&str>, forwarded: &[&str]| {
            let forwarded: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
            let mut map = HeaderMap::new();
            for (name, value) in forwarded {
                map.append(name, value.parse().unwrap());
            }
            proxies.origin(&peer(from), &map).source.map(|source| source.to_string())
        };
        let is = |address: &str| Some(address.to_owned());
        assert_eq!(source(Some("192.0.2.1"), &["203.0.113.9"]), is("192.0.2.1"), "from somebody else");
        assert_eq!(source(Some("10.1.1.1"), &["203.0.113.9"]), is("203.0.113.9"));
        assert_eq!(source(None, &["203.0.113.9"]), is("203.0.113.9"), "over a socket");
        assert_eq!(source(Some("10.1.1.1"), &["1.1.1.1, 203.0.113.9 , 10.2.2.2"]), is("203.0.113.9"));
        assert_eq!(source(Some("10.1.1.1"), &["1.1.1.1", "203.0.113.9", "10.2.2.2"]), is("203.0.113.9"));
        assert_eq!(source(Some("10.1.1.1"), &["10.3.3.3, 10.2.2.2"]), is("10.3.3.3"));
        assert_eq!(source(Some("10.1.1.1"), &["203.0.113.9, unknown"]), is("10.1.1.1"));
        assert_eq!(source(Some("10.1.1.1"), &[]), is("10.1.1.1"));
        let mut hidden = HeaderMap::new();
        hidden.append(FORWARDED_FOR, HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap());
        let origin = proxies.origin(&peer(Some("10.1.1.1")), &hidden);
        assert_eq!(origin.source.map(|source| source.to_string()), is("203.0.113.9"), "no byte hides who sent it");
    }

    #[test]
    fn x09_a_certificate_is_read_from_the_named_field_of_a_trusted_peer() {
        let made = |name: &str| {
            let parameters = CertificateParams::new([name.to_owned()]).unwrap();
            parameters.self_signed(&KeyPair::generate().unwrap()).unwrap()
        };
        let (own, other) = (made("own"), made("other"));
        let rfc9440 = |certificate: &rcgen::Certificate| format!(":{}:", BASE64.encode(certificate.der()));
        let escaped = |certificate: &rcgen::Certificate| {
            certificate.pem().replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B").replace('=', "%3D")
        };
        let element = |certificate: &rcgen::Certificate| {
            format!("By=spiffe://a;Hash=00;Cert=\"{}\";Subject=\"CN=a,b;c\"", escaped(certificate))
        };
        let seen = |header, from, all: &[(&'static str, &str)]| {
            let origin = proxies(header).origin(&peer(from), &fields(all));
            origin.certificate.map(|certificate| certificate.der.to_vec())
        };
        let (trusted, stranger, socket) = (Some("10.1.1.1"), Some("192.0.2.1"), None);
        let mine = Some(own.der().to_vec());

        let header = CertificateHeader::ClientCert;
        let good = rfc9440(&own);
        assert_eq!(seen(header, trusted, &[("client-cert", &good)]), mine);
        assert_eq!(seen(header, socket, &[("client-cert", &good)]), mine);
        assert_eq!(seen(header, stranger, &[("client-cert", &good)]), None);
        assert_eq!(seen(header, trusted, &[("x-forwarded-client-cert", &element(&own))]), None, "another field");
        assert_eq!(seen(CertificateHeader::None, trusted, &[("client-cert", &good)]), None);
        for bad in ["", "::", ":AAA:", good.trim_matches(':'), &format!("{good}, {good}"), &format!("{good};a=1")] {
            assert_eq!(seen(header, trusted, &[("client-cert", bad)]), None, "{bad}");
        }
        let mut twice = HeaderMap::new();
        twice.append(CLIENT_CERT, good.parse().unwrap());
        twice.append(CLIENT_CERT, rfc9440(&other).parse().unwrap());
        assert!(proxies(header).origin(&peer(trusted), &twice).certificate.is_none());

        let header = CertificateHeader::Xfcc;
        let xfcc = |value: &str| seen(header, trusted, &[("x-forwarded-client-cert", value)]);
        assert_eq!(xfcc(&element(&own)), mine);
        assert_eq!(xfcc(&format!("{},{}", element(&other), element(&own))), mine, "the last counts");
        assert_eq!(xfcc(&format!("{},By=b;Hash=1", element(&own))), None, "the last has none");
        assert_eq!(xfcc(&format!("By=\"a\\\",\";Cert={}", escaped(&own))), mine, "no end of an element");
        assert_eq!(xfcc(&format!("Cert={0};Cert={0}", escaped(&own))), None);
        assert_eq!(xfcc(&format!("Cert={};Chain={}{}", escaped(&own), escaped(&own), escaped(&other))), mine);
        assert_eq!(xfcc("Cert=%"), None);
        // Said by the alternative names of a certificate that anybody may have made.
        for (key, name) in [("DNS", "x"), ("URI", "x"), ("dns", "\"x\"")] {
            let said = format!("By=a;Hash=0;Cert=\"{}\";{key}={name},Cert=\"{}\"", escaped(&other), escaped(&own));
            assert_eq!(xfcc(&said), None, "{key}");
        }
        // Sent by a client to a proxy that appends: its quote would swallow the comma, and another's certificate be its own.
        let swallowing = format!("Cert=\"{}\";Subject=\"", escaped(&other));
        assert_eq!(xfcc(&format!("{swallowing},{}", element(&own))), None);
        assert_eq!(xfcc(&format!("{swallowing},Hash=1;Cert=\"{}\"", escaped(&own))), None);
        assert_eq!(xfcc(&format!("{swallowing}\\,Hash=1;Cert=\"{}\"", escaped(&own))), None);
        assert_eq!(seen(header, stranger, &[("x-forwarded-client-cert", &element(&own))]), None);

        // What the proxy shows of its own is not its client's.
        let shown = PeerCertificate::of(&[CertificateDer::from(other.der().to_vec())]);
        let proxy = PeerIdentity { certificate: shown, ..peer(trusted) };
        assert!(proxies(header).origin(&proxy, &HeaderMap::new()).certificate.is_none());
        assert!(proxies(CertificateHeader::None).origin(&proxy, &HeaderMap::new()).certificate.is_some());
    }
}
