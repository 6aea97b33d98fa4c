//! The bytes of a record at rest: sealed, and bound to the one address at which they may be found.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1..7 | issued at, in milliseconds (big endian, as all numbers) |
//! | 7..11 | lifetime, in seconds |
//! | 11..23 | id of its grant |
//! | then, of a bound token alone | 1 `x5t#S256`, 2 `jkt`, 3 both in that order, and 32 bytes for each |
//! | the last 16 | the seal's tag |
//!
//! All but the version is sealed by AES-256-GCM under the sub-key `record` and the hour of the page's dead second. Nonce and
//! associated data (`r`, version, key id, page, the 32 bytes of HMAC) come from the address, so a record opens nowhere else
//! and stores no nonce.
//!
//! Invariant: one address under one key seals one plaintext for ever, since a record is written once.

use ring::aead::{Aad, LessSafeKey, Nonce};

use super::grant_seal::{GrantId, Unreadable};
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Confirmation, TokenAddress};

/// The version that is written. A release reads a new one before the next release writes it.
const VERSION: u8 = 1;
/// Sealed bytes of a record that is not bound.
const PLAIN_BYTES: usize = 22;
const TAG_BYTES: usize = 16;
/// Bytes of a record that is not bound: what a flat page holds.
pub(super) const RECORD_BYTES: usize = 1 + PLAIN_BYTES + TAG_BYTES;
/// Bytes of a record bound in both ways.
pub(super) const RECORD_BYTES_MAX: usize = RECORD_BYTES + 1 + 2 * 32;

const X5T_S256: u8 = 1;
const JKT: u8 = 2;

/// A record with its grant named, not yet found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenedRecord {
    pub(super) issued_at: Timestamp,
    pub(super) lifetime: Lifetime,
    pub(super) grant_id: GrantId,
    pub(super) confirmation: Option<Confirmation>,
}

/// A sealed record: as many bytes of an array as it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedRecord {
    bytes: [u8; RECORD_BYTES_MAX],
    length: usize,
}

impl SealedRecord {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

/// Seals a record for its address; `None` where the cipher refuses, which it does for no length that occurs here.
pub(super) fn seal(key: &LessSafeKey, address: &TokenAddress, record: &OpenedRecord) -> Option<SealedRecord> {
    let mut sealed = SealedRecord { bytes: [0; RECORD_BYTES_MAX], length: 0 };
    sealed.push(&[VERSION]);
    sealed.push(&record.issued_at.unix_millis().to_be_bytes()[2..]);
    sealed.push(&record.lifetime.seconds().to_be_bytes());
    sealed.push(&record.grant_id.0);
    // Bound to nothing is not bound.
    if let Some(confirmation) = record.confirmation.filter(|confirmation| *confirmation != Confirmation::default()) {
        let kinds = confirmation.x5t_s256.map_or(0, |_| X5T_S256) | confirmation.jkt.map_or(0, |_| JKT);
        sealed.push(&[kinds]);
        for thumbprint in [confirmation.x5t_s256, confirmation.jkt].into_iter().flatten() {
            sealed.push(&thumbprint);
        }
    }
    let nonce = Nonce::assume_unique_for_key(address.nonce());
    let tag = key.seal_in_place_separate_tag(nonce, associated(address), &mut sealed.bytes[1..sealed.length]).ok()?;
    sealed.push(tag.as_ref());
    Some(sealed)
}

/// Opens what lies at an address, in place.
pub(super) fn open(key: &LessSafeKey, address: &TokenAddress, stored: &mut [u8]) -> Result<OpenedRecord, Unreadable> {
    let (&mut version, sealed) = stored.split_first_mut().ok_or(Unreadable::SealBroken)?;
    if version != VERSION {
        return Err(Unreadable::UnknownVersion);
    }
    let nonce = Nonce::assume_unique_for_key(address.nonce());
    let opened = key.open_in_place(nonce, associated(address), sealed).map_err(|_| Unreadable::SealBroken)?;
    // Only a release that wrote something else under this version could fail this: the seal was good.
    read(opened).ok_or(Unreadable::UnknownVersion)
}

/// What a seal held.
pub(super) fn read(plain: &[u8]) -> Option<OpenedRecord> {
    let (millis, rest) = plain.split_first_chunk::<6>()?;
    let (seconds, rest) = rest.split_first_chunk::<4>()?;
    let (grant_id, rest) = rest.split_first_chunk::<12>()?;
    let mut issued_at = [0; 8];
    issued_at[2..].copy_from_slice(millis);
    Some(OpenedRecord {
        issued_at: Timestamp::from_unix_millis(u64::from_be_bytes(issued_at)),
        lifetime: Lifetime::from_seconds(u32::from_be_bytes(*seconds)),
        grant_id: GrantId(*grant_id),
        confirmation: read_confirmation(rest)?,
    })
}

fn read_confirmation(rest: &[u8]) -> Option<Option<Confirmation>> {
    let Some((&kinds, rest)) = rest.split_first() else { return Some(None) };
    let (thumbprints, []) = rest.as_chunks::<32>() else { return None };
    let (x5t_s256, jkt) = match (kinds, thumbprints) {
        (X5T_S256, &[x5t_s256]) => (Some(x5t_s256), None),
        (JKT, &[jkt]) => (None, Some(jkt)),
        (3, &[x5t_s256, jkt]) => (Some(x5t_s256), Some(jkt)),
        _ => return None,
    };
    Some(Some(Confirmation { x5t_s256, jkt }))
}

fn associated(address: &TokenAddress) -> Aad<[u8; 44]> {
    let mut bytes = [0; 44];
    bytes[0] = b'r';
    bytes[1] = VERSION;
    bytes[2] = address.key_id.0;
    bytes[3..12].copy_from_slice(&address.page.to_bytes());
    bytes[12..].copy_from_slice(address.mac());
    Aad::from(bytes)
}

#[cfg(test)]
mod tests;
