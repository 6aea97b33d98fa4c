//! The certificates of a client that nobody else signed: "the client's public X.509 certificates […] using the x5c parameter"
//! (RFC 8705 section 2.2.2).

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Map, Value};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Version;

use super::members::Members;
use crate::config::mistake::Origin;

/// The first certificate of each key's `x5c`, DER.
pub(super) fn read(members: &Members<'_>, set: &Map<String, Value>, name: &str, origin: &Origin) -> Vec<Vec<u8>> {
    let listed = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if listed.is_empty() {
        members.mistake(origin.clone(), format!("`{name}` holds no keys"));
    }
    let mut certificates = Vec::new();
    for key in listed {
        match certificate(key) {
            Ok(der) => certificates.push(der),
            Err(why) => members.mistake(origin.clone(), format!("`{name}`: {why}")),
        }
    }
    certificates
}

fn certificate(key: &Value) -> Result<Vec<u8>, &'static str> {
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| key.get(member).is_some()) {
        return Err("a key has its private part, which belongs to its client alone");
    }
    let own = key.get("x5c").and_then(|chain| chain.get(0)).and_then(Value::as_str);
    let der = own.and_then(|own| BASE64.decode(own.as_bytes()).ok()).ok_or("a key without a certificate in `x5c`")?;
    match parse_x509_certificate(&der) {
        // TLS would end its handshake: rustls takes the keys of certificates of this version alone.
        Ok(([], certificate)) if certificate.version() != X509Version::V3 => Err(
            "a certificate in `x5c` is not of X.509 version 3, and no handshake takes it; `openssl req -x509` makes one that is",
        ),
        Ok(([], certificate)) => match is_key_of(key, &certificate) {
            true => Ok(der.clone()),
            false => Err("a key is not that of its certificate in `x5c`"),
        },
        _ => Err("a key without a certificate in `x5c`"),
    }
}

/// "The key in the first certificate MUST match the public key represented by other members of the JWK" (RFC 7517 section 4.7). Those
/// that are left out contradict nothing.
fn is_key_of(key: &Value, certificate: &X509Certificate<'_>) -> bool {
    let bytes = |name: &str| match key.get(name) {
        None => Some(None),
        Some(value) => value.as_str().and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok()).map(Some),
    };
    let is = |name: &str, expected: &[u8]| match bytes(name) {
        None => false,
        Some(None) => true,
        Some(Some(found)) => without_zeros(&found) == without_zeros(expected),
    };
    let says = |kty: &str| key.get("kty").is_none_or(|said| said == kty);
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(rsa)) => says("RSA") && is("n", rsa.modulus) && is("e", rsa.exponent),
        Ok(PublicKey::EC(point)) => match point.data() {
            // Uncompressed (RFC 5480 section 2.2): both coordinates, of one length.
            [4, coordinates @ ..] if coordinates.len() % 2 == 0 => {
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                says("EC") && is("x", x) && is("y", y)
            }
            _ => false,
        },
        Ok(PublicKey::Unknown(octets)) => says("OKP") && is("x", octets),
        Ok(_) | Err(_) => false,
    }
}

/// As numbers are compared.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}
