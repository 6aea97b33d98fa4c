//! Client secrets: presented ones, their hashes at rest, and the comparison that tells nothing by its time.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{self, SHA256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::imported_hash::{ImportedFault, ImportedHash};

/// Secrets that one client may have at a time; as many comparisons does every verification make.
pub const SECRETS_MAX: usize = 4;

/// Characters of a secret that cannot be guessed: those of 256 bits in base64url are 43, of 128 in hexadecimal 32.
const CHARACTERS_MIN: usize = 32;
/// Different ones among them: 32 random hexadecimal digits have fewer in one case of 20 million, a repeated word always.
const DIFFERENT_MIN: usize = 8;
const SHA256_FORM: &str = "$sha256$";

/// A secret in memory: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<[u8]>>);

/// What is kept of a client's secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretHash {
    /// The digest of a secret of at least 256 random bits: `$sha256$` and its base64url (no padding).
    Sha256([u8; 32]),
    /// What another system made of a secret, in its own form: slow to verify.
    Imported(Arc<ImportedHash>),
}

/// Why a secret or its hash is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// It begins with `$sha256$`, and 43 characters of base64url do not follow.
    NoDigest,
    /// Of another form, and none that can be used.
    Imported(ImportedFault),
    /// Fewer than 32 characters.
    TooShort,
    /// Too few different characters.
    TooUniform,
}

impl Secret {
    /// Takes a secret's bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Its bytes, for the one place that compares or sends them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl SecretHash {
    /// The hash of a secret.
    pub fn of(secret: &Secret) -> Self {
        Self::Sha256(sha256(secret.expose()))
    }

    /// Reads `$sha256$…`, or what [`ImportedHash::parse`] reads.
    ///
    /// # Errors
    /// [`SecretError::NoDigest`], [`SecretError::Imported`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let Some(encoded) = text.strip_prefix(SHA256_FORM) else {
            return ImportedHash::parse(text).map(Into::into).map(Self::Imported).map_err(SecretError::Imported);
        };
        let digest = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| SecretError::NoDigest)?;
        digest.try_into().map(Self::Sha256).map_err(|_| SecretError::NoDigest)
    }

    /// As [`SecretHash::parse`] reads it, for the one place that shows it to an operator.
    pub fn expose(&self) -> String {
        match self {
            Self::Sha256(digest) => format!("{SHA256_FORM}{}", BASE64URL_NOPAD.encode(digest)),
            Self::Imported(hash) => hash.expose().to_owned(),
        }
    }
}

/// Refuses a secret that could be guessed, since a fast hash would not protect it.
///
/// # Errors
/// [`SecretError::TooShort`], [`SecretError::TooUniform`].
pub fn check_strength(secret: &Secret) -> Result<(), SecretError> {
    let text = String::from_utf8_lossy(secret.expose());
    if text.chars().count() < CHARACTERS_MIN {
        return Err(SecretError::TooShort);
    }
    let mut seen = [false; 256];
    secret.expose().iter().for_each(|&byte| seen[usize::from(byte)] = true);
    let different = seen.iter().filter(|&&seen| seen).count();
    if different < DIFFERENT_MIN { Err(SecretError::TooUniform) } else { Ok(()) }
}

/// Which of the first four `hashes` are those of `secret`: a bit for each, the lowest for the first. One digest, and always as many
/// comparisons in constant time as a client may have secrets, so that an unknown client (no hashes) costs what a known one does (A07),
/// and a second secret what the first does. Imported hashes are none of them: they are not compared here.
pub fn matching<'a>(secret: &[u8], mut hashes: impl Iterator<Item = &'a SecretHash>) -> u8 {
    const NOBODYS: [u8; 32] = [0; 32];
    let presented = sha256(secret);
    let mut matching = 0;
    for place in 0..SECRETS_MAX {
        let (kept, registered) = match hashes.next() {
            Some(SecretHash::Sha256(digest)) => (digest, 1),
            Some(SecretHash::Imported(_)) | None => (&NOBODYS, 0),
        };
        let registered = Choice::from(registered);
        matching |= (difference(kept, &presented).ct_eq(&0) & registered).unwrap_u8() << place;
    }
    matching
}

