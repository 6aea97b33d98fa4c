//! A client that signs: `private_key_jwt` and proofs of possession with a key of each kind, as another library would write them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use data_encoding::{BASE64_MIME, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use super::config::ISSUER;
use super::request::{TOKEN, form};

/// The type of the assertions.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The client of the fixture that signs.
pub(crate) const SIGNER: &str = "signer";

/// A key that only tests have, in the form in which other tools write it.
const RSA: &str = include_str!("../golden/rsa-2048-of-tests.pkcs8");

/// Every `alg` that a key of these signs by.
pub(crate) const JWK_ALGORITHMS: [&str; 6] = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];

/// One key of each kind, the same for a whole run.
pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(Keys::new);

/// Keys of a client.
#[derive(Debug)]
pub(crate) struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    random: SystemRandom,
}

/// An assertion or a proof in the making: right, but for what is changed.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// By which key it is signed; left out: by that of its `alg`.
    pub(crate) signed_as: Option<&'static str>,
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
        };
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_pkcs8(&BASE64_MIME.decode(RSA.trim().replace('\n', "\r\n").as_bytes()).unwrap())
                .unwrap(),
            p256: ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
            random,
        }
    }

    /// The public keys as a JWK set, each with the name of its kind as `kid`.
    pub(crate) fn jwks(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let ec = |crv: &str, kid: &str, key: &EcdsaKeyPair| {
            let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
            json!({ "kty": "EC", "crv": crv, "kid": kid, "x": encode(x), "y": encode(y) })
        };
        let rsa: ring::rsa::PublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "n": encode(&rsa.n), "e": encode(&rsa.e) },
            ec("P-256", "p256", &self.p256),
            ec("P-384", "p384", &self.p384),
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed25519", "x": encode(self.ed25519.public_key().as_ref()) },
        ] })
    }

    fn sign(&self, alg: &str, input: &[u8]) -> Vec<u8> {
        let rsa = |padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(padding, &self.random, input, &mut signature).unwrap();
            signature
        };
        match alg {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&self.random, input).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&self.random, input).unwrap().as_ref().to_vec(),
            "EdDSA" | "Ed25519" => self.ed25519.sign(input).as_ref().to_vec(),
            // As whoever hopes that the public key is taken for a secret.
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.ed25519.public_key().as_ref());
                ring::hmac::sign(&key, input).as_ref().to_vec()
            }
            "none" => Vec::new(),
            other => panic!("{other}"),
        }
    }
}

impl Assertion {
    /// One of this client, for the issuer, good for a minute. It was made as late as clocks allow, so that a store that has just begun
    /// soon knows all of its uses.
    pub(crate) fn of(client_id: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let now = now();
        let jti = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self {
            header: json!({ "alg": "EdDSA" }),
            claims: json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "jti": jti, "iat": now + 4, "exp": now + 60 }),
            signed_as: None,
        }
    }

    /// With this claim; null: without it.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        put(&mut self.claims, name, value.into());
        self
    }

    /// With this member in the header; null: without it.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        put(&mut self.header, name, value.into());
        self
    }

    /// Signed by the key of this `alg`, whatever its header says.
    pub(crate) fn signed_as(self, alg: &'static str) -> Self {
        Self { signed_as: Some(alg), ..self }
    }

    /// The compact form.
    pub(crate) fn sign(&self) -> String {
        let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
        self.sign_parts(&encode(&self.header), &encode(&self.claims))
    }

    /// The compact form of these parts as they are.
    pub(crate) fn sign_parts(&self, header: &str, claims: &str) -> String {
        let input = format!("{header}.{claims}");
        let alg = self.signed_as.unwrap_or_else(|| self.header["alg"].as_str().expect("an alg"));
        format!("{input}.{}", BASE64URL_NOPAD.encode(&KEYS.sign(alg, input.as_bytes())))
    }
}

/// A proof of possession (RFC 9449) of the key of this `alg`, for a token request, made as late as clocks allow.
pub(crate) fn possession(alg: &str) -> Assertion {
    let jti = Assertion::of(SIGNER).claims["jti"].clone();
    Assertion {
        header: json!({ "typ": "dpop+jwt", "alg": alg, "jwk": jwk_of(alg) }),
        claims: json!({ "jti": jti, "htm": "POST", "htu": format!("{ISSUER}{TOKEN}"), "iat": now() + 4 }),
        signed_as: None,
    }
}

/// The public key of this `alg`.
pub(crate) fn jwk_of(alg: &str) -> Value {
    let at = match alg {
        rsa if rsa.starts_with("RS") || rsa.starts_with("PS") => 0,
        "ES384" => 2,
        ec if ec.starts_with("ES") => 1,
        _ => 3,
    };
    KEYS.jwks()["keys"][at].clone()
}

/// Its thumbprint by SHA-256, written out as RFC 7638 section 3 says.
pub(crate) fn thumbprint(jwk: &Value) -> String {
    let members: &[&str] = match jwk["kty"].as_str().unwrap() {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let members: Vec<String> = members.iter().map(|name| format!("\"{name}\":{}", jwk[name])).collect();
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{{{}}}", members.join(",")).as_bytes());
    BASE64URL_NOPAD.encode(digest.as_ref())
}

/// A form of the client credentials grant with this assertion and these further parameters.
pub(crate) fn asking(assertion: &str, more: &[(&str, &str)]) -> String {
    let grant = [("grant_type", "client_credentials"), ("scope", "invoices:read")];
    form(&[&grant, proof(assertion).as_slice(), more].concat())
}

/// What an assertion is sent as.
pub(crate) fn proof(assertion: &str) -> [(&str, &str); 2] {
    [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)]
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn put(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().unwrap();
    match value {
        Value::Null => drop(object.remove(name)),
        value => drop(object.insert(name.to_owned(), value)),
    }
}
