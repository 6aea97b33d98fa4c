//! The sub-keys that the store uses, derived once and kept.
//!
//! Invariant: what is kept belongs to the set of service keys that is in force; another set begins anew. The sub-keys of records
//! are one a service key and hour: as many as a day or two of tokens need are kept.

use std::fmt;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hmac;

use crate::oauth::keys::{KEY_BYTES, KeyId, ServiceKeys};

/// Sub-keys of records kept at once.
const RECORD_KEYS_MAX: usize = 128;

/// Sub-keys of the service keys in force.
pub(super) struct SubKeys {
    keys: Arc<ServiceKeys>,
    records: HashMap<(KeyId, u64), LessSafeKey>,
    grants: HashMap<KeyId, GrantKeys>,
}

/// What names and seals grants under one service key.
pub(super) struct GrantKeys {
    pub(super) naming: hmac::Key,
    pub(super) sealing: LessSafeKey,
}

impl SubKeys {
    pub(super) fn new(keys: Arc<ServiceKeys>) -> Self {
        Self { keys, records: HashMap::new(), grants: HashMap::new() }
    }

    /// Takes up another set of service keys, if it is another.
    pub(super) fn follow(&mut self, keys: &Arc<ServiceKeys>) {
        if !Arc::ptr_eq(&self.keys, keys) {
            *self = Self::new(Arc::clone(keys));
        }
    }

    /// Seals the records of a page; `None` where the service key is gone.
    pub(super) fn record(&mut self, key_id: KeyId, dead_second: u64) -> Option<&LessSafeKey> {
        let hour = dead_second / 3600;
        if !self.records.contains_key(&(key_id, hour)) {
            let bytes = self.keys.get(key_id)?.sub_key(&[b"record", &hour.to_be_bytes()]);
            if self.records.len() >= RECORD_KEYS_MAX {
                self.records.clear();
            }
            self.records.insert((key_id, hour), sealing_key(&bytes)?);
        }
        self.records.get(&(key_id, hour))
    }

    /// Names and seals grants; `None` where the service key is gone.
    pub(super) fn grant(&mut self, key_id: KeyId) -> Option<&GrantKeys> {
        if !self.grants.contains_key(&key_id) {
            let key = self.keys.get(key_id)?;
            let naming = hmac::Key::new(hmac::HMAC_SHA256, &key.sub_key(&[b"grant-id"]));
            let sealing = sealing_key(&key.sub_key(&[b"grant-seal"]))?;
            self.grants.insert(key_id, GrantKeys { naming, sealing });
        }
        self.grants.get(&key_id)
    }
}

fn sealing_key(bytes: &[u8; KEY_BYTES]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

impl fmt::Debug for SubKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubKeys").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::keys::ServiceKey;
    use crate::oauth::time::Timestamp;

    fn keys(ids: &[u8]) -> Arc<ServiceKeys> {
        let key = |&id| ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(1), &[id; 32]);
        Arc::new(ServiceKeys::new(ids.iter().map(key).collect()).unwrap())
    }

    #[test]
    fn a_removed_key_seals_and_opens_no_more_and_the_kept_are_bounded() {
        let mut sub_keys = SubKeys::new(keys(&[1, 2]));
        assert!(sub_keys.record(KeyId(1), 0).is_some() && sub_keys.grant(KeyId(1)).is_some());
        for hour in 0..1000 {
            assert!(sub_keys.record(KeyId(2), hour * 3600).is_some());
            assert!(sub_keys.records.len() <= RECORD_KEYS_MAX);
        }
        sub_keys.follow(&keys(&[2]));
        assert!(sub_keys.record(KeyId(1), 0).is_none() && sub_keys.grant(KeyId(1)).is_none());
        assert!(sub_keys.record(KeyId(2), 0).is_some());
    }
}
