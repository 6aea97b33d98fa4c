//! How many entries of a file still matter, by the seconds in which their pages end.

use std::collections::BTreeMap;

use super::entry::{self, SealedEntry};

/// Entries by the end of their pages.
#[derive(Debug, Default)]
pub(super) struct Lives {
    by_end: BTreeMap<u64, u64>,
    live: u64,
}

impl Lives {
    /// One more; what has not the form of an entry is none.
    pub(super) fn count(&mut self, sealed: &SealedEntry) {
        if let Some(place) = entry::place_of(sealed) {
            *self.by_end.entry(place.page.dead_second).or_default() += 1;
            self.live += 1;
        }
    }

    /// How many still matter.
    pub(super) fn live(&mut self, lasts: impl Fn(u64) -> bool) -> u64 {
        while let Some(first) = self.by_end.first_entry().filter(|first| !lasts(*first.key())) {
            self.live -= first.remove();
        }
        self.live
    }
}
