//! What is good for one use: a client's assertion, a proof of possession. Here is how it is named; that it is used once is the
//! store's to see to.
//!
//! Invariant: the name is a plain digest, under no key that rotates: two nodes must give one thing one name.

use ring::digest::{Context, SHA256};

use super::time::Timestamp;

/// Bytes of a `jti`, at most.
pub const JTI_BYTES_MAX: usize = 128;

/// How long a use is remembered: longer than anything is good for that is used once.
pub const REMEMBERED_SECONDS: u64 = 600;

/// Clocks of clients may be off by so much, ours among each other too.
pub const SKEW_SECONDS: u64 = 5;

/// What is used once. The names of the kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UseKind {
    /// A client's assertion (RFC 7523).
    Assertion,
    /// A proof of possession (RFC 9449).
    Proof,
}

/// One use of something that is good for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleUse {
    /// Of what.
    pub kind: UseKind,
    /// Names it.
    pub digest: [u8; 32],
    /// When it was made, as it says itself. A store that began later cannot know whether it was used before.
    pub made_at: Timestamp,
}

/// What became of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the first.
    First,
    /// It was used before.
    Used,
}

impl SingleUse {
    /// The use of an assertion: named by client and `jti`, since two clients may happen on one.
    pub fn of_assertion(client_id: &str, jti: &str, made_at: Timestamp) -> Self {
        // Its length before it, so that no other pair has the same bytes.
        let digest = digest(&[&length(client_id), client_id.as_bytes(), jti.as_bytes()]);
        Self { kind: UseKind::Assertion, digest, made_at }
    }

    /// The use of a proof: named by its key, its `jti` and the URL that it is for, in its normal form. "In the context of the target
    /// URI, servers can store the jti value of each DPoP proof" (RFC 9449 section 11.1).
    pub fn of_proof(jkt: &[u8; 32], jti: &str, htu: &str, made_at: Timestamp) -> Self {
        let digest = digest(&[jkt, &length(jti), jti.as_bytes(), htu.as_bytes()]);
        Self { kind: UseKind::Proof, digest, made_at }
    }
}

fn length(text: &str) -> [u8; 8] {
    (text.len() as u64).to_be_bytes()
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn w09_w10_client_and_jti_make_the_name() {
        let at = Timestamp::from_unix_seconds(1);
        let digest = |client_id, jti| SingleUse::of_assertion(client_id, jti, at).digest;
        // `printf '\0\0\0\0\0\0\0\7billingabc' | sha256sum`
        let expected = "29d62b0a";
        assert!(HEXLOWER.encode(&digest("billing", "abc")).starts_with(expected));
        assert_ne!(digest("billing", "abc"), digest("billinga", "bc"));
        assert_ne!(digest("billing", "abc"), digest("orders", "abc"));
    }

    #[test]
    fn d05_key_jti_and_url_make_the_name() {
        let at = Timestamp::from_unix_seconds(1);
        let digest = |key: u8, jti, htu| SingleUse::of_proof(&[key; 32], jti, htu, at).digest;
        // `(printf 'k%.0s' {1..32}; printf '\0\0\0\0\0\0\0\3abchttps://a/') | sha256sum`
        assert!(HEXLOWER.encode(&digest(b'k', "abc", "https://a/")).starts_with("17d675b3"));
        assert_ne!(digest(1, "abc", "https://a/"), digest(2, "abc", "https://a/"));
        assert_ne!(digest(1, "abc", "https://a/"), digest(1, "abch", "ttps://a/"));
        assert_ne!(digest(1, "abc", "https://a/"), digest(1, "abc", "https://b/"));
    }
}
