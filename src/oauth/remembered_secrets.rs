//! Which secrets with a slow hash were right before, in this process: so that the next request with one costs microseconds.
//!
//! Invariant: what is remembered is worthless outside this process. It is a tag under a key that is drawn at start and never leaves it, bound
//! to the client and to the hash, so that it proves nothing for another, nor for a hash that took its place.

use std::fmt;
use std::sync::OnceLock;

use ring::hmac;
use subtle::ConstantTimeEq;

use super::client_id::ClientId;
use super::client_secret::{ClientSecret, Matches};
use super::imported_hash::ImportedHash;
use super::secret::SecretHash;

/// Makes tags of secrets.
pub struct MemoryKey(hmac::Key);

/// Equal where what it was made of is; tells nothing of it without the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 32]);

/// What is remembered of a secret.
#[derive(Clone, Copy)]
struct Tag(Mark);

/// What is known of the secrets of one client that have slow hashes, by their places; of others there is nothing to remember.
#[derive(Debug, Default)]
pub struct RememberedSecrets(Box<[OnceLock<Tag>]>);

/// What memory says of a presented secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recollection {
    /// It was right before, or it cannot be: every slow hash has its secret, and this is none of them. Also where there are no slow hashes.
    Known(Matches),
    /// Nobody can tell before it is verified.
    Unknown,
}

impl MemoryKey {
    /// A key of these random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The mark of these.
    pub fn mark<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Mark {
        let mut context = hmac::Context::with_key(&self.0);
        // Each with its length before it: no two of them run into one text.
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        Mark(mark)
    }

    fn tag(&self, client_id: &ClientId, hash: &ImportedHash, secret: &[u8]) -> Tag {
        Tag(self.mark([client_id.as_str().as_bytes(), hash.expose().as_bytes(), secret]))
    }
}

impl RememberedSecrets {
    /// Room for these.
    pub(super) fn of(secrets: &[ClientSecret]) -> Self {
        let any_slow = secrets.iter().any(|secret| matches!(secret.hash, SecretHash::Imported(_)));
        Self(if any_slow { secrets.iter().map(|_| OnceLock::new()).collect() } else { Box::default() })
    }

    /// Whether any of them has a slow hash.
    pub(super) fn any_slow(&self) -> bool {
        !self.0.is_empty()
    }

    /// What memory says of `secret`.
    pub(super) fn recall(
        &self,
        key: &MemoryKey,
        client_id: &ClientId,
        secrets: &[ClientSecret],
        secret: &[u8],
    ) -> Recollection {
        let (mut matches, mut all_known) = (Matches::default(), true);
        for (place, remembered, hash) in self.slow(secrets) {
            match remembered.get() {
                Some(tag) if tag.is(&key.tag(client_id, hash, secret)) => matches.add(place),
                Some(_) => {}
                None => all_known = false,
            }
        }
        if matches.any() || all_known { Recollection::Known(matches) } else { Recollection::Unknown }
    }

    /// Compares `secret` with every slow hash whose secret is not known, and remembers it where it is right. Takes as long as all of them.
    pub(super) fn verify(
        &self,
        key: &MemoryKey,
        client_id: &ClientId,
        secrets: &[ClientSecret],
        secret: &[u8],
    ) -> Matches {
        let mut matches = Matches::default();
        for (place, remembered, hash) in self.slow(secrets) {
            let is_right = match remembered.get() {
                // Somebody was faster.
                Some(tag) => tag.is(&key.tag(client_id, hash, secret)),
                None => hash.verify(secret),
            };
            if is_right {
                remembered.get_or_init(|| key.tag(client_id, hash, secret));
                matches.add(place);
            }
        }
        matches
    }

    /// Takes over what is known of the same hashes from before a reload.
    pub(super) fn inherit(&self, secrets: &[ClientSecret], before: &Self, secrets_before: &[ClientSecret]) {
        for (_, remembered, hash) in self.slow(secrets) {
            let known = before.slow(secrets_before).find(|(_, _, other)| *other == hash);
            if let Some(tag) = known.and_then(|(_, remembered, _)| remembered.get()) {
                remembered.get_or_init(|| *tag);
            }
        }
    }

    fn slow<'a>(
        &'a self,
        secrets: &'a [ClientSecret],
    ) -> impl Iterator<Item = (usize, &'a OnceLock<Tag>, &'a ImportedHash)> {
        self.0.iter().zip(secrets).enumerate().filter_map(|(place, (remembered, secret))| match &secret.hash {
            SecretHash::Imported(hash) => Some((place, remembered, hash.as_ref())),
            SecretHash::Sha256(_) => None,
        })
    }
}

