//! When each place is asked next.
//!
//! Invariant: a place that is named is due at some time or under way, never both and never neither; one that is no longer named is
//! forgotten.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::oauth::client::Clients;
use crate::oauth::key_place::KeyPlace;
use crate::oauth::remote_keys::{FLOOR, RemoteKeys};

/// All places, and the order in which they come due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    entries: HashMap<KeyPlace, Entry>,
    due: BTreeSet<(Instant, u64)>,
    places: HashMap<u64, KeyPlace>,
    /// The registry that named them.
    followed: Option<Arc<Clients>>,
    /// The number of the next place that is new.
    number: u64,
    /// Places whose last fetch failed.
    failing: usize,
}

#[derive(Debug)]
struct Entry {
    keys: Arc<RemoteKeys>,
    number: u64,
    /// `None`: under way.
    due: Option<Instant>,
    /// When a fetch last began.
    begun: Option<Instant>,
    /// Fetches that failed since one did not.
    failures: u32,
}

impl Schedule {
    /// Takes up the places that these clients name and drops those that they do not.
    pub(super) fn follow(&mut self, clients: &Arc<Clients>, now: Instant) {
        if self.followed.as_ref().is_some_and(|followed| Arc::ptr_eq(followed, clients)) {
            return;
        }
        let gone: Vec<KeyPlace> =
            self.entries.keys().filter(|place| clients.keys_at(place).is_none()).cloned().collect();
        for place in gone {
            let Some(entry) = self.entries.remove(&place) else { continue };
            self.places.remove(&entry.number);
            entry.due.map(|due| self.due.remove(&(due, entry.number)));
            self.failing -= usize::from(entry.failures > 0);
        }
        for keys in clients.remote_keys() {
            match self.entries.get_mut(keys.place()) {
                Some(entry) => entry.keys = keys.clone(),
                None => {
                    let number = self.number;
                    self.number += 1;
                    let entry = Entry { keys: keys.clone(), number, due: Some(now), begun: None, failures: 0 };
                    self.due.insert((now, number));
                    self.places.insert(number, keys.place().clone());
                    self.entries.insert(keys.place().clone(), entry);
                }
            }
        }
        self.followed = Some(clients.clone());
    }

    /// The next that is due at `now`; it is under way from then on.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Arc<RemoteKeys>> {
        let (due, number) = *self.due.first()?;
        if due > now {
            return None;
        }
        self.due.pop_first();
        let entry = self.entries.get_mut(self.places.get(&number)?)?;
        entry.due = None;
        entry.begun = Some(now);
        Some(entry.keys.clone())
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A fetch brought keys.
    pub(super) fn came(&mut self, keys: &RemoteKeys, begun: Instant, next: Instant) {
        self.ended(keys, begun, next, |_| 0);
    }

    /// A fetch failed.
    pub(super) fn failed(&mut self, keys: &RemoteKeys, begun: Instant, next: Instant) {
        self.ended(keys, begun, next, |failures| failures.saturating_add(1));
    }

    fn ended(&mut self, keys: &RemoteKeys, begun: Instant, next: Instant, failures: impl FnOnce(u32) -> u32) {
        // It may have been dropped meanwhile, and taken up again: then this is not its fetch.
        let Some(entry) = self.entries.get_mut(keys.place()).filter(|entry| entry.begun == Some(begun)) else { return };
        self.failing -= usize::from(entry.failures > 0);
        entry.failures = failures(entry.failures);
        self.failing += usize::from(entry.failures > 0);
        self.put(keys.place(), next);
    }

    /// How often in a row a place has failed.
    pub(super) fn failures(&self, keys: &RemoteKeys) -> u32 {
        self.entries.get(keys.place()).map_or(0, |entry| entry.failures)
    }

    /// Whether the last fetch of each was a good one.
    pub(super) fn all_are_well(&self) -> bool {
        self.failing == 0
    }

    /// A key is wanted that these do not hold.
    pub(super) fn wanted(&mut self, keys: &RemoteKeys, now: Instant) {
        self.put_earlier(&keys.place().clone(), now);
    }

    /// All are wanted.
    pub(super) fn all(&mut self, now: Instant) {
        let places: Vec<KeyPlace> = self.entries.keys().cloned().collect();
        places.iter().for_each(|place| self.put_earlier(place, now));
    }

    /// What was under way is not: it is due as soon as it may be.
    pub(super) fn nothing_is_under_way(&mut self, now: Instant) {
        let lost: Vec<KeyPlace> =
            self.entries.values().filter(|entry| entry.due.is_none()).map(|entry| entry.keys.place().clone()).collect();
        lost.iter().for_each(|place| self.put_earlier_or_lost(place, now));
    }

    /// Due now, or as soon as the floor lets it be; one that is under way is left alone.
    fn put_earlier(&mut self, place: &KeyPlace, now: Instant) {
        let Some(due) = self.entries.get(place).and_then(|entry| entry.due) else { return };
        let soonest = self.soonest(place, now);
        if soonest < due {
            self.put(place, soonest);
        }
    }

    fn put_earlier_or_lost(&mut self, place: &KeyPlace, now: Instant) {
        let soonest = self.soonest(place, now);
        self.put(place, soonest);
    }

    fn soonest(&self, place: &KeyPlace, now: Instant) -> Instant {
        let begun = self.entries.get(place).and_then(|entry| entry.begun);
        begun.map_or(now, |begun| now.max(begun + FLOOR))
    }

    fn put(&mut self, place: &KeyPlace, moment: Instant) {
        let Some(entry) = self.entries.get_mut(place) else { return };
        if let Some(before) = entry.due.replace(moment) {
            self.due.remove(&(before, entry.number));
        }
        self.due.insert((moment, entry.number));
    }
}
