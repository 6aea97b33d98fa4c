//! What a client knows of its secrets beside what is registered: when each was used, and which of those with slow hashes were right before.

use super::Client;
use crate::oauth::remembered_secrets::{MemoryKey, Recollection};
use crate::oauth::secret::SecretHash;

impl Client {
    /// Whether any of its secrets has a hash that is slow to verify.
    pub fn has_slow_secrets(&self) -> bool {
        self.remembered.any_slow()
    }

    /// What is known of `secret` without verifying a slow hash: microseconds.
    pub fn recall(&self, key: &MemoryKey, secret: &[u8]) -> Recollection {
        self.remembered.recall(key, self.id(), &self.registration.secrets, secret)
    }

    /// Whether `secret` is one whose slow hash nobody has verified until now; then it is known from now on. Takes as long as all of them.
    pub fn verify_slowly(&self, key: &MemoryKey, secret: &[u8]) -> bool {
        self.remembered.verify(key, self.id(), &self.registration.secrets, secret).any()
    }

    /// The hashes of its secrets that are slow to verify, as they are registered.
    pub fn slow_hashes(&self) -> impl Iterator<Item = &str> {
        self.registration.secrets.iter().filter_map(|secret| match &secret.hash {
            SecretHash::Imported(hash) => Some(hash.expose()),
            SecretHash::Sha256(_) => None,
        })
    }

    /// Takes over what is known of the same secrets from before a reload.
    pub(super) fn inherit_secrets(&self, before: &Self) {
        let (secrets, secrets_before) = (&self.registration.secrets, &before.registration.secrets);
        self.uses.inherit(secrets, &before.uses, secrets_before);
        self.remembered.inherit(secrets, &before.remembered, secrets_before);
    }
}
