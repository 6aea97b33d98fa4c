//! JSON Web Signatures in compact form, read and verified, never made: RFC 7515, 7517, 7518, 8037 and 9864.
//!
//! # Invariants
//! - **The key decides how it is used.** A signature is verified by the algorithm that fits the key; what the header names must be that
//!   algorithm, or the key is none for it. There is no `none` and no symmetric algorithm.
//! - **No key comes from what it verifies**, and nothing is fetched because a header says so.
//! - **One reading.** JSON that names a member twice is refused, so that no two readers see two things in it.

pub mod algorithm;
pub mod json;
pub mod jwk;
pub mod jwk_set;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use self::algorithm::Algorithm;
use self::jwk::Jwk;

/// A JWS that is well formed. Nothing of it is verified yet.
pub struct Jws {
    /// What its header says.
    pub header: Header,
    /// Its payload, which for our uses is a JSON object.
    pub payload: Map<String, Value>,
    text: Zeroizing<Box<str>>,
    signed_bytes: usize,
    signature: Vec<u8>,
    /// What slow keys said of it, where one was asked apart.
    settled: OnceLock<Vec<(Jwk, bool)>>,
}

/// The members of a header that matter here (RFC 7515 section 4.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// `alg`.
    pub alg: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`, in small letters and without `application/` ("a recipient […] MUST treat it as if application/ were prepended").
    pub typ: Option<String>,
    /// `jwk`.
    pub jwk: Option<Map<String, Value>>,
    /// Whether it leads to keys elsewhere: `jku` or `x5u`.
    pub points_to_keys: bool,
}

/// Why a text is no JWS for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsError {
    /// Not three parts of base64url of which the first two hold JSON objects, or a member of the wrong type.
    Malformed,
    /// Its `alg` is none of ours.
    UnknownAlgorithm,
    /// It demands what is not understood here: `crit`, `b64`.
    Critical,
}

impl Jws {
    /// Reads the compact form: "BASE64URL(UTF8(JWS Protected Header)) || '.' || BASE64URL(JWS Payload) || '.' ||
    /// BASE64URL(JWS Signature)" (RFC 7515 section 3.1).
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn parse(text: &str) -> Result<Self, JwsError> {
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Malformed);
        };
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| JwsError::Malformed);
        let object = |part: &str| json::object(&decode(part)?).ok_or(JwsError::Malformed);
        Ok(Self {
            header: Header::read(object(header)?)?,
            payload: object(payload)?,
            signature: decode(signature)?,
            signed_bytes: header.len() + 1 + payload.len(),
            text: Zeroizing::new(text.into()),
            settled: OnceLock::new(),
        })
    }

    /// The bytes that are signed.
    pub fn signing_input(&self) -> &[u8] {
        &self.text.as_bytes()[..self.signed_bytes]
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether this key made the signature.
    pub fn is_signed_by(&self, key: &Jwk) -> bool {
        self.known_of(key).unwrap_or_else(|| key.verify(self.header.alg, self.signing_input(), &self.signature))
    }

    /// Whether [`Jws::settle`] was called: what it did not find out is found out where it is asked.
    pub fn is_settled(&self) -> bool {
        self.settled.get().is_some()
    }

    /// Finds out which of these keys made the signature, up to the first that did, and keeps it.
    pub fn settle(&self, keys: Vec<Jwk>) {
        self.settled.get_or_init(|| {
            let mut settled = Vec::with_capacity(keys.len());
            for key in keys {
                let is_its = key.verify(self.header.alg, self.signing_input(), &self.signature);
                settled.push((key, is_its));
                if is_its {
                    break;
                }
            }
            settled
        });
    }

    fn known_of(&self, key: &Jwk) -> Option<bool> {
        self.settled.get()?.iter().find(|(known, _)| known == key).map(|(_, is_its)| *is_its)
    }
}

impl Header {
    fn read(mut members: Map<String, Value>) -> Result<Self, JwsError> {
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwsError::Malformed),
        };
        let alg = text("alg")?.ok_or(JwsError::Malformed)?;
        let (kid, typ) = (text("kid")?, text("typ")?);
        // "If any of the listed extension Header Parameters are not understood and supported by the recipient, then the JWS is
        // invalid" (RFC 7515 section 4.1.11). None is understood here; `b64` must stand among them, and changes what is signed.
        if members.contains_key("crit") || members.get("b64").is_some_and(|b64| *b64 != Value::Bool(true)) {
            return Err(JwsError::Critical);
        }
        let jwk = match members.remove("jwk") {
            None => None,
            Some(Value::Object(jwk)) => Some(jwk),
            Some(_) => return Err(JwsError::Malformed),
        };
        let alg = Algorithm::of_name(&alg).ok_or(JwsError::UnknownAlgorithm)?;
        let typ = typ.map(|typ| typ.to_ascii_lowercase());
        let typ = typ.map(|typ| typ.strip_prefix("application/").map(ToOwned::to_owned).unwrap_or(typ));
        let points_to_keys = members.contains_key("jku") || members.contains_key("x5u");
        Ok(Self { alg, kid, typ, jwk, points_to_keys })
    }
}

/// Nothing of what it carries: whoever reads it could use it.
impl fmt::Debug for Jws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws").field("header", &self.header).finish_non_exhaustive()
    }
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a JWS in compact form",
            Self::UnknownAlgorithm => "its algorithm is not one of ours",
            Self::Critical => "it demands what is not understood",
        })
    }
}

impl std::error::Error for JwsError {}
