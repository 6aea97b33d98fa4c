//! Hashes of client secrets that another system made: PBKDF2, argon2id, bcrypt, in the forms in which password libraries write them.
//!
//! Invariant: what was read can be verified, and takes no longer than about a second on a slow core: what would cost more is refused
//! where it stands. All of them are slow on purpose, so whoever verifies one does it where nothing else waits.

use std::fmt;
use std::num::NonZeroU32;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use data_encoding::BASE64_NOPAD;
use ring::pbkdf2;
use subtle::ConstantTimeEq;

/// Rounds of PBKDF2: at 600,000 of SHA-256 some 100 ms.
const ROUNDS_MAX: u32 = 2_000_000;
/// Memory of argon2id times its passes, in KiB: at 40,000 some 30 ms.
const KIB_PASSES_MAX: u64 = 512 * 1024;
/// Memory of argon2id, which a verification holds for as long as it takes.
const KIB_MAX: u32 = 64 * 1024;
/// Cost of bcrypt: each step doubles the time; at 12 some 250 ms.
const COST_MAX: u32 = 13;
/// Bytes of a secret that bcrypt looks at; what is longer is nobody's.
const BCRYPT_BYTES_MAX: usize = 72;
const SALT_BYTES_MAX: usize = 64;
/// Bytes of a digest: fewer could be met by chance.
const DIGEST_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// Below these a stolen clients file gives away what could be guessed.
const ROUNDS_USUAL: u32 = 100_000;
const KIB_PASSES_USUAL: u64 = 32 * 1024;
const COST_USUAL: u32 = 10;

/// A slow hash. Equal if written equal.
#[derive(Clone, PartialEq, Eq)]
pub struct ImportedHash {
    text: Box<str>,
    work: Work,
}

/// What must be done to verify one.
#[derive(Clone, PartialEq, Eq)]
enum Work {
    Pbkdf2 { hash: PbkdfHash, rounds: NonZeroU32, salt: Box<[u8]>, digest: Box<[u8]> },
    Argon2id { version: argon2::Version, params: argon2::Params, salt: Box<[u8]>, digest: Box<[u8]> },
    Bcrypt { cost: u32 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PbkdfHash {
    Sha256,
    Sha512,
}

/// Why a hash is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedFault {
    /// It begins like none of ours.
    UnknownForm,
    /// It begins like one of ours, and cannot be read.
    Malformed,
    /// To verify it would take too long, or too much memory.
    TooCostly,
}

impl ImportedHash {
    /// Reads `$pbkdf2-sha256$…` and `$pbkdf2-sha512$…` (with `i=ROUNDS` as in PHC strings, or the rounds alone as passlib writes them),
    /// `$argon2id$…` and bcrypt's `$2a$…`, `$2b$…`, `$2y$…`.
    ///
    /// # Errors
    /// [`ImportedFault`].
    pub fn parse(text: &str) -> Result<Self, ImportedFault> {
        let name = text.strip_prefix('$').and_then(|rest| rest.split('$').next()).unwrap_or_default();
        let work = match name {
            "pbkdf2-sha256" => pbkdf2(text, PbkdfHash::Sha256)?,
            "pbkdf2-sha512" => pbkdf2(text, PbkdfHash::Sha512)?,
            "argon2id" => argon2id(text)?,
            "2a" | "2b" | "2y" => bcrypt(text)?,
            _ => return Err(ImportedFault::UnknownForm),
        };
        Ok(Self { text: text.into(), work })
    }

    /// As it is written, for the one place that shows it to an operator, and for what is bound to it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether it costs so little that it hardly protects what could be guessed.
    pub fn is_cheap(&self) -> bool {
        match &self.work {
            Work::Pbkdf2 { rounds, .. } => rounds.get() < ROUNDS_USUAL,
            Work::Argon2id { params, .. } => kib_passes(params) < KIB_PASSES_USUAL,
            Work::Bcrypt { cost } => *cost < COST_USUAL,
        }
    }

