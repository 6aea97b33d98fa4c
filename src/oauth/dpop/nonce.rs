//! Nonces that this server gives for proofs: RFC 9449 section 8. A proof that holds one was made after the nonce was. Row D04.
//!
//! A nonce is the second of its making and a tag over it under the service's key, so nothing is kept of it: every node knows those of
//! all nodes, whichever key of the file made them.

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::oauth::keys::ServiceKeys;
use crate::oauth::replay::SKEW_SECONDS;
use crate::oauth::time::Timestamp;

/// How long a nonce is good.
const GOOD_SECONDS: u64 = 120;
/// From when on whoever uses it is given the next, so that no request of a busy client is refused for its nonce.
const AGING_SECONDS: u64 = 60;

const TIME_BYTES: usize = 4;
const TAG_BYTES: usize = 12;
const NONCE_BYTES: usize = TIME_BYTES + TAG_BYTES;
/// What they are in base64url.
const NONCE_CHARS: usize = 22;

/// A nonce of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_BYTES]);

/// How a nonce stands that a proof holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is good.
    Good,
    /// It is good, and will soon not be.
    Aging,
    /// It is none of ours, or too old.
    Bad,
}

impl Nonce {
    /// One that is made now.
    pub fn make(keys: &ServiceKeys, now: Timestamp) -> Self {
        // In 2106 nonces stop being made anew; an error then would be worse.
        let time = u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX).to_be_bytes();
        let mut nonce = [0; NONCE_BYTES];
        nonce[..TIME_BYTES].copy_from_slice(&time);
        nonce[TIME_BYTES..].copy_from_slice(&tag(keys.maker(now).nonce_key(), time));
        Self(nonce)
    }

    /// Its text: "nonce = 1*NQCHAR" (RFC 9449 section 8.1), here base64url.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// How this text stands.
    pub fn judge(keys: &ServiceKeys, text: &str, now: Timestamp) -> Standing {
        let mut nonce = [0; NONCE_BYTES];
        if text.len() != NONCE_CHARS || BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut nonce).is_err() {
            return Standing::Bad;
        }
        let Some((time, presented)) = nonce.split_first_chunk::<TIME_BYTES>() else { return Standing::Bad };
        let is_tag = |key: &hmac::Key| bool::from(tag(key, *time).ct_eq(presented));
        if !keys.iter().any(|key| is_tag(key.nonce_key())) {
            return Standing::Bad;
        }
        let (made_at, now) = (u64::from(u32::from_be_bytes(*time)), now.unix_seconds());
        // Another node's clock may be ahead of ours.
        if made_at > now + SKEW_SECONDS {
            return Standing::Bad;
        }
        match now.saturating_sub(made_at) {
            ..AGING_SECONDS => Standing::Good,
            AGING_SECONDS..=GOOD_SECONDS => Standing::Aging,
            _ => Standing::Bad,
        }
    }
}

fn tag(key: &hmac::Key, time: [u8; TIME_BYTES]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&hmac::sign(key, &time).as_ref()[..TAG_BYTES]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::keys::{KeyId, ServiceKey};

    const NOW: u64 = 1_800_000_000;

    fn keys(ids: &[u8]) -> ServiceKeys {
        let key = |id: u8| ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(NOW * u64::from(id - 1)), &[id; 32]);
        ServiceKeys::new(ids.iter().map(|id| key(*id)).collect()).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn d04_a_nonce_is_good_for_two_minutes() {
        let keys = keys(&[1]);
        let text = Nonce::make(&keys, at(NOW)).text();
        for (now, standing) in [
            (NOW - 6, Standing::Bad),
            (NOW - 5, Standing::Good),
            (NOW, Standing::Good),
            (NOW + 59, Standing::Good),
            (NOW + 60, Standing::Aging),
            (NOW + 120, Standing::Aging),
            (NOW + 121, Standing::Bad),
        ] {
            assert_eq!(Nonce::judge(&keys, &text, at(now)), standing, "{now}");
        }
    }

    #[test]
    fn d04_every_key_of_the_file_is_good_and_no_other() {
        let before = Nonce::make(&keys(&[1]), at(NOW - 1)).text();
        let both = keys(&[1, 2]);
        let after = Nonce::make(&both, at(NOW)).text();
        assert_ne!(Nonce::make(&keys(&[1]), at(NOW)).text(), after, "the new key makes from its time on");
        for text in [&before, &after] {
            assert_eq!(Nonce::judge(&both, text, at(NOW)), Standing::Good);
        }
        assert_eq!(Nonce::judge(&keys(&[1]), &after, at(NOW)), Standing::Bad);
        assert_eq!(Nonce::judge(&keys(&[2]), &before, at(NOW)), Standing::Bad);
    }

    #[test]
    fn d04_what_nobody_made_is_bad() {
        let keys = keys(&[1]);
        let text = Nonce::make(&keys, at(NOW)).text();
        assert!(text.len() == NONCE_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'));
        for at_byte in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at_byte] = if changed[at_byte] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(Nonce::judge(&keys, &changed, at(NOW)), Standing::Bad, "{at_byte}");
        }
        for text in ["", "x", &text[1..], &format!("{text}A"), &format!("{text}="), &"é".repeat(11)] {
            assert_eq!(Nonce::judge(&keys, text, at(NOW)), Standing::Bad, "{text}");
        }
    }
}
