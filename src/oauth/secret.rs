//! Client secrets: presented ones, their hashes at rest, and the comparison that tells nothing by its time.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in memory: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<[u8]>>);

/// What is kept of a client's secret: `$sha256$` and the base64url (no padding) of its SHA-256. More forms come as arms.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretHash {
    /// The digest of a secret of at least 256 random bits.
    Sha256([u8; 32]),
}

/// Why a secret or its hash is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// Not of a form we know: `$sha256$` and 43 characters of base64url.
    UnknownForm,
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
        todo!()
    }

    /// Reads `$sha256$…`.
    ///
    /// # Errors
    /// [`SecretError::UnknownForm`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        todo!()
    }
}

/// Refuses a secret that could be guessed, since a fast hash would not protect it.
///
/// # Errors
/// [`SecretError::TooShort`], [`SecretError::TooUniform`].
pub fn check_strength(secret: &Secret) -> Result<(), SecretError> {
    todo!()
}

/// Whether `secret` is one of `hashes`. One digest and at least one comparison in constant time, whatever `hashes` holds, so that an unknown
/// client (no hashes) costs what a known one does (A07): always as many comparisons as a client may have secrets.
pub fn verify(secret: &Secret, hashes: &[SecretHash]) -> bool {
    todo!()
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
