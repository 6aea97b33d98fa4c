//! A grant at rest: named by a keyed digest of its canonical bytes, sealed under that name.
//!
//! The id is the first 12 bytes of HMAC-SHA-256, under the sub-key `grant-id`, over key id, version and the canonical JSON. What
//! is stored is the version, then the JSON sealed by AES-256-GCM under the sub-key `grant-seal` with the id as nonce and `g`,
//! version, key id and id as associated data. Key and service key are those of the records that name the grant.
//!
//! Invariant: a grant's bytes are a function of key and content, so two nodes that write it write the same.

use ring::aead::{Aad, LessSafeKey, Nonce};
use ring::hmac;

use crate::oauth::keys::KeyId;

const VERSION: u8 = 1;

/// Names a grant under one service key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GrantId(pub(super) [u8; 12]);

/// Why stored bytes are no record, or no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The seal does not open at this address.
    SealBroken,
    /// The version is not one that this release reads.
    UnknownVersion,
}

/// The id of a grant with these canonical bytes.
pub(super) fn name(key: &hmac::Key, key_id: KeyId, canonical: &[u8]) -> GrantId {
    let mut context = hmac::Context::with_key(key);
    context.update(&[key_id.0, VERSION]);
    context.update(canonical);
    let digest = context.sign();
    GrantId(std::array::from_fn(|i| digest.as_ref()[i]))
}

/// What is stored of a grant; `None` where the cipher refuses, which it does for no length that occurs here.
pub(super) fn seal(key: &LessSafeKey, key_id: KeyId, id: GrantId, canonical: &[u8]) -> Option<Vec<u8>> {
    let mut stored = Vec::with_capacity(1 + canonical.len() + 16);
    stored.push(VERSION);
    stored.extend_from_slice(canonical);
    let nonce = Nonce::assume_unique_for_key(id.0);
    let tag = key.seal_in_place_separate_tag(nonce, associated(key_id, id), &mut stored[1..]).ok()?;
    stored.extend_from_slice(tag.as_ref());
    Some(stored)
}

/// The canonical bytes of a stored grant, opened in place.
pub(super) fn open<'a>(
    key: &LessSafeKey,
    key_id: KeyId,
    id: GrantId,
    stored: &'a mut [u8],
) -> Result<&'a [u8], Unreadable> {
    let (&mut version, sealed) = stored.split_first_mut().ok_or(Unreadable::SealBroken)?;
    if version != VERSION {
        return Err(Unreadable::UnknownVersion);
    }
    let nonce = Nonce::assume_unique_for_key(id.0);
    let opened = key.open_in_place(nonce, associated(key_id, id), sealed);
    opened.map(|canonical| &*canonical).map_err(|_| Unreadable::SealBroken)
}

fn associated(key_id: KeyId, id: GrantId) -> Aad<[u8; 15]> {
    let mut bytes = [0; 15];
    bytes[0] = b'g';
    bytes[1] = VERSION;
    bytes[2] = key_id.0;
    bytes[3..].copy_from_slice(&id.0);
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;
    use crate::oauth::keys::ServiceKey;
    use crate::oauth::time::Timestamp;

    const CANONICAL: &[u8] = br#"{"audience":["x","y"],"claims":{"a":1,"tenant":"acme"},"client_id":"billing","scope":"read write","subject":"svc:billing"}"#;
    const STORED: &str = "01b4c87caf85670d2bc1b7ea6e0709fd6caf8fee84cefbdd87a4f83c913d8e3a47c3b1d66c7474915e7259b3438cd32119\
                          acf33bd9181f4abf02c71de6e74f99f7b89e6b8ade23bb20321fa202a67aa8d8b8b08a94ac624082795f03604a525286ff16a7788c0f\
                          4401f470be0e4d2488f683dd8f5cfb91c808ad1510cf52d87eb16c38111a0fc96bccb67a";

    fn keys(id: u8) -> (hmac::Key, LessSafeKey) {
        let service = ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(1), &[id; 32]);
        let naming = hmac::Key::new(hmac::HMAC_SHA256, &service.sub_key(&[b"grant-id"]));
        let sealing = UnboundKey::new(&AES_256_GCM, &service.sub_key(&[b"grant-seal"])).unwrap();
        (naming, LessSafeKey::new(sealing))
    }

    #[test]
    // Computed by an implementation in another language.
    fn golden_grant() {
        let (naming, sealing) = keys(1);
        let id = name(&naming, KeyId(1), CANONICAL);
        assert_eq!(data_encoding::HEXLOWER.encode(&id.0), "19c47c521d3af95ca08c080a");
        let mut stored = seal(&sealing, KeyId(1), id, CANONICAL).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&stored), STORED);
        assert_eq!(open(&sealing, KeyId(1), id, &mut stored).unwrap(), CANONICAL);
    }

    #[test]
    fn a_grant_opens_under_its_own_name_alone() {
        let (naming, sealing) = keys(1);
        let id = name(&naming, KeyId(1), CANONICAL);
        let stored = seal(&sealing, KeyId(1), id, CANONICAL).unwrap();
        let mut other = id;
        other.0[11] ^= 1;
        assert_eq!(open(&sealing, KeyId(1), other, &mut stored.clone()), Err(Unreadable::SealBroken));
        assert_eq!(open(&sealing, KeyId(2), id, &mut stored.clone()), Err(Unreadable::SealBroken));
        assert_eq!(open(&keys(2).1, KeyId(1), id, &mut stored.clone()), Err(Unreadable::SealBroken));
        assert_eq!(open(&sealing, KeyId(1), id, &mut []), Err(Unreadable::SealBroken));
        assert_eq!(open(&sealing, KeyId(1), id, &mut [2, 0]), Err(Unreadable::UnknownVersion));
        for at in 1..stored.len() {
            let mut altered = stored.clone();
            altered[at] ^= 0x40;
            assert_eq!(open(&sealing, KeyId(1), id, &mut altered), Err(Unreadable::SealBroken));
        }
    }
}
