//! One public key of somebody else, as a JSON Web Key (RFC 7517): what it can verify, and its thumbprint (RFC 7638).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value, json};

use super::algorithm::Algorithm;

/// Below, a modulus can be factored; above, verifying costs whoever is attacked.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// Bytes of an RSA exponent; nearly all are 65537.
const EXPONENT_BYTES_MAX: usize = 4;
const KID_BYTES_MAX: usize = 256;

/// A public key that verifies signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwk {
    kid: Option<Box<str>>,
    alg: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
    /// The curves' points uncompressed: 4, x, y.
    P256 {
        point: Box<[u8]>,
    },
    P384 {
        point: Box<[u8]>,
    },
    Ed25519 {
        x: Box<[u8]>,
    },
}

/// Why a JWK is of no use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwkError {
    /// A member is missing, or is not what its kind of key has.
    Malformed,
    /// It holds a private key, which its owner alone should have.
    Private,
    /// A kind of key, a curve or an `alg` that is not verified here.
    Unsupported,
    /// Its `use` or `key_ops` say that it is not for verifying signatures.
    OtherUse,
    /// An RSA modulus of other than 2048 to 4096 bits.
    RsaSize,
}

impl Jwk {
    /// Reads the members of a JWK.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn read(members: &Map<String, Value>) -> Result<Self, JwkError> {
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(JwkError::Malformed),
        };
        let kty = text("kty")?.ok_or(JwkError::Malformed)?;
        if kty == "oct" {
            return Err(JwkError::Unsupported);
        }
        // "d" is the private part of every asymmetric kind (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| members.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        // A SPIFFE bundle marks the keys of its tokens so (SPIFFE Trust Domain and Bundle section 4.2.2), and those of its certificates otherwise.
        if text("use")?.is_some_and(|usage| !matches!(usage, "sig" | "jwt-svid")) || !may_verify(members)? {
            return Err(JwkError::OtherUse);
        }
        let part = |name: &str| {
            let part = text(name)?.ok_or(JwkError::Malformed)?;
            BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| JwkError::Malformed)
        };
        let material = match (kty, text("crv")?) {
            ("RSA", _) => Material::rsa(&part("n")?, &part("e")?)?,
            ("EC", Some("P-256")) => Material::P256 { point: point(&part("x")?, &part("y")?, 32)? },
            ("EC", Some("P-384")) => Material::P384 { point: point(&part("x")?, &part("y")?, 48)? },
            ("OKP", Some("Ed25519")) => {
                let x: [u8; 32] = part("x")?.try_into().map_err(|_| JwkError::Malformed)?;
                Material::Ed25519 { x: x.into() }
            }
            ("EC" | "OKP", None) => return Err(JwkError::Malformed),
            _ => return Err(JwkError::Unsupported),
        };
        let kid = text("kid")?.map(Box::from);
        if kid.as_deref().is_some_and(|kid: &str| kid.len() > KID_BYTES_MAX) {
            return Err(JwkError::Malformed);
        }
        let alg = match text("alg")? {
            None => None,
            Some(name) => Some(Algorithm::of_name(name).ok_or(JwkError::Unsupported)?),
        };
        let jwk = Self { kid, alg: None, material };
        if alg.is_some_and(|alg| !jwk.fits(alg)) {
            return Err(JwkError::Malformed);
        }
        Ok(Self { alg, ..jwk })
    }

    /// Its `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it verifies signatures of this algorithm: by its kind, and by its own `alg` where it has one.
    pub fn fits(&self, alg: Algorithm) -> bool {
        let by_kind = match self.material {
            Material::Rsa { .. } => matches!(alg, Algorithm::Rs256 | Algorithm::Ps256),
            Material::P256 { .. } => alg == Algorithm::Es256,
            Material::P384 { .. } => alg == Algorithm::Es384,
            Material::Ed25519 { .. } => alg == Algorithm::EdDsa,
        };
        by_kind && self.alg.is_none_or(|own| own == alg)
    }

    /// Whether to verify a signature by it takes ten times as long as by any other kind: about a millisecond.
    pub fn is_slow(&self) -> bool {
        matches!(self.material, Material::P384 { .. })
    }

    /// Whether this is its signature of `message`.
    pub fn verify(&self, alg: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature)
        };
        let verdict = match &self.material {
            _ if !self.fits(alg) => return false,
            Material::Rsa { n, e } => {
                let components = RsaPublicKeyComponents { n, e };
                match alg {
                    Algorithm::Ps256 => components.verify(&RSA_PSS_2048_8192_SHA256, message, signature),
                    _ => components.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
                }
            }
            Material::P256 { point } => by(&ECDSA_P256_SHA256_FIXED, point),
            Material::P384 { point } => by(&ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519 { x } => by(&ED25519, x),
        };
        verdict.is_ok()
    }

    /// Its thumbprint by SHA-256: the digest of its required members, sorted, with no white space (RFC 7638 section 3).
    pub fn thumbprint(&self) -> [u8; 32] {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let curve = |crv: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({ "crv": crv, "kty": "EC", "x": encode(x), "y": encode(y) })
        };
        // serde_json keeps members sorted.
        let members = match &self.material {
            Material::Rsa { n, e } => json!({ "e": encode(e), "kty": "RSA", "n": encode(n) }),
            Material::P256 { point } => curve("P-256", point),
            Material::P384 { point } => curve("P-384", point),
            Material::Ed25519 { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(x) }),
        };
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, members.to_string().as_bytes()).as_ref());
        thumbprint
    }
}

impl Material {
    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, JwkError> {
        let strip = |bytes: &[u8]| -> Box<[u8]> {
            bytes.iter().position(|&byte| byte != 0).map_or(&[][..], |first| &bytes[first..]).into()
        };
        let (n, e) = (strip(n), strip(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(JwkError::RsaSize);
        }
        let is_odd = e.last().is_some_and(|last| last % 2 == 1);
        if !is_odd || e.len() > EXPONENT_BYTES_MAX || *e == [1] {
            return Err(JwkError::Malformed);
        }
        Ok(Self::Rsa { n, e })
    }
}

/// "The use of this member is OPTIONAL"; where it is, `verify` is among its values (RFC 7517 section 4.3).
fn may_verify(members: &Map<String, Value>) -> Result<bool, JwkError> {
    match members.get("key_ops") {
        None => Ok(true),
        Some(Value::Array(operations)) => Ok(operations.iter().any(|operation| operation == "verify")),
        Some(_) => Err(JwkError::Malformed),
    }
}

/// "The length of this octet string MUST be the full size of a coordinate for the curve" (RFC 7518 section 6.2.1.2).
fn point(x: &[u8], y: &[u8], bytes: usize) -> Result<Box<[u8]>, JwkError> {
    if x.len() != bytes || y.len() != bytes {
        return Err(JwkError::Malformed);
    }
    Ok([&[4], x, y].concat().into())
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk").field("kid", &self.kid).field("alg", &self.alg).finish_non_exhaustive()
    }
}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a member is missing or is not what such a key has",
            Self::Private => "it holds the private key, which its owner alone should have",
            Self::Unsupported => "its kind, curve or `alg` is not verified here",
            Self::OtherUse => "its `use` or `key_ops` is not for signatures",
            Self::RsaSize => "an RSA key has 2048 to 4096 bits here",
        })
    }
}

impl std::error::Error for JwkError {}
