//! Since when a server remembers what was used: the key `epoch` beside the uses.
//!
//! A Redis that was emptied, restarted, or whose replica took over may have forgotten uses. So beside them lies an epoch: which life of
//! which server it was made on, and when. One that is gone, or names another life, is made anew, and what was made before is then
//! judged by nobody: it may have been used.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | id of the service key |
//! | 2..14 | nonce, drawn at random: unlike a record an epoch is written again |
//! | then, sealed | made at, in milliseconds (6 bytes, big endian); run id and replication id, each behind its length in a byte |
//! | the last 16 | the seal's tag |
//!
//! It is sealed by AES-256-GCM under the sub-key `epoch`, with `e`, version, key id and tag as associated data, so that whoever can write
//! to Redis cannot make an older one.
//!
//! Invariant: an epoch is believed only of the server that has just said, in the same transaction, that it is the one.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::Value;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::server_info::{ServerId, ServerInfo};
use super::slot_map::Tag;
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::replay::SKEW_SECONDS;
use crate::oauth::time::Timestamp;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 2 + NONCE_LEN;

/// How long an epoch lives that no node renews. It ends only where nobody has served for so long.
pub(super) const TTL_MILLIS: u64 = 24 * 3600 * 1000;

/// Sees to it that one thread of a process makes epochs at a time.
#[derive(Debug, Default)]
pub struct Epochs {
    making: AtomicBool,
}

/// The right to make epochs, while it lives.
pub(super) struct Making<'a>(&'a Epochs);

/// When uses began to be remembered, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) made_at: Timestamp,
    pub(super) server: ServerId,
}

impl Epochs {
    pub(super) fn begin(&self) -> Option<Making<'_>> {
        let others = self.making.swap(true, Ordering::AcqRel);
        // Made only where it is ours: its end is the end of the right.
        (!others).then(|| Making(self))
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.making.store(false, Ordering::Release);
    }
}

impl Epoch {
    /// Of what was made before, the server may have forgotten that it was used.
    pub(super) fn floor(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.made_at.unix_millis().saturating_add(SKEW_SECONDS * 1000))
    }

    /// As it is stored under `tag`; `None` where the server's ids are none, or the cipher refuses.
    pub(super) fn seal(&self, key: &ServiceKey, tag: Tag, nonce: [u8; NONCE_LEN]) -> Option<Vec<u8>> {
        let mut stored = vec![VERSION, key.id().0];
        stored.extend_from_slice(&nonce);
        stored.extend_from_slice(&self.made_at.unix_millis().to_be_bytes()[2..]);
        for id in [&self.server.run_id, &self.server.replication_id] {
            stored.push(u8::try_from(id.len()).ok().filter(|length| *length > 0)?);
            stored.extend_from_slice(id.as_bytes());
        }
        let sealing = sealing_key(key)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let seal =
            sealing.seal_in_place_separate_tag(nonce, associated(key.id(), tag), &mut stored[HEAD_BYTES..]).ok()?;
        stored.extend_from_slice(seal.as_ref());
        Some(stored)
    }

    /// Opens what is stored under `tag`, in place; `None`: it is no epoch that one of these keys sealed.
    pub(super) fn open(keys: &ServiceKeys, tag: Tag, stored: &mut [u8]) -> Option<Self> {
        let (head, sealed) = stored.split_at_mut_checked(HEAD_BYTES)?;
        let (&[VERSION, key_id], nonce) = head.split_first_chunk::<2>()? else { return None };
        let key = keys.get(KeyId(key_id))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = sealing_key(key)?.open_in_place(nonce, associated(key.id(), tag), sealed).ok()?;
        let (millis, mut rest) = opened.split_first_chunk::<6>()?;
        let mut made_at = [0; 8];
        made_at[2..].copy_from_slice(millis);
        let mut id = || {
            let (&length, after) = rest.split_first()?;
            let (id, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            Some(String::from_utf8_lossy(id).into_owned())
        };
        let server = ServerId { run_id: id()?, replication_id: id()? };
        Some(Self { made_at: Timestamp::from_unix_millis(u64::from_be_bytes(made_at)), server })
    }
}

/// The server that a reply to `INFO` speaks of.
pub(super) fn server_in(info: &Value) -> ServerId {
    let mut read = ServerInfo::default();
    match info {
        Value::BulkString(bytes) => read.read(&String::from_utf8_lossy(bytes)),
        Value::VerbatimString { text, .. } => read.read(text),
        _ => {}
    }
    read.id()
}

fn sealing_key(key: &ServiceKey) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, &key.sub_key(&[b"epoch"])).ok().map(LessSafeKey::new)
}

fn associated(key_id: KeyId, tag: Tag) -> Aad<[u8; 4]> {
    Aad::from([b'e', VERSION, key_id.0, tag.0])
}

impl fmt::Debug for Making<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Making")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::store::contract;

    const STORED: &str = "0102070707070707070707070707593423e3e17528db6587aa0ac7ee29ca0999f9b39de188de372823732516ce2c54b13e\
                          5a3f5e2a8585a114f3d7d1e9a08afba2dc07b0a5c1758a6e9da237ff19339e4341c83da8ae34599b079567c0d2e5d1f6e380\
                          50dc5400dd3aa70f5d5bc794f264b77f453e4d";

    fn epoch() -> Epoch {
        let server = ServerId { run_id: "a".repeat(40), replication_id: "b".repeat(40) };
        Epoch { made_at: Timestamp::from_unix_millis(1_800_000_000_123), server }
    }

    fn sealed(tag: Tag) -> Vec<u8> {
        epoch().seal(contract::keys().get(KeyId(2)).unwrap(), tag, [7; NONCE_LEN]).unwrap()
    }

    #[test]
    fn an_epoch_opens_where_it_was_sealed_and_nowhere_else() {
        let keys = contract::keys();
        let stored = sealed(Tag(3));
        assert_eq!(HEXLOWER.encode(&stored), STORED, "a node of another release must open it");
        assert_eq!(Epoch::open(&keys, Tag(3), &mut stored.clone()), Some(epoch()));
        assert_eq!(Epoch::open(&keys, Tag(4), &mut stored.clone()), None);
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert_eq!(Epoch::open(&keys, Tag(3), &mut changed), None, "{at}");
            assert_eq!(Epoch::open(&keys, Tag(3), &mut stored.clone()[..at]), None, "{at}");
        }
        assert_eq!(epoch().floor(), Timestamp::from_unix_millis(1_800_000_005_123));
    }

    #[test]
    fn a_server_that_does_not_say_who_it_is_gets_no_epoch() {
        let nobody = Epoch { server: ServerId::default(), ..epoch() };
        assert_eq!(nobody.seal(contract::keys().get(KeyId(2)).unwrap(), Tag(0), [7; NONCE_LEN]), None);
        let info = Value::VerbatimString {
            format: redis::VerbatimFormat::Text,
            text: "run_id:abc\r\nmaster_replid:def\r\n".into(),
        };
        assert_eq!(server_in(&info), ServerId { run_id: "abc".into(), replication_id: "def".into() });
        assert_eq!(server_in(&Value::Nil), ServerId::default());
    }

    #[test]
    fn one_makes_epochs_at_a_time() {
        let epochs = Epochs::default();
        let making = epochs.begin().unwrap();
        assert!(epochs.begin().is_none() && epochs.begin().is_none());
        drop(making);
        assert!(epochs.begin().is_some());
    }
}
