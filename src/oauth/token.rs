//! Access tokens: what they are on the wire, how they are made, and how a forgery is told without asking a store.
//!
//! On the wire a token is its prefix, `_`, and 42 bytes in base64url without padding (56 characters):
//!
//! | bytes | what |
//! |---|---|
//! | 0 | id of the service key that made it |
//! | 1..10 | page: the second after which the page is dead (5, big endian), a random page number (4, big endian) |
//! | 10..30 | 160 random bits (RFC 6749 section 10.10 asks for a guess probability of at most 2^-160) |
//! | 30..42 | tag: the first 96 bits of HMAC-SHA-256 over bytes 0..30 under the key's sub-key `token` |
//!
//! Of the same 32 bytes of HMAC, 12..20 are the field under which a store keeps the record and 20..32 are the nonce of its
//! seal and, in base64url, the token's `jti`. So neither is known to who holds the token, and neither leads back to it.
//!
//! Invariant: the token itself never reaches a store; only its [`TokenAddress`] does.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use subtle::ConstantTimeEq;

use super::grant::Grant;
use super::keys::{KeyId, ServiceKey, ServiceKeys};
use super::time::{Lifetime, Timestamp};

/// The bytes that are signed: key id, page, random bits.
const SIGNED_BYTES: usize = 30;
/// The bytes of a token.
pub const TOKEN_BYTES: usize = 42;
/// The characters of a token behind its prefix and `_`.
pub const TOKEN_CHARS: usize = 56;
/// The characters of a `jti`.
pub(super) const JTI_CHARS: usize = 16;
/// The random bytes of a token.
pub const RANDOM_BYTES: usize = 20;

/// A page: the group of tokens of like expiry that a store keeps, and drops, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page {
    /// Seconds since the Unix epoch; from this second on no token of the page is alive. 40 bits.
    pub dead_second: u64,
    /// Drawn at random when the page is opened.
    pub number: u32,
}

/// Where a store finds a token's record: key id, page, and the 32 bytes of HMAC, never the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenAddress {
    /// The service key that made the token, under which its record is sealed.
    pub key_id: KeyId,
    /// The page it lies in.
    pub page: Page,
    mac: [u8; 32],
}

/// An access token as the client gets it. Printed only by [`Token::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// What a token is bound to (RFC 7800 `cnf`): SHA-256 thumbprints of a certificate (RFC 8705) and of a JWK (RFC 9449).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// `x5t#S256`.
    pub x5t_s256: Option<[u8; 32]>,
    /// `jkt`.
    pub jkt: Option<[u8; 32]>,
}

/// What a store holds of a token, unsealed.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRecord {
    /// When it was made, in milliseconds.
    pub issued_at: Timestamp,
    /// How long it lives from the whole second of `issued_at` on.
    pub lifetime: Lifetime,
    /// What it gives.
    pub grant: Arc<Grant>,
    /// What it is bound to, if it is.
    pub confirmation: Option<Confirmation>,
}

/// Why a presented token is no live token of ours, told without asking a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// Not of our form: another prefix, length or alphabet.
    Malformed,
    /// Our form, but no key of ours made it.
    Forged,
    /// Ours, but its page is dead.
    Expired,
}

impl Page {
    /// The 9 bytes that stand in a token and name the page in a store.
    pub fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes[..5].copy_from_slice(&self.dead_second.to_be_bytes()[3..]);
        bytes[5..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// The page whose [`Page::to_bytes`] are these.
    pub fn from_bytes(bytes: [u8; 9]) -> Self {
        let mut second = [0; 8];
        second[3..].copy_from_slice(&bytes[..5]);
        let number = [bytes[5], bytes[6], bytes[7], bytes[8]];
        Self { dead_second: u64::from_be_bytes(second), number: u32::from_be_bytes(number) }
    }

    /// The second after which a page for tokens that expire at `expires_at_seconds` is dead: rounded up to the largest power of
    /// two of seconds that is at most a 64th of `lifetime`, so that like tokens share a page even where few are asked for.
    pub fn dead_second_for(expires_at_seconds: u64, lifetime: Lifetime) -> u64 {
        let step = u64::from(lifetime.seconds() / 64).max(1);
        let step = 1 << step.ilog2();
        expires_at_seconds.div_ceil(step) * step
    }
}

impl TokenAddress {
    /// The 32 bytes of HMAC, all of which the record's seal is bound to.
    pub fn mac(&self) -> &[u8; 32] {
        &self.mac
    }

