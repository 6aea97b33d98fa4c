//! The bytes of one entry of the journal, the same in its file and on the stream that nodes share.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | id of the service key that made the token |
//! | 2..11 | the token's page |
//! | 11..19 | the field of its record |
//! | 19..27 | fingerprint of the client that revoked it |
//! | 27..33 | when, in milliseconds (big endian, as all numbers) |
//! | 33..41 | the node that says so |
//! | 41..49 | that node's running number |
//! | 49..65 | MAC: the first 128 bits of HMAC-SHA-256 over `e` and all before, under the key's sub-key `journal` |
//!
//! Invariant: every entry has the same length, so that a damaged one hides none behind it; what does not verify is no entry.

use std::fmt;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::oauth::client_id::ClientId;
use crate::oauth::keys::{KeyId, ServiceKeys};
use crate::oauth::time::Timestamp;
use crate::oauth::token::{Page, TokenAddress};

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 65;
const VERSION: u8 = 1;
const SIGNED_BYTES: usize = 49;

/// An entry as it is written.
pub(crate) type SealedEntry = [u8; ENTRY_BYTES];

/// Where a record lay: all that a deletion needs, and less than opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) page: Page,
    pub(crate) field: [u8; 8],
    pub(crate) key_id: KeyId,
}

/// Tells clients apart and names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; 8]);

/// A process, by a number that it draws when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) [u8; 8]);

/// One revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) client: Fingerprint,
    pub(crate) at: Timestamp,
    pub(crate) node: NodeId,
    pub(crate) number: u64,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Another version, or no entry at all.
    Garbled,
    /// This node has no key of that id.
    KeyGone,
    /// No key of ours signed it.
    Forged,
}

/// The sub-keys `journal` of the service keys in force, derived once and kept.
#[derive(Default)]
pub(crate) struct JournalKeys {
    keys: Option<Arc<ServiceKeys>>,
    macs: HashMap<KeyId, hmac::Key>,
}

impl From<&TokenAddress> for Place {
    fn from(address: &TokenAddress) -> Self {
        Self { page: address.page, field: address.field(), key_id: address.key_id }
    }
}

impl Entry {
    /// The entry under its key.
    pub(crate) fn seal(&self, key: &hmac::Key) -> SealedEntry {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.place.key_id.0;
        bytes[2..11].copy_from_slice(&self.place.page.to_bytes());
        bytes[11..19].copy_from_slice(&self.place.field);
        bytes[19..27].copy_from_slice(&self.client.0);
        bytes[27..33].copy_from_slice(&self.at.unix_millis().to_be_bytes()[2..]);
        bytes[33..41].copy_from_slice(&self.node.0);
        bytes[41..SIGNED_BYTES].copy_from_slice(&self.number.to_be_bytes());
        let mac = sign(key, &bytes[..SIGNED_BYTES]);
        bytes[SIGNED_BYTES..].copy_from_slice(&mac);
        bytes
    }

    /// Reads an entry and verifies it.
    pub(crate) fn open(bytes: &SealedEntry, keys: &mut JournalKeys) -> Result<Self, Unreadable> {
        let place = place_of(bytes).ok_or(Unreadable::Garbled)?;
        let key = keys.get(place.key_id).ok_or(Unreadable::KeyGone)?;
        if !bool::from(sign(key, &bytes[..SIGNED_BYTES]).ct_eq(&bytes[SIGNED_BYTES..])) {
            return Err(Unreadable::Forged);
        }
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&bytes[27..33]);
        Ok(Self {
            place,
            client: Fingerprint(eight(bytes, 19)),
            at: Timestamp::from_unix_millis(u64::from_be_bytes(millis)),
            node: NodeId(eight(bytes, 33)),
            number: u64::from_be_bytes(eight(bytes, 41)),
        })
    }
}

/// Where an entry says that its record lay, unverified; `None` for what has not the form of one.
pub(crate) fn place_of(bytes: &SealedEntry) -> Option<Place> {
    let page = Page::from_bytes(std::array::from_fn(|i| bytes[2 + i]));
    (bytes[0] == VERSION).then(|| Place { page, field: eight(bytes, 11), key_id: KeyId(bytes[1]) })
}

fn eight(bytes: &SealedEntry, from: usize) -> [u8; 8] {
    std::array::from_fn(|i| bytes[from + i])
}

