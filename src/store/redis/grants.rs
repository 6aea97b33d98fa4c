//! The grants that a worker knows: those it has seen, so that a lookup needs no second trip, and those it has written, so that a
//! mint sends each once.
//!
//! Invariants: at most [`GRANTS_MAX`] are known for reading and as many for writing; a grant counts as written for half the
//! longest lifetime of a token, on one connection, and only until the store was seen without one that it should have.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use ring::hmac;
use tokio::time::Instant;

use super::grant_seal::{self, GrantId};
use super::slot_map::Tag;
use crate::oauth::grant::Grant;
use crate::oauth::keys::KeyId;

/// Grants known at once, each way.
const GRANTS_MAX: usize = 100_000;

/// A grant under the service key that seals it, and where in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct GrantUnderKey {
    key_id: KeyId,
    tag: Tag,
    grant: Arc<Grant>,
}

/// Where a grant is written: on which of the worker's connections, and in a cluster under which tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) connection: u64,
    pub(super) tag: Tag,
}

#[derive(Clone, Copy, Debug)]
struct Named {
    id: GrantId,
    written: Option<Written>,
}

/// When, and on which of the worker's connections.
#[derive(Clone, Copy, Debug)]
struct Written {
    at: Instant,
    connection: u64,
    loss: u64,
}

/// What a worker knows of grants.
#[derive(Debug)]
pub(super) struct Grants {
    seen: Generations<(KeyId, GrantId), Arc<Grant>>,
    named: Generations<GrantUnderKey, Named>,
    renew_after: Duration,
    losses: u64,
}

impl Grants {
    pub(super) fn new(ttl_seconds_max: u32) -> Self {
        Self {
            seen: Generations::new(GRANTS_MAX),
            named: Generations::new(GRANTS_MAX),
            renew_after: Duration::from_secs(u64::from(ttl_seconds_max)) / 2,
            losses: 0,
        }
    }

    /// The grant's id, and whether the store is known to have it.
    pub(super) fn name(
        &mut self,
        naming: &hmac::Key,
        key_id: KeyId,
        grant: &Arc<Grant>,
        home: Home,
        now: Instant,
    ) -> (GrantId, bool) {
        let key = GrantUnderKey { key_id, tag: home.tag, grant: Arc::clone(grant) };
        if let Some(named) = self.named.get(&key) {
            let fresh = |written: Written| {
                written.connection == home.connection
                    && written.loss == self.losses
                    && now < written.at + self.renew_after
            };
            return (named.id, named.written.is_some_and(fresh));
        }
        let id = grant_seal::name(naming, key_id, grant.canonical());
        self.named.insert(key, Named { id, written: None });
        self.seen.insert((key_id, id), Arc::clone(grant));
        (id, false)
    }

    /// Notes that the store has the grant since `at`.
    pub(super) fn wrote(&mut self, key_id: KeyId, id: GrantId, grant: &Arc<Grant>, home: Home, at: Instant) {
        let written = Some(Written { at, connection: home.connection, loss: self.losses });
        self.named.insert(GrantUnderKey { key_id, tag: home.tag, grant: Arc::clone(grant) }, Named { id, written });
    }

    /// The store lost a grant that it had: who knows which others.
    pub(super) fn distrust(&mut self) {
        self.losses += 1;
    }

    /// A grant seen before.
    pub(super) fn seen(&mut self, key_id: KeyId, id: GrantId) -> Option<Arc<Grant>> {
        self.seen.get(&(key_id, id)).cloned()
    }

    /// Keeps a grant that was read.
    pub(super) fn see(&mut self, key_id: KeyId, id: GrantId, grant: Arc<Grant>) {
        self.seen.insert((key_id, id), grant);
    }
}

/// A bounded map that forgets what was not used for longest, roughly: two halves, and when the young one is full it becomes the
/// old one, whose own are forgotten unless they were used meanwhile.
#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (max / 2).max(1) }
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get(key)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::oauth::client::ClientId;
    use crate::oauth::grant::GrantParts;
    use crate::oauth::scope::Scope;

    fn grant(client: &str) -> Arc<Grant> {
        Grant::new(GrantParts {
            audience: vec![],
            claims: Map::new(),
            client_id: ClientId::new(client),
            scope: Scope::default(),
            subject: client.into(),
        })
    }

    #[test]
    fn a_grant_is_written_again_on_another_connection_after_a_loss_and_in_time() {
        let naming = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let mut grants = Grants::new(100);
        let start = Instant::now();
        let written = |grants: &mut Grants, connection, after| {
            let now = start + Duration::from_secs(after);
            let home = Home { connection, tag: Tag(7) };
            let (id, known) = grants.name(&naming, KeyId(1), &grant("a"), home, now);
            grants.wrote(KeyId(1), id, &grant("a"), home, now);
            known
        };
        assert!(!written(&mut grants, 1, 0));
        assert!(written(&mut grants, 1, 49));
        assert!(!written(&mut grants, 1, 99));
        assert!(!written(&mut grants, 2, 99));
        grants.distrust();
        assert!(!written(&mut grants, 2, 99));
        assert!(written(&mut grants, 2, 99));
        let home = Home { connection: 2, tag: Tag(7) };
        assert!(grants.name(&naming, KeyId(1), &grant("a"), home, start).1);
        assert!(!grants.name(&naming, KeyId(1), &grant("a"), Home { tag: Tag(8), ..home }, start).1);
        let (id, known) = grants.name(&naming, KeyId(2), &grant("a"), home, start);
        assert!(!known && grants.seen(KeyId(2), id).is_some() && grants.seen(KeyId(3), id).is_none());
    }

    #[test]
    fn the_used_stay_and_the_bound_holds() {
        let mut map = Generations::new(10);
        for key in 0..1000 {
            map.insert(key, key);
            assert!(map.young.len() + map.old.len() <= 10);
            assert_eq!(map.get(&0), Some(&0));
        }
        assert_eq!(map.get(&500), None);
    }
}