impl Tag {
    fn is(&self, other: &Self) -> bool {
        self.0.0.ct_eq(&other.0.0).into()
    }
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryKey(…)")
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark(…)")
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::Secret;
    use super::*;

    /// bcrypt at its lowest cost, of `imported-secret`.
    const OF_IMPORTED: &str = "$2b$04$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";
    /// The same of another secret: 72 times `a`.
    const OF_ANOTHER: &str = "$2b$04$tmTaPab/PbS15z.kzGNKyONFyZIlxjAKyg/h/1L0bFKaZqWP7YJES";
    const SECRET: &[u8] = b"imported-secret";

    fn secrets(hashes: &[&str]) -> Vec<ClientSecret> {
        hashes.iter().map(|text| SecretHash::parse(text).unwrap().into()).collect()
    }

    fn recall(of: &RememberedSecrets, id: &str, secrets: &[ClientSecret], secret: &[u8]) -> Option<Vec<usize>> {
        let recollection = of.recall(&MemoryKey::new(&[7; 32]), &ClientId::new(id), secrets, secret);
        match recollection {
            Recollection::Known(matches) => {
                Some((0..4).filter(|&place| matches.first_good(secrets, || unreachable!()) == Some(place)).collect())
            }
            Recollection::Unknown => None,
        }
    }

    fn verify(of: &RememberedSecrets, id: &str, secrets: &[ClientSecret], secret: &[u8]) -> bool {
        of.verify(&MemoryKey::new(&[7; 32]), &ClientId::new(id), secrets, secret).any()
    }

    #[test]
    fn a_secret_is_known_once_it_was_right_and_then_every_other_is_wrong() {
        let secrets = secrets(&[OF_IMPORTED]);
        let remembered = RememberedSecrets::of(&secrets);
        assert_eq!(recall(&remembered, "a", &secrets, SECRET), None);
        assert!(!verify(&remembered, "a", &secrets, b"wrong"));
        assert_eq!(recall(&remembered, "a", &secrets, b"wrong"), None, "what is wrong is not remembered");
        assert!(verify(&remembered, "a", &secrets, SECRET));
        assert_eq!(recall(&remembered, "a", &secrets, SECRET), Some(vec![0]));
        assert_eq!(recall(&remembered, "a", &secrets, b"wrong"), Some(vec![]));
        assert_eq!(recall(&remembered, "b", &secrets, SECRET), Some(vec![]), "it is bound to its client");
    }

    #[test]
    fn of_several_each_is_known_for_itself() {
        let fast = SecretHash::of(&Secret::new(b"fast")).expose();
        let secrets = secrets(&[OF_ANOTHER, &fast, OF_IMPORTED]);
        let remembered = RememberedSecrets::of(&secrets);
        assert!(verify(&remembered, "a", &secrets, SECRET));
        assert_eq!(recall(&remembered, "a", &secrets, SECRET), Some(vec![2]));
        assert_eq!(recall(&remembered, "a", &secrets, &[b'a'; 72]), None);
        assert!(verify(&remembered, "a", &secrets, &[b'a'; 72]));
        assert_eq!(recall(&remembered, "a", &secrets, &[b'a'; 72]), Some(vec![0]));
        assert_eq!(recall(&remembered, "a", &secrets, b"fast"), Some(vec![]), "that one is not looked for here");
    }

    #[test]
    fn where_no_hash_is_slow_nothing_is_kept_and_nothing_is_open() {
        let secrets = secrets(&[&SecretHash::of(&Secret::new(b"fast")).expose()]);
        let remembered = RememberedSecrets::of(&secrets);
        assert!(!remembered.any_slow());
        assert_eq!(recall(&remembered, "a", &secrets, b"fast"), Some(vec![]));
    }

    #[test]
    fn what_is_known_follows_its_hash_over_a_reload_and_no_other() {
        let before = secrets(&[OF_IMPORTED]);
        let known = RememberedSecrets::of(&before);
        assert!(verify(&known, "a", &before, SECRET));
        let after = secrets(&[OF_ANOTHER, OF_IMPORTED]);
        let remembered = RememberedSecrets::of(&after);
        remembered.inherit(&after, &known, &before);
        assert_eq!(recall(&remembered, "a", &after, SECRET), Some(vec![1]));
        let replaced = secrets(&[OF_ANOTHER]);
        let remembered = RememberedSecrets::of(&replaced);
        remembered.inherit(&replaced, &known, &before);
        assert_eq!(recall(&remembered, "a", &replaced, SECRET), None);
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let key = MemoryKey::new(&[7; 32]);
        let tag = key.tag(&ClientId::new("a"), &ImportedHash::parse(OF_IMPORTED).unwrap(), SECRET);
        assert_eq!(format!("{key:?} {tag:?}"), "MemoryKey(…) Tag(…)");
    }
}
