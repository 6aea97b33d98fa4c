//! What a client's certificate must say of its subject: exactly one of five members (RFC 8705 section 2.1.2).

use super::members::{Members, Placed};
use crate::config::mistake::{Mistake, Origin};
use crate::oauth::client::AuthMethod;
use crate::oauth::client_certificate::CertificateSubject;
use crate::oauth::distinguished_name::DistinguishedName;

const SUBJECT_DN: &str = "tls_client_auth_subject_dn";
const SAN_DNS: &str = "tls_client_auth_san_dns";
const SAN_URI: &str = "tls_client_auth_san_uri";
const SAN_IP: &str = "tls_client_auth_san_ip";
const SAN_EMAIL: &str = "tls_client_auth_san_email";
const ALL: [&str; 5] = [SUBJECT_DN, SAN_DNS, SAN_URI, SAN_IP, SAN_EMAIL];

/// "A client using the tls_client_auth authentication method MUST use exactly one of the below metadata parameters."
pub(super) fn subject(members: &Members<'_>, auth_method: AuthMethod) -> Option<CertificateSubject> {
    let given: Vec<(&str, Placed)> = ALL.into_iter().filter_map(|name| Some((name, members.text(name)?))).collect();
    if auth_method != AuthMethod::TlsClientAuth {
        if let Some((name, (_, origin))) = given.first() {
            let mistake = Mistake::new(origin.clone(), format!("`{name}` is for the method `tls_client_auth` alone"));
            members.push(mistake.hint("write token_endpoint_auth_method = \"tls_client_auth\", or take it out"));
        }
        return None;
    }
    let hint = format!("write one of {}", ALL.join(", "));
    let mut given = given.into_iter();
    let Some((name, (text, origin))) = given.next() else {
        if !ALL.iter().any(|name| members.has(name)) {
            let what = "a client with the method `tls_client_auth` has no subject that its certificate must have";
            members.push(Mistake::new(members.origin.clone(), what).hint(&hint));
        }
        return None;
    };
    if let Some((second, (_, origin))) = given.next() {
        members.push(Mistake::new(origin, format!("`{second}` beside `{name}`: there must be one")).hint(&hint));
    }
    read(members, name, text, origin)
}

fn read(members: &Members<'_>, name: &str, text: String, origin: Origin) -> Option<CertificateSubject> {
    let wrong = |what: &str| {
        members.mistake(origin, format!("`{name}`: {what}"));
        None
    };
    if text.is_empty() {
        return wrong("it is empty");
    }
    match name {
        SUBJECT_DN => match DistinguishedName::parse(&text) {
            Ok(name) => Some(CertificateSubject::DistinguishedName(name)),
            Err(error) => wrong(error.0),
        },
        SAN_DNS => Some(CertificateSubject::Dns(text)),
        SAN_URI => Some(CertificateSubject::Uri(text)),
        SAN_IP => match text.parse() {
            Ok(address) => Some(CertificateSubject::Ip(address)),
            Err(_) => wrong("no IP address"),
        },
        _ if text.contains('@') => Some(CertificateSubject::Email(text)),
        _ => wrong("no address of mail"),
    }
}
