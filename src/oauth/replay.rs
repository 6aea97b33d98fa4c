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
        let mut context = Context::new(&SHA256);
        // Its length before it, so that no other pair has the same bytes.
        context.update(&(client_id.len() as u64).to_be_bytes());
        context.update(client_id.as_bytes());
        context.update(jti.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self { kind: UseKind::Assertion, digest, made_at }
    }
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
}