fn sign(key: &hmac::Key, signed: &[u8]) -> [u8; 16] {
    let mut context = hmac::Context::with_key(key);
    context.update(b"e");
    context.update(signed);
    let tag = context.sign();
    std::array::from_fn(|i| tag.as_ref()[i])
}

impl JournalKeys {
    /// Takes up another set of service keys, if it is another.
    pub(crate) fn follow(&mut self, keys: &Arc<ServiceKeys>) {
        if !self.keys.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, keys)) {
            *self = Self { keys: Some(Arc::clone(keys)), macs: HashMap::new() };
        }
    }

    /// The sub-key under this service key; `None` where that is gone.
    pub(crate) fn get(&mut self, key_id: KeyId) -> Option<&hmac::Key> {
        if !self.macs.contains_key(&key_id) {
            let bytes = self.keys.as_ref()?.get(key_id)?.sub_key(&[b"journal"]);
            self.macs.insert(key_id, hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        self.macs.get(&key_id)
    }

    /// A client as entries under this service key name it; `None` where that is gone.
    pub(crate) fn fingerprint(&mut self, key_id: KeyId, client: &ClientId) -> Option<Fingerprint> {
        let mut context = hmac::Context::with_key(self.get(key_id)?);
        context.update(b"c");
        context.update(client.as_str().as_bytes());
        let tag = context.sign();
        Some(Fingerprint(std::array::from_fn(|i| tag.as_ref()[i])))
    }
}

impl fmt::Debug for JournalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalKeys").field("kept", &self.macs.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::keys::ServiceKey;

    fn keys(ids: &[u8]) -> JournalKeys {
        let key = |&id| ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(1), &[id; 32]);
        let mut keys = JournalKeys::default();
        keys.follow(&Arc::new(ServiceKeys::new(ids.iter().map(key).collect()).unwrap()));
        keys
    }

    fn entry() -> Entry {
        Entry {
            place: Place {
                page: Page { dead_second: 4_000_000_000, number: 7 },
                field: *b"abcdefgh",
                key_id: KeyId(1),
            },
            client: Fingerprint(*b"ABCDEFGH"),
            at: Timestamp::from_unix_millis(0x0102_0304_0506),
            node: NodeId([9; 8]),
            number: 258,
        }
    }

    #[test]
    // Computed by an implementation in another language.
    fn golden_entry() {
        let mut keys = keys(&[1]);
        let sealed = entry().seal(keys.get(KeyId(1)).unwrap());
        let hex = data_encoding::HEXLOWER.encode(&sealed);
        let (signed, mac) = hex.split_at(2 * SIGNED_BYTES);
        assert_eq!(
            signed,
            "010100ee6b2800000000076162636465666768414243444546474801020304050609090909090909090000000000000102"
        );
        assert_eq!(mac, "3df1d9a2653155a7ba5a796d397a0aa7");
        let client = keys.fingerprint(KeyId(1), &ClientId::new("billing")).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&client.0), "c91d52a314574752");
    }

    #[test]
    fn an_entry_opens_and_no_bit_of_it_can_be_changed() {
        let mut keys = keys(&[1, 2]);
        let sealed = entry().seal(keys.get(KeyId(1)).unwrap());
        assert_eq!(Entry::open(&sealed, &mut keys), Ok(entry()));
        for bit in 0..8 * ENTRY_BYTES {
            let mut changed = sealed;
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = Entry::open(&changed, &mut keys).unwrap_err();
            let expected = match bit / 8 {
                0 => Unreadable::Garbled,
                1 if changed[1] != 2 => Unreadable::KeyGone,
                _ => Unreadable::Forged,
            };
            assert_eq!(error, expected, "bit {bit}");
        }
        assert_eq!(Entry::open(&[0; ENTRY_BYTES], &mut keys), Err(Unreadable::Garbled));
        assert_eq!(Entry::open(&sealed, &mut self::keys(&[2])), Err(Unreadable::KeyGone));
    }

    #[test]
    fn a_fingerprint_is_a_clients_own_and_names_nobody_without_the_key() {
        let (mut keys, client) = (keys(&[1, 2]), ClientId::new("billing"));
        let of_1 = keys.fingerprint(KeyId(1), &client);
        assert_eq!(of_1, keys.fingerprint(KeyId(1), &client));
        assert_ne!(of_1, keys.fingerprint(KeyId(2), &client));
        assert_ne!(of_1, keys.fingerprint(KeyId(1), &ClientId::new("billings")));
        assert_eq!(keys.fingerprint(KeyId(3), &client), None);
    }
}
