//! Certificates as proof of who a client is (RFC 8705 section 2), and as what its tokens are bound to (section 3).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::distinguished_name::DistinguishedName;
use super::time::Timestamp;

/// What a client's certificate must say of its subject (RFC 8705 section 2.1.2): one of these, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSubject {
    /// `tls_client_auth_subject_dn`.
    DistinguishedName(DistinguishedName),
    /// `tls_client_auth_san_dns`.
    Dns(String),
    /// `tls_client_auth_san_uri`.
    Uri(String),
    /// `tls_client_auth_san_ip`.
    Ip(IpAddr),
    /// `tls_client_auth_san_email`.
    Email(String),
}

/// A certificate whose private key the caller has, and who it says that it is.
pub struct PresentedCertificate {
    /// The client that is claimed: "the client MUST include the client_id" (RFC 8705 section 2).
    pub client_id: Box<str>,
    /// The certificate, DER.
    pub der: Arc<[u8]>,
    /// Whether one whom the service believes has signed it for clients, and its time is now. Asked last: it verifies signatures.
    pub is_trusted: Box<dyn Fn(Timestamp) -> bool>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// Nobody whom the service believes has signed it, or not for this, or not for now.
    Untrusted,
    /// It is somebody else's.
    Subject,
    /// It is none of those that the client has registered.
    Unknown,
}

impl CertificateSubject {
    /// Whether a certificate (DER) is of this subject.
    pub fn is_of(&self, der: &[u8]) -> bool {
        let Ok((_, certificate)) = parse_x509_certificate(der) else { return false };
        if let Self::DistinguishedName(name) = self {
            return name.is(certificate.subject());
        }
        let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
        names.value.general_names.iter().any(|name| self.is_named(name))
    }

    fn is_named(&self, name: &GeneralName<'_>) -> bool {
        match (self, name) {
            // Names of hosts know no case (RFC 4343), addresses of mail none in what stands behind their `@`.
            (Self::Dns(expected), GeneralName::DNSName(name)) => expected.eq_ignore_ascii_case(name),
            (Self::Uri(expected), GeneralName::URI(name)) => expected == name,
            (Self::Email(expected), GeneralName::RFC822Name(name)) => {
                match (expected.rsplit_once('@'), name.rsplit_once('@')) {
                    (Some((local, domain)), Some((other, there))) => {
                        local == other && domain.eq_ignore_ascii_case(there)
                    }
                    _ => false,
                }
            }
            (Self::Ip(IpAddr::V4(expected)), GeneralName::IPAddress(octets)) => expected.octets() == *octets,
            (Self::Ip(IpAddr::V6(expected)), GeneralName::IPAddress(octets)) => expected.octets() == *octets,
            _ => false,
        }
    }
}

/// `x5t#S256`: "the SHA-256 hash […] of the DER encoding of the X.509 certificate" (RFC 8705 section 3.1).
pub fn thumbprint(der: &[u8]) -> [u8; 32] {
    let mut thumbprint = [0; 32];
    thumbprint.copy_from_slice(digest(&SHA256, der).as_ref());
    thumbprint
}

impl fmt::Debug for PresentedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedCertificate").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CountryName, "DE");
        parameters.distinguished_name.push(DnType::OrganizationName, "Example, Ltd.");
        parameters.distinguished_name.push(DnType::CommonName, "billing");
        parameters.subject_alt_names = vec![
            SanType::DnsName("billing.example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/billing".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
            SanType::Rfc822Name("billing@example.com".try_into().unwrap()),
        ];
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn x01_each_kind_of_subject_is_found_and_no_other() {
        let der = certificate();
        let name = |text: &str| CertificateSubject::DistinguishedName(DistinguishedName::parse(text).unwrap());
        let right = [
            name(r"CN=billing,O=Example\, Ltd.,C=DE"),
            CertificateSubject::Dns("Billing.example.COM".into()),
            CertificateSubject::Uri("spiffe://example.com/billing".into()),
            CertificateSubject::Ip("192.0.2.7".parse().unwrap()),
            CertificateSubject::Ip("2001:db8::7".parse().unwrap()),
            CertificateSubject::Email("billing@Example.com".into()),
        ];
        for subject in right {
            assert!(subject.is_of(&der), "{subject:?}");
        }
        let wrong = [
            name("CN=billing"),
            name("CN=billing.example.com"),
            CertificateSubject::Dns("example.com".into()),
            CertificateSubject::Dns("billing".into()),
            CertificateSubject::Uri("spiffe://example.com/Billing".into()),
            CertificateSubject::Uri("billing.example.com".into()),
            CertificateSubject::Ip("192.0.2.8".parse().unwrap()),
            CertificateSubject::Email("Billing@example.com".into()),
            CertificateSubject::Email("billing".into()),
        ];
        for subject in wrong {
            assert!(!subject.is_of(&der), "{subject:?}");
            assert!(!subject.is_of(b"no certificate"));
        }
    }
}