    /// The name of the record within its page.
    pub fn field(&self) -> [u8; 8] {
        std::array::from_fn(|i| self.mac[12 + i])
    }

    /// The nonce of the record's seal.
    pub fn nonce(&self) -> [u8; 12] {
        std::array::from_fn(|i| self.mac[20 + i])
    }

    /// The token's `jti` (RFC 7519 section 4.1.7): 16 characters that lead to nothing.
    pub fn jti(&self) -> String {
        self.jti_in(&mut [0; JTI_CHARS]).to_owned()
    }

    /// The same, written there.
    pub(super) fn jti_in<'a>(&self, text: &'a mut [u8; JTI_CHARS]) -> &'a str {
        BASE64URL_NOPAD.encode_mut(&self.nonce(), text);
        // Base64 is ASCII.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl Token {
    /// Makes the token with these random bits under `key`, and its address.
    pub fn make(prefix: &str, key: &ServiceKey, page: Page, random: &[u8; RANDOM_BYTES]) -> (Self, TokenAddress) {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = key.id().0;
        bytes[1..10].copy_from_slice(&page.to_bytes());
        bytes[10..SIGNED_BYTES].copy_from_slice(random);
        let mac = sign(key, &bytes[..SIGNED_BYTES]);
        bytes[SIGNED_BYTES..].copy_from_slice(&mac[..12]);
        let mut text = String::with_capacity(prefix.len() + 1 + TOKEN_CHARS);
        text.push_str(prefix);
        text.push('_');
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        (Self(text.into_boxed_str()), TokenAddress { key_id: key.id(), page, mac })
    }

    /// Judges a presented token by itself: its form, its tag, its page's time.
    ///
    /// # Errors
    /// [`TokenRefusal`]; none of them needed a store.
    pub fn check(
        presented: &str,
        prefix: &str,
        keys: &ServiceKeys,
        now: Timestamp,
    ) -> Result<TokenAddress, TokenRefusal> {
        let encoded = presented.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
        let encoded = encoded.filter(|rest| rest.len() == TOKEN_CHARS).ok_or(TokenRefusal::Malformed)?;
        let mut bytes = [0; TOKEN_BYTES];
        let decoded = BASE64URL_NOPAD.decode_mut(encoded.as_bytes(), &mut bytes);
        decoded.map_err(|_| TokenRefusal::Malformed)?;

        let key = keys.get(KeyId(bytes[0])).ok_or(TokenRefusal::Forged)?;
        let mac = sign(key, &bytes[..SIGNED_BYTES]);
        if !bool::from(mac[..12].ct_eq(&bytes[SIGNED_BYTES..])) {
            return Err(TokenRefusal::Forged);
        }
        let page = Page::from_bytes(std::array::from_fn(|i| bytes[1 + i]));
        if now.unix_seconds() >= page.dead_second {
            return Err(TokenRefusal::Expired);
        }
        Ok(TokenAddress { key_id: key.id(), page, mac })
    }

    /// The token's characters, for the one response that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Confirmation {
    /// By a certificate, by a key, or by both; `None` where it is bound to neither.
    pub fn of(x5t_s256: Option<[u8; 32]>, jkt: Option<[u8; 32]>) -> Option<Self> {
        (x5t_s256.is_some() || jkt.is_some()).then_some(Self { x5t_s256, jkt })
    }