/// Whether `secret` is one of `hashes`, of which the first four count.
pub fn verify(secret: &[u8], hashes: &[SecretHash]) -> bool {
    matching(secret, hashes.iter()) != 0
}

/// 0 where the digests are equal. Every bit of both is looked at, eight bytes at a time.
fn difference(one: &[u8; 32], other: &[u8; 32]) -> u64 {
    let (one, other) = (one.as_chunks().0, other.as_chunks().0);
    one.iter().zip(other).fold(0, |all, (one, other)| all | (u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other)))
}

fn sha256(secret: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&SHA256, secret).as_ref());
    digest
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDigest => "not `$sha256$` and 43 characters of base64url",
            Self::Imported(fault) => return fault.fmt(f),
            Self::TooShort => "fewer than 32 characters",
            Self::TooUniform => "fewer than 8 different characters",
        })
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // `printf abc | sha256sum`.
    const ABC: &str = "$sha256$ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";

    #[test]
    fn a_hash_reads_as_it_is_written() {
        let hash = SecretHash::of(&Secret::new(b"abc"));
        assert_eq!(hash.expose(), ABC);
        assert_eq!(SecretHash::parse(ABC), Ok(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let padded = format!("{ABC}=");
        for text in ["$sha256$", &ABC[..ABC.len() - 1], &padded, &ABC.replace('-', "+")] {
            assert_eq!(SecretHash::parse(text), Err(SecretError::NoDigest), "{text}");
        }
        for text in ["", "abc", &ABC[1..]] {
            assert_eq!(SecretHash::parse(text), Err(SecretError::Imported(ImportedFault::UnknownForm)), "{text}");
        }
        assert_eq!(SecretHash::parse("$2b$12$abc"), Err(SecretError::Imported(ImportedFault::Malformed)));
    }

    #[test]
    fn an_imported_hash_reads_as_it_is_written_and_matches_nothing_here() {
        const OF_IMPORTED: &str = "$2b$04$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";
        let hash = SecretHash::parse(OF_IMPORTED).unwrap();
        assert_eq!(hash.expose(), OF_IMPORTED);
        assert!(!verify(b"imported-secret", std::slice::from_ref(&hash)));
        let fast = SecretHash::of(&Secret::new(b"abc"));
        assert_eq!(matching(b"abc", [hash, fast].iter()), 0b10);
    }

    #[test]
    fn a18_any_registered_secret_is_good_and_no_other() {
        let hashes: Vec<_> = ["one", "two", "three", "four"].map(|s| SecretHash::of(&Secret::new(s.as_bytes()))).into();
        for secret in ["one", "two", "three", "four"] {
            assert!(verify(secret.as_bytes(), &hashes));
            assert!(!verify(secret.as_bytes(), &[]));
        }
        assert!(!verify(b"five", &hashes) && !verify(b"", &hashes));
        // A hash of zeros is a hash like another: whoever registers it has locked the client, not opened it.
        assert!(!verify(b"one", &[SecretHash::Sha256([0; 32])]));
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        let check = |text: &str| check_strength(&Secret::new(text.as_bytes()));
        assert_eq!(check("demo-secret"), Err(SecretError::TooShort));
        assert_eq!(check("0123456789abcdef0123456789abcde"), Err(SecretError::TooShort));
        assert_eq!(check(&"é".repeat(31)), Err(SecretError::TooShort));
        assert_eq!(check(&"password".repeat(4)), Err(SecretError::TooUniform));
        assert_eq!(check("9f86d081884c7d659a2feaa0c55ad015"), Ok(()));
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let secret = Secret::new(b"hush");
        assert_eq!(format!("{secret:?} {:?}", SecretHash::of(&secret)), "Secret(…) SecretHash(…)");
    }

    proptest! {
        #[test]
        fn hashes_round_trip(digest: [u8; 32]) {
            let hash = SecretHash::Sha256(digest);
            prop_assert_eq!(SecretHash::parse(&hash.expose()), Ok(hash));
        }

        #[test]
        fn random_secrets_are_strong(bytes: [u8; 32]) {
            let secret = Secret::new(BASE64URL_NOPAD.encode(&bytes).as_bytes());
            prop_assert_eq!(check_strength(&secret), Ok(()));
        }
    }
}
