//! Those who have certificates, and what is registered of them.

use data_encoding::BASE64;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};
use serde_json::json;

use crate::harness::clients::client;
use crate::harness::tls::{Authority, Certificate};

/// Who is known by a certificate.
pub(super) struct Person {
    pub(super) client_id: &'static str,
    pub(super) certificate: Certificate,
    registration: String,
}

/// All of them, and who signed their certificates.
pub(super) struct People {
    pub(super) authority: Authority,
    /// One for each kind of subject.
    pub(super) signed: Vec<Person>,
    pub(super) own: Person,
}

impl People {
    pub(super) fn new() -> Self {
        let authority = Authority::new();
        let person = |client_id: &'static str, what: &str, san: Option<SanType>| {
            let certificate = authority.certify_with(|parameters| of_client(parameters, client_id, san));
            let method = "token_endpoint_auth_method = \"tls_client_auth\"";
            let bound = "tls_client_certificate_bound_access_tokens = true";
            let registration =
                format!("[[client]]\nclient_id = \"{client_id}\"\n{method}\n{what}\n{bound}\n{SCOPES}\n");
            Person { client_id, certificate, registration }
        };
        let signed = vec![
            person("by-dn", r"tls_client_auth_subject_dn = 'CN=by-dn, O=Example\2c Ltd., C=DE'", None),
            person(
                "by-dns",
                "tls_client_auth_san_dns = \"by-dns.example.com\"",
                Some(SanType::DnsName("by-dns.example.com".try_into().unwrap())),
            ),
            person(
                "by-uri",
                "tls_client_auth_san_uri = \"spiffe://example.com/by-uri\"",
                Some(SanType::URI("spiffe://example.com/by-uri".try_into().unwrap())),
            ),
            person(
                "by-ip",
                "tls_client_auth_san_ip = \"2001:db8:0::7\"",
                Some(SanType::IpAddress("2001:db8::7".parse().unwrap())),
            ),
            person(
                "by-email",
                "tls_client_auth_san_email = \"by-email@example.com\"",
                Some(SanType::Rfc822Name("by-email@example.com".try_into().unwrap())),
            ),
        ];
        let certificate = self_signed("by-itself");
        let x5c = BASE64.encode(&certificate.der());
        let jwks = toml::Value::try_from(json!({ "keys": [{ "kty": "EC", "x5c": [x5c] }] })).unwrap();
        let method = "token_endpoint_auth_method = \"self_signed_tls_client_auth\"";
        let registration = format!("[[client]]\nclient_id = \"by-itself\"\n{method}\njwks = {jwks}\n{SCOPES}\n");
        let own = Person { client_id: "by-itself", certificate, registration };
        Self { authority, signed, own }
    }

    /// Tables of the clients file; beside those of the people one whose secret proves it and whose tokens are bound.
    pub(super) fn registrations(&self) -> Vec<String> {
        let bound = client("bound-by-secret", &format!("tls_client_certificate_bound_access_tokens = true\n{SCOPES}"));
        let people = self.signed.iter().chain([&self.own]);
        people.map(|person| person.registration.clone()).chain([bound]).collect()
    }

    pub(super) fn signed(&self, client_id: &str) -> &Person {
        self.signed.iter().find(|person| person.client_id == client_id).unwrap()
    }
}

const SCOPES: &str = "scope = \"invoices:read\"\naudience = [\"https://api.example.com\"]";

/// A certificate of a client: of its name, for nothing but this, until far ahead.
pub(super) fn of_client(parameters: &mut CertificateParams, name: &str, san: Option<SanType>) {
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CountryName, "DE");
    parameters.distinguished_name.push(DnType::OrganizationName, "Example, Ltd.");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.subject_alt_names = san.into_iter().collect();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.not_after = date_time_ymd(2099, 1, 1);
}

/// A certificate that nobody but its owner signed.
pub(super) fn self_signed(name: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    of_client(&mut parameters, name, None);
    let certificate = parameters.self_signed(&key).unwrap().pem();
    Certificate { certificate, key: key.serialize_pem() }
}