    /// The type of a token with this confirmation: `DPoP` where it is bound by a proof of a key (RFC 9449 section 5), else
    /// `Bearer`, also where a certificate binds it (RFC 8705 section 3).
    pub fn token_type(confirmation: Option<&Self>) -> &'static str {
        if confirmation.is_some_and(|bound| bound.jkt.is_some()) { "DPoP" } else { "Bearer" }
    }
}

impl TokenRecord {
    /// `iat` and `nbf`: whole seconds.
    pub fn issued_at_seconds(&self) -> u64 {
        self.issued_at.unix_seconds()
    }

    /// `exp`: whole seconds, `iat` and the lifetime.
    pub fn expires_at_seconds(&self) -> u64 {
        self.issued_at_seconds() + u64::from(self.lifetime.seconds())
    }

    /// Whether the token has reached its end: from `exp` on, with no skew in its favour.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now.unix_seconds() >= self.expires_at_seconds()
    }
}

fn sign(key: &ServiceKey, bytes: &[u8]) -> [u8; 32] {
    let mut mac = [0; 32];
    mac.copy_from_slice(hmac::sign(key.token_key(), bytes).as_ref());
    mac
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for TokenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAddress").field("key_id", &self.key_id).field("page", &self.page).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> ServiceKeys {
        let key = |id| ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(u64::from(id)), &[id; 32]);
        ServiceKeys::new(vec![key(1), key(2)]).unwrap()
    }

    fn check(token: &str, now_seconds: u64) -> Result<TokenAddress, TokenRefusal> {
        Token::check(token, "jt", &keys(), Timestamp::from_unix_seconds(now_seconds))
    }

    #[test]
    // Computed by an implementation in another language.
    fn golden_token() {
        let page = Page { dead_second: 0x01_0203_0405, number: 0x0607_0809 };
        let keys = keys();
        let (token, address) = Token::make("jt", keys.get(KeyId(1)).unwrap(), page, &[0xAB; 20]);
        assert_eq!(token.expose(), "jt_AQECAwQFBgcICaurq6urq6urq6urq6urq6urq6urDfo2j0ji4MWHqOIt");
        assert_eq!(address.jti(), "0ho6KVNVMkBJAAFh");
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_page_dies_soon_after_its_tokens() {
        for seconds in [1, 63, 64, 600, 3600, 86_400] {
            let lifetime = Lifetime::from_seconds(seconds);
            for expires in [1_000_000_007, 1_000_000_064] {
                let dead = Page::dead_second_for(expires, lifetime);
                assert!(dead >= expires && dead - expires <= u64::from(seconds) / 64);
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_made_is_known_and_ends_with_its_page(dead in 1u64..(1 << 40), number: u32, random: [u8; 20]) {
            let page = Page { dead_second: dead, number };
            let (token, address) = Token::make("jt", keys().get(KeyId(2)).unwrap(), page, &random);
            prop_assert!(token.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(check(token.expose(), dead - 1), Ok(address));
            prop_assert_eq!(check(token.expose(), dead), Err(TokenRefusal::Expired));
        }

        #[test]
        fn no_other_character_string_is_known(at in 0usize..59, by in 1u8..128, random: [u8; 20]) {
            let page = Page { dead_second: 2_000_000_000, number: 1 };
            let (token, _) = Token::make("jt", keys().get(KeyId(1)).unwrap(), page, &random);
            let mut bytes = token.expose().as_bytes().to_vec();
            bytes[at] = (bytes[at] ^ by) & 0x7F;
            let mutated = String::from_utf8(bytes).unwrap();
            prop_assume!(mutated != token.expose());
            prop_assert!(check(&mutated, 1).is_err());
        }

        #[test]
        fn any_text_is_refused(text in ".{0,80}") {
            prop_assert!(check(&text, 1).is_err());
        }
    }
}
