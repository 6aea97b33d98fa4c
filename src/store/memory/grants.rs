//! Grants, each once: a request that asks for something in particular makes a grant of its own, equal to many before it. And how many tokens
//! each client has.
//!
//! Invariant: a client's count is that of its entries. Each holds its place for as long as it is anywhere, so nothing that takes one out can forget to
//! count it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashMap;

use crate::oauth::client_id::ClientId;
use crate::oauth::grant::Grant;
use crate::store::NewRecord;

/// Sweeps after which all grants are looked at, if their number did not call for it before.
const SWEEPS_A_LOOK: u32 = 60;
/// Below so many grants their number calls for nothing.
const KEPT_MIN: usize = 1024;

/// All grants that entries hold, and some that none holds any more.
#[derive(Debug, Default)]
pub(super) struct Grants {
    known: HashMap<Arc<Grant>, Arc<Held>>,
    /// Tokens of each client, whatever their grant.
    tokens: HashMap<ClientId, Arc<AtomicU64>>,
    /// How many were in use at the last look.
    used: usize,
    sweeps: u32,
}

/// A grant, and the count of its client's tokens.
#[derive(Debug)]
pub(super) struct Held {
    grant: Arc<Grant>,
    tokens: Arc<AtomicU64>,
}

/// The place of one token among those of its client, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Held>);

impl Place {
    /// One more, if there are fewer than `max`.
    pub(super) fn take(held: &Arc<Held>, max: u64) -> Option<Self> {
        let more = |tokens: u64| (tokens < max).then(|| tokens + 1);
        held.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(held)))
    }

    /// The grant of its token.
    pub(super) fn grant(&self) -> &Arc<Grant> {
        &self.0.grant
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.tokens.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Grants {
    /// The records, each with what equal grants share.
    pub(super) fn share_all(&mut self, batch: Vec<NewRecord>) -> Vec<(NewRecord, Arc<Held>)> {
        let mut last: Option<(Arc<Grant>, Arc<Held>)> = None;
        let shared = |new: NewRecord| {
            let grant = &new.record.grant;
            // Most batches are of one client that asks for the same each time, which is one allocation for all of them.
            let held = match &last {
                Some((given, held)) if Arc::ptr_eq(given, grant) => Arc::clone(held),
                _ => self.share(grant),
            };
            last = Some((Arc::clone(grant), Arc::clone(&held)));
            (new, held)
        };
        batch.into_iter().map(shared).collect()
    }

    fn share(&mut self, grant: &Arc<Grant>) -> Arc<Held> {
        if let Some(known) = self.known.get(grant) {
            return Arc::clone(known);
        }
        let tokens = Arc::clone(self.tokens.entry(grant.client_id().clone()).or_default());
        let held = Arc::new(Held { grant: Arc::clone(grant), tokens });
        self.known.insert(Arc::clone(grant), Arc::clone(&held));
        held
    }

    /// Forgets grants that are held here alone. Looks at them when they have doubled, and once in a while.
    pub(super) fn forget_unused(&mut self) {
        self.sweeps += 1;
        if self.known.len() >= (2 * self.used).max(KEPT_MIN) || self.sweeps >= SWEEPS_A_LOOK {
            self.known.retain(|_, held| Arc::strong_count(held) > 1);
            // Whoever has no grant here has no token.
            self.tokens.retain(|_, tokens| Arc::strong_count(tokens) > 1);
            self.used = self.known.len();
            self.sweeps = 0;
        }
    }

    /// Tokens of this client.
    #[cfg(test)]
    pub(super) fn tokens_of(&self, client_id: &str) -> u64 {
        self.tokens.get(&ClientId::new(client_id)).map_or(0, |tokens| tokens.load(Ordering::Relaxed))
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
