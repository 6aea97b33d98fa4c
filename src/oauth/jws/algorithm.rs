//! The algorithms whose signatures are verified: RFC 7518 section 3, RFC 8037 and RFC 9864.

/// What a signature is verified by. `EdDSA` and `Ed25519` are one: this server has no other curve of Edwards' kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of its length.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// Their names, as metadata lists them.
pub const NAMES: [&str; 6] = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];

impl Algorithm {
    /// The algorithm of an `alg`; names are case-sensitive (RFC 7515 section 4.1.1).
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // "Ed25519" says in full what "EdDSA" says with an OKP key of that curve (RFC 9864 section 2.2).
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w11_the_listed_names_are_known_and_no_others() {
        assert!(NAMES.iter().all(|name| Algorithm::of_name(name).is_some()));
        for name in ["none", "None", "HS256", "HS384", "RS384", "RS512", "ES512", "ES256K", "Ed448", "es256", ""] {
            assert_eq!(Algorithm::of_name(name), None, "{name}");
        }
    }
}
