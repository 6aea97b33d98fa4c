//! The service's own keys: which one makes tokens now, and the sub-keys that each gives.
//!
//! A key has an id that stands in every token it made. A new key at once verifies and opens; from its `active_from` on it also
//! makes, so every node knows it before the first of its tokens arrives. Ids are never given twice.
//!
//! Sub-keys are HKDF-SHA-256 (RFC 5869) of the key with the purpose as info, one purpose a use, so that no byte string made for
//! one use can serve another.

use std::fmt;

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac;

use super::time::Timestamp;

/// Names one key of the service; stands in each token it made. 1 to 255; 0 is never given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u8);

/// The bytes of a service key.
pub const KEY_BYTES: usize = 32;

/// One key of the service with what is derived from it once: 32 secret bytes, an id, the time from which it makes.
pub struct ServiceKey {
    id: KeyId,
    active_from: Timestamp,
    root: Prk,
    token: hmac::Key,
    nonce: hmac::Key,
}

/// All keys a node knows, and the choice of the one that makes.
///
/// Invariant: never empty, ids distinct, sorted by `active_from`.
#[derive(Debug)]
pub struct ServiceKeys {
    by_activity: Vec<ServiceKey>,
}

/// Why a set of keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// There is no key in it.
    Empty,
    /// Two keys have this id.
    DuplicateId(KeyId),
}

impl ServiceKey {
    /// A key from its secret bytes. The caller wipes its own copy.
    pub fn new(id: KeyId, active_from: Timestamp, secret: &[u8; KEY_BYTES]) -> Self {
        let root = Salt::new(HKDF_SHA256, &[]).extract(secret);
        let token = hmac::Key::new(hmac::HMAC_SHA256, &expand(&root, &[b"token"]));
        let nonce = hmac::Key::new(hmac::HMAC_SHA256, &expand(&root, &[b"dpop-nonce"]));
        Self { id, active_from, root, token, nonce }
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// From when on it makes tokens.
    pub fn active_from(&self) -> Timestamp {
        self.active_from
    }

    /// The sub-key of a purpose: 32 bytes, a function of the key and the concatenated `info`.
    pub fn sub_key(&self, info: &[&[u8]]) -> [u8; KEY_BYTES] {
        expand(&self.root, info)
    }

    /// The key under which tokens carry their tag.
    pub(crate) fn token_key(&self) -> &hmac::Key {
        &self.token
    }

    /// The key under which nonces for proofs carry theirs.
    pub(crate) fn nonce_key(&self) -> &hmac::Key {
        &self.nonce
    }
}

impl ServiceKeys {
    /// A set of keys.
    ///
    /// # Errors
    /// [`KeySetError`] where the set is empty or an id stands twice.
    pub fn new(mut keys: Vec<ServiceKey>) -> Result<Self, KeySetError> {
        keys.sort_by_key(|key| (key.active_from, key.id));
        let mut seen = [false; 256];
        for key in &keys {
            if std::mem::replace(&mut seen[usize::from(key.id.0)], true) {
                return Err(KeySetError::DuplicateId(key.id));
            }
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { by_activity: keys }) }
    }

    /// The key that makes at `now`: the latest whose time has come; if none has, the earliest.
    pub fn maker(&self, now: Timestamp) -> &ServiceKey {
        let active = self.by_activity.iter().rev().find(|key| key.active_from <= now);
        active.unwrap_or(&self.by_activity[0])
    }

    /// The key with this id, if a token may still name it.
    pub fn get(&self, id: KeyId) -> Option<&ServiceKey> {
        self.by_activity.iter().find(|key| key.id == id)
    }

    /// All keys, earliest first.
    pub fn iter(&self) -> impl Iterator<Item = &ServiceKey> {
        self.by_activity.iter()
    }
}

fn expand(root: &Prk, info: &[&[u8]]) -> [u8; KEY_BYTES] {
    struct Bytes;
    impl KeyType for Bytes {
        fn len(&self) -> usize {
            KEY_BYTES
        }
    }
    let mut out = [0; KEY_BYTES];
    // HKDF refuses only more than 255 blocks of 32 bytes; this asks for one.
    let filled = root.expand(info, Bytes).and_then(|okm| okm.fill(&mut out));
    assert!(filled.is_ok(), "HKDF-SHA-256 gives 32 bytes");
    out
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceKey")
            .field("id", &self.id)
            .field("active_from", &self.active_from)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no key"),
            Self::DuplicateId(id) => write!(f, "key id {} stands twice", id.0),
        }
    }
}

impl std::error::Error for KeySetError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8, active_from: u64) -> ServiceKey {
        ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(active_from), &[id; 32])
    }

    #[test]
    fn the_latest_key_whose_time_has_come_makes() {
        let keys = ServiceKeys::new(vec![key(3, 300), key(1, 100), key(2, 200)]).unwrap();
        let maker = |seconds| keys.maker(Timestamp::from_unix_seconds(seconds)).id().0;
        assert_eq!([maker(50), maker(100), maker(199), maker(200), maker(999)], [1, 1, 1, 2, 3]);
        assert!(keys.get(KeyId(3)).is_some() && keys.get(KeyId(4)).is_none());
    }

    #[test]
    fn an_empty_set_and_a_double_id_are_refused() {
        assert_eq!(ServiceKeys::new(vec![]).unwrap_err(), KeySetError::Empty);
        assert_eq!(ServiceKeys::new(vec![key(1, 1), key(1, 2)]).unwrap_err(), KeySetError::DuplicateId(KeyId(1)));
    }

    #[test]
    fn each_purpose_has_its_own_sub_key() {
        let key = key(1, 0);
        assert_ne!(key.sub_key(&[b"record"]), key.sub_key(&[b"grant-id"]));
        assert_ne!(key.sub_key(&[b"record", &1u64.to_be_bytes()]), key.sub_key(&[b"record", &2u64.to_be_bytes()]));
        assert!(!format!("{key:?}").contains("root"));
    }
}
