//! A part of the store's pages, in the order of their end.
//!
//! Invariant: no page is empty; a token stands at most once in its page. What a token costs is its [`Entry`] and a share of its
//! page, together about 50 bytes where pages are full.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::oauth::keys::KeyId;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Confirmation, Page, TokenAddress, TokenRecord};

use super::grants::Place;
use crate::store::open_pages::PAGE_TOKENS_MAX;

/// A page grows by so many entries: allocating exactly what is there would copy too often, doubling waste a third.
const GROWTH: usize = 4;

/// A token's record, as small as it can be: 40 bytes.
#[derive(Debug)]
pub(super) struct Entry {
    field: [u8; 8],
    issued_at: Timestamp,
    place: Place,
    confirmation: Option<Box<Confirmation>>,
    lifetime: Lifetime,
    key_id: KeyId,
}

/// Some of the store's pages, by their end and number.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pages: BTreeMap<Page, Vec<Entry>>,
}

impl Entry {
    /// An entry that holds the grant of its place instead of the equal one of the record.
    pub(super) fn new(address: &TokenAddress, record: TokenRecord, place: Place) -> Self {
        let TokenRecord { issued_at, lifetime, grant: _, confirmation } = record;
        let confirmation = confirmation.map(Box::new);
        Self { field: address.field(), issued_at, place, confirmation, lifetime, key_id: address.key_id }
    }

    /// The record as it was saved.
    pub(super) fn to_record(&self) -> TokenRecord {
        TokenRecord {
            issued_at: self.issued_at,
            lifetime: self.lifetime,
            grant: Arc::clone(self.place.grant()),
            confirmation: self.confirmation.as_deref().copied(),
        }
    }

    fn same_place(&self, field: [u8; 8], key_id: KeyId) -> bool {
        self.field == field && self.key_id == key_id
    }
}

impl Shard {
    /// Puts an entry into its page; whether it is one more than before.
    pub(super) fn put(&mut self, page: Page, entry: Entry) -> bool {
        let entries = self.pages.entry(page).or_default();
        if let Some(known) = entries.iter_mut().find(|known| known.same_place(entry.field, entry.key_id)) {
            *known = entry;
            return false;
        }
        if entries.len() == entries.capacity() {
            let left = (PAGE_TOKENS_MAX as usize).saturating_sub(entries.len());
            entries.reserve_exact(if left == 0 { GROWTH } else { left.min(GROWTH) });
        }
        entries.push(entry);
        true
    }

    /// The entry at this address.
    pub(super) fn get(&self, address: &TokenAddress) -> Option<&Entry> {
        let field = address.field();
        self.pages.get(&address.page)?.iter().find(|entry| entry.same_place(field, address.key_id))
    }

    /// Takes out the entry at this address.
    pub(super) fn remove(&mut self, address: &TokenAddress) -> Option<Entry> {
        let field = address.field();
        let entries = self.pages.get_mut(&address.page)?;
        let place = entries.iter().position(|entry| entry.same_place(field, address.key_id))?;
        let entry = entries.swap_remove(place);
        // Else a client that mints and revokes all day would leave pages behind that nothing counts.
        if entries.is_empty() {
            self.pages.remove(&address.page);
        }
        Some(entry)
    }

    /// Whether there is no page.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Takes out pages that are dead at `now`, at most so many.
    pub(super) fn take_dead(&mut self, now: Timestamp, pages_max: usize) -> Vec<Vec<Entry>> {
        let mut dead = Vec::new();
        while dead.len() < pages_max
            && let Some(first) = self.pages.first_entry()
            && first.key().dead_second <= now.unix_seconds()
        {
            dead.push(first.remove());
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::Entry;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 40);
    }
}
