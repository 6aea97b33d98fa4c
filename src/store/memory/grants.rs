//! Grants, each once: a request that asks for something in particular makes a grant of its own, equal to many before it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::oauth::grant::Grant;
use crate::oauth::token::Page;
use crate::store::NewRecord;

use super::shard::Entry;

/// Sweeps after which all grants are looked at, if their number did not call for it before.
const SWEEPS_A_LOOK: u32 = 60;
/// Below so many grants their number calls for nothing.
const KEPT_MIN: usize = 1024;

/// All grants that entries hold, and some that none holds any more.
#[derive(Debug, Default)]
pub(super) struct Grants {
    known: HashSet<Arc<Grant>>,
    /// How many were in use at the last look.
    used: usize,
    sweeps: u32,
}

impl Grants {
    /// The records as entries that share equal grants.
    pub(super) fn share_all(&mut self, batch: Vec<NewRecord>) -> Vec<(Page, Entry)> {
        let mut last: Option<(Arc<Grant>, Arc<Grant>)> = None;
        let entry = |NewRecord { address, record }: NewRecord| {
            // Most batches are of one client that asks for the same each time, which is one allocation for all of them.
            let shared = match &last {
                Some((given, shared)) if Arc::ptr_eq(given, &record.grant) => Arc::clone(shared),
                _ => self.share(&record.grant),
            };
            last = Some((Arc::clone(&record.grant), Arc::clone(&shared)));
            (address.page, Entry::new(&address, record, shared))
        };
        batch.into_iter().map(entry).collect()
    }

    fn share(&mut self, grant: &Arc<Grant>) -> Arc<Grant> {
        if let Some(known) = self.known.get(grant) {
            return Arc::clone(known);
        }
        self.known.insert(Arc::clone(grant));
        Arc::clone(grant)
    }

    /// Forgets grants that are held here alone. Looks at them when they have doubled, and once in a while.
    pub(super) fn forget_unused(&mut self) {
        self.sweeps += 1;
        if self.known.len() >= (2 * self.used).max(KEPT_MIN) || self.sweeps >= SWEEPS_A_LOOK {
            self.known.retain(|grant| Arc::strong_count(grant) > 1);
            self.used = self.known.len();
            self.sweeps = 0;
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
