//! The secrets of one client: what is kept of each, until when it is good, and when it was last the right one.
//!
//! Invariant: what is registered is a value and never changes; when a secret was used is kept beside it, and outlives a reload.

use std::sync::atomic::{AtomicU64, Ordering};

use super::secret::{self, SECRETS_MAX, SecretHash};
use super::time::Timestamp;

/// One secret as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// What operators call it: no two of a client have the same.
    pub id: String,
    /// What is kept of it.
    pub hash: SecretHash,
    /// From then on it proves nothing.
    pub expires_at: Option<Timestamp>,
}

/// Which of a client's secrets was presented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches(u8);

/// When each of a client's secrets was last the right one, to the second.
#[derive(Debug, Default)]
pub struct SecretUses([AtomicU64; SECRETS_MAX]);

impl ClientSecret {
    /// A secret of this name that never expires.
    pub fn new(id: &str, hash: SecretHash) -> Self {
        Self { id: id.to_owned(), hash, expires_at: None }
    }

    /// Whether it proves nothing any more.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

impl From<SecretHash> for ClientSecret {
    /// A client's only secret needs no name of its own: it is called as the member that it stands in.
    fn from(hash: SecretHash) -> Self {
        Self::new("client_secret_hash", hash)
    }
}

impl Matches {
    /// Which of `secrets` is `presented`: the same work whatever they are and however many, also for none. Those with imported hashes are
    /// not among them.
    pub fn of(presented: &[u8], secrets: &[ClientSecret]) -> Self {
        Self(secret::matching(presented, secrets.iter().map(|secret| &secret.hash)))
    }

    /// This one too.
    pub(super) fn add(&mut self, place: usize) {
        if place < SECRETS_MAX {
            self.0 |= 1 << place;
        }
    }

    /// Whether there is one.
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// The first that is good at `now`. Read only where one of them ends at all.
    pub fn first_good(self, secrets: &[ClientSecret], now: impl Fn() -> Timestamp) -> Option<usize> {
        let good = |secret: &ClientSecret| secret.expires_at.is_none() || !secret.has_expired(now());
        (0..secrets.len().min(SECRETS_MAX)).find(|&place| self.0 & (1 << place) != 0 && good(&secrets[place]))
    }
}

impl SecretUses {
    /// The secret at this place was the right one at `now`. Writes once a second at most: workers share what they read.
    pub fn note(&self, place: usize, now: Timestamp) {
        let Some(last) = self.0.get(place) else { return };
        if last.load(Ordering::Relaxed) < now.unix_seconds() {
            last.fetch_max(now.unix_seconds(), Ordering::Relaxed);
        }
    }

    /// When the secret at this place was last the right one; `None`: not since this process began.
    pub fn last(&self, place: usize) -> Option<Timestamp> {
        let seconds = self.0.get(place)?.load(Ordering::Relaxed);
        (seconds > 0).then(|| Timestamp::from_unix_seconds(seconds))
    }

    /// Takes over what is known of the same secrets from before a reload.
    pub(super) fn inherit(&self, secrets: &[ClientSecret], before: &Self, secrets_before: &[ClientSecret]) {
        for (place, secret) in secrets.iter().enumerate() {
            let known = secrets_before.iter().position(|other| other.hash == secret.hash);
            if let Some(last) = known.and_then(|known| before.last(known)) {
                self.note(place, last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::Secret;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1000);

    fn secret(text: &str, expires_at: Option<u64>) -> ClientSecret {
        let hash = SecretHash::of(&Secret::new(text.as_bytes()));
        ClientSecret { expires_at: expires_at.map(Timestamp::from_unix_seconds), ..ClientSecret::new(text, hash) }
    }

    #[test]
    fn a17_an_expired_secret_is_the_right_one_and_proves_nothing() {
        let secrets = [secret("gone", Some(1000)), secret("going", Some(1001)), secret("staying", None)];
        let first_good = |text: &str| Matches::of(text.as_bytes(), &secrets).first_good(&secrets, || NOW);
        assert_eq!([first_good("gone"), first_good("going"), first_good("staying")], [None, Some(1), Some(2)]);
        assert!(Matches::of(b"gone", &secrets).any() && !Matches::of(b"other", &secrets).any());
    }

    #[test]
    fn the_same_secret_registered_twice_is_good_as_long_as_one_of_them_is() {
        let secrets = [secret("a", Some(1)), secret("a", None)];
        assert_eq!(Matches::of(b"a", &secrets).first_good(&secrets, || NOW), Some(1));
    }

    #[test]
    fn no_time_is_asked_for_secrets_that_never_end() {
        let secrets = [secret("a", None)];
        assert_eq!(Matches::of(b"a", &secrets).first_good(&secrets, || unreachable!()), Some(0));
    }

    #[test]
    fn uses_go_forward_and_follow_a_secret_to_another_place() {
        let (before, after) = (SecretUses::default(), SecretUses::default());
        before.note(1, NOW);
        before.note(1, Timestamp::from_unix_seconds(900));
        assert_eq!((before.last(0), before.last(1), before.last(9)), (None, Some(NOW), None));
        let (a, b, c) = (secret("a", None), secret("b", None), secret("c", None));
        after.inherit(&[b.clone(), c], &before, &[a, b]);
        assert_eq!((after.last(0), after.last(1)), (Some(NOW), None));
    }
}