    /// Whether it is that of `secret`. Takes from one to a thousand milliseconds.
    pub fn verify(&self, secret: &[u8]) -> bool {
        // PBKDF2 pads with zeros, and bcrypt repeats behind one: what differs by them alone would be right too.
        if secret.contains(&0) {
            return false;
        }
        match &self.work {
            Work::Pbkdf2 { hash, rounds, salt, digest } => {
                pbkdf2::verify(hash.algorithm(), *rounds, salt, secret, digest).is_ok()
            }
            Work::Argon2id { version, params, salt, digest } => {
                let mut found = vec![0; digest.len()];
                let argon2 = Argon2::new(argon2::Algorithm::Argon2id, *version, params.clone());
                argon2.hash_password_into(secret, salt, &mut found).is_ok() && bool::from(found.ct_eq(digest))
            }
            Work::Bcrypt { .. } => {
                secret.len() <= BCRYPT_BYTES_MAX && bcrypt::verify(secret, &self.text).is_ok_and(|is_right| is_right)
            }
        }
    }
}

impl PbkdfHash {
    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

fn pbkdf2(text: &str, hash: PbkdfHash) -> Result<Work, ImportedFault> {
    let parts: Vec<&str> = text.split('$').collect();
    let [_, _, params, salt, digest] = parts[..] else { return Err(ImportedFault::Malformed) };
    let mut rounds = None;
    let mut digest_bytes = None;
    for param in params.split(',') {
        match param.split_once('=') {
            Some(("i", number)) => rounds = Some(number),
            Some(("l", number)) => digest_bytes = Some(number),
            None if params == param => rounds = Some(param),
            Some(_) | None => return Err(ImportedFault::Malformed),
        }
    }
    let rounds = rounds.and_then(number).and_then(NonZeroU32::new).ok_or(ImportedFault::Malformed)?;
    if rounds.get() > ROUNDS_MAX {
        return Err(ImportedFault::TooCostly);
    }
    let (salt, digest) = (base64(salt)?, base64(digest)?);
    let is_as_long_as_said = digest_bytes.is_none_or(|said| number(said) == u32::try_from(digest.len()).ok());
    if salt.is_empty() || salt.len() > SALT_BYTES_MAX || !DIGEST_BYTES.contains(&digest.len()) || !is_as_long_as_said {
        return Err(ImportedFault::Malformed);
    }
    Ok(Work::Pbkdf2 { hash, rounds, salt, digest })
}

fn argon2id(text: &str) -> Result<Work, ImportedFault> {
    let hash = PasswordHash::new(text).map_err(|_| ImportedFault::Malformed)?;
    let params = argon2::Params::try_from(&hash).map_err(|_| ImportedFault::Malformed)?;
    // Left out it means 1.0 to some and 1.3 to others: then nobody knows what was computed.
    let version = hash.version.ok_or(ImportedFault::Malformed)?;
    let version = argon2::Version::try_from(version).map_err(|_| ImportedFault::Malformed)?;
    let (Some(salt), Some(digest)) = (&hash.salt, &hash.hash) else { return Err(ImportedFault::Malformed) };
    if params.m_cost() > KIB_MAX || kib_passes(&params) > KIB_PASSES_MAX {
        return Err(ImportedFault::TooCostly);
    }
    let (salt, digest): (&[u8], &[u8]) = (salt.as_ref(), digest.as_ref());
    // A key that is named, or data beside it, is somebody else's; shorter salts argon2 does not take.
    let needs_more = !params.keyid().is_empty() || !params.data().is_empty();
    if needs_more || salt.len() < argon2::MIN_SALT_LEN || !DIGEST_BYTES.contains(&digest.len()) {
        return Err(ImportedFault::Malformed);
    }
    Ok(Work::Argon2id { version, params, salt: salt.into(), digest: digest.into() })
}

fn kib_passes(params: &argon2::Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

fn bcrypt(text: &str) -> Result<Work, ImportedFault> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| ImportedFault::Malformed)?;
    match parts.get_cost() {
        // What the library would only find out when it verifies.
        0..=3 => Err(ImportedFault::Malformed),
        cost @ 4..=COST_MAX => Ok(Work::Bcrypt { cost }),
        _ => Err(ImportedFault::TooCostly),
    }
}

/// Decimal digits and nothing else: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// base64 without padding, in which passlib writes `.` for `+`.
fn base64(text: &str) -> Result<Box<[u8]>, ImportedFault> {
    let bytes = BASE64_NOPAD.decode(text.replace('.', "+").as_bytes()).map_err(|_| ImportedFault::Malformed)?;
    Ok(bytes.into())
}

impl fmt::Debug for ImportedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportedHash(…)")
    }
}

impl fmt::Display for ImportedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownForm => f.write_str(
                "of none of the forms `$sha256$`, `$pbkdf2-sha256$`, `$pbkdf2-sha512$`, `$argon2id$`, `$2a$`, `$2b$`, `$2y$`",
            ),
            Self::Malformed => f.write_str("not well formed, or with parts of the wrong length"),
            Self::TooCostly => write!(
                f,
                "too slow to verify: at most {ROUNDS_MAX} rounds of PBKDF2, {KIB_MAX} KiB of argon2id and {KIB_PASSES_MAX} KiB by all its passes, cost {COST_MAX} of bcrypt"
            ),
        }
    }
}

impl std::error::Error for ImportedFault {}

#[cfg(test)]
mod tests;
