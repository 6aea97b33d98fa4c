//! Client secrets that jeton makes: `jts_`, 256 random bits, and a checksum of both.
//!
//! The prefix is what scanners of leaked secrets look for (`jts_[A-Za-z0-9_-]{49}`), and by the checksum such a secret is known to be mistyped or cut
//! without anybody being asked. Neither protects it: that the bits do.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

const PREFIX: &str = "jts_";
/// Of base64url: 256 bits.
const RANDOM_CHARS: usize = 43;
/// Of SHA-256 over what stands before them; six characters.
const CHECKSUM_BYTES: usize = 4;

/// The secret with these random bits.
pub fn make(random: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str(PREFIX);
    BASE64URL_NOPAD.encode_append(random, &mut text);
    let checksum = checksum(text.as_bytes());
    text.push_str(&checksum);
    text
}

/// Whether it begins as a secret of ours does and is none: what is registered so is nobody's.
pub fn is_mistyped(secret: &[u8]) -> bool {
    secret.starts_with(PREFIX.as_bytes())
        && secret
            .split_at_checked(PREFIX.len() + RANDOM_CHARS)
            .is_none_or(|(before, after)| after != checksum(before).as_bytes())
}

fn checksum(text: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&digest(&SHA256, text).as_ref()[..CHECKSUM_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mistyped_cut_or_longer_is_known_to_be() {
        let secret = make(&[7; 32]);
        assert_eq!(secret.as_str(), "jts_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcnO6GEw");
        assert!(!is_mistyped(secret.as_bytes()) && !is_mistyped(b"a secret of somebody else") && !is_mistyped(b""));
        for at in PREFIX.len()..secret.len() {
            let mut other = secret.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert!(is_mistyped(&other) && is_mistyped(&secret.as_bytes()[..at]), "{at}");
        }
        assert!(is_mistyped(format!("{}A", secret.as_str()).as_bytes()));
    }
}
