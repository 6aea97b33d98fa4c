//! What the primary really held, and when: the one witness that knows.
//!
//! Invariant: whatever changes the data that the service is to believe is noted here at the moment it happens: what was written or
//! deleted by a command, what ended by the server's clock, and what a restart or a failover took away or brought back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::keyspace::{Effect, Field, Key};
use crate::simulation::stage::Micros;

/// A record of a token: its page's key and its field.
pub(in crate::simulation) type Place = (Key, Field);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) enum Change {
    Stored,
    /// By `HDEL`.
    Deleted,
    /// It ended by the server's clock, or was flushed, or Redis lost it with its last writes.
    Lost,
    /// A restart or a failover undid its deletion.
    Revived,
}

/// A second to the next look at the role, a quarter to its answer, and what the timers are late.
const STALE_MAX: Micros = 1_300_000;

#[derive(Debug, Default)]
pub(in crate::simulation) struct Truth {
    there: RefCell<BTreeSet<Place>>,
    changes: RefCell<BTreeMap<Place, Vec<(Micros, Change)>>>,
    stale_reads: RefCell<BTreeMap<Place, Vec<Micros>>>,
}

impl Truth {
    /// Notes what commands on the primary did.
    pub(super) fn note<'a>(&self, effects: impl Iterator<Item = &'a Effect>, at: Micros) {
        for effect in effects {
            match effect {
                Effect::SetField { key, field, .. } => self.set((key.clone(), field.clone()), at, Change::Stored),
                Effect::DeleteField { key, field } => self.unset(&(key.clone(), field.clone()), at, Change::Deleted),
                Effect::Delete { key } | Effect::Expired { key } | Effect::SetText { key, .. } => {
                    self.lose(|place| place.0 == *key, at);
                }
                Effect::Flush => {
                    self.lose(|_| true, at);
                }
                Effect::ExpireAt { .. } | Effect::Append { .. } | Effect::TrimStream { .. } => {}
            }
        }
    }

    /// Another state has taken the place of the one before: from a log with its end lost, or from a replica.
    pub(super) fn replace(&self, now_there: &BTreeSet<Place>, at: Micros) -> (usize, usize) {
        let revived: Vec<Place> = now_there.difference(&self.there.borrow()).cloned().collect();
        let revived_count = revived.len();
        revived.into_iter().for_each(|place| self.set(place, at, Change::Revived));
        (self.lose(|place| !now_there.contains(place), at), revived_count)
    }

    /// A server that has been no primary for `since` was asked for this record. Only of one that stopped to be it a moment ago is the
    /// service excused: it looks at the role every second.
    pub(super) fn stale_read(&self, place: Place, at: Micros, since: Micros) {
        if since <= STALE_MAX {
            self.stale_reads.borrow_mut().entry(place).or_default().push(at);
        }
    }

    fn lose(&self, which: impl Fn(&Place) -> bool, at: Micros) -> usize {
        let lost: Vec<Place> = self.there.borrow().iter().filter(|place| which(place)).cloned().collect();
        lost.iter().for_each(|place| self.unset(place, at, Change::Lost));
        lost.len()
    }

    fn set(&self, place: Place, at: Micros, change: Change) {
        if self.there.borrow_mut().insert(place.clone()) {
            self.changes.borrow_mut().entry(place).or_default().push((at, change));
        }
    }

    fn unset(&self, place: &Place, at: Micros, change: Change) {
        if self.there.borrow_mut().remove(place) {
            self.changes.borrow_mut().entry(place.clone()).or_default().push((at, change));
        }
    }

    /// All that happened to a record.
    pub(in crate::simulation) fn changes(&self, place: &Place) -> Vec<(Micros, Change)> {
        self.changes.borrow().get(place).cloned().unwrap_or_default()
    }

    /// Whether the record was there at any moment, and whether it was away at any moment, from `from` to `to`.
    pub(in crate::simulation) fn within(&self, place: &Place, from: Micros, to: Micros) -> (bool, bool) {
        let (mut there, mut away) = (false, false);
        let mut state = false;
        for (at, change) in self.changes(place) {
            if at > to {
                break;
            }
            if at >= from {
                // What stood until now stood at `from` too.
                there |= state;
                away |= !state;
            }
            state = matches!(change, Change::Stored | Change::Revived);
        }
        (there | state, away | !state)
    }

    pub(in crate::simulation) fn was_read_stale(&self, place: &Place, from: Micros, to: Micros) -> bool {
        self.stale_reads.borrow().get(place).is_some_and(|reads| reads.iter().any(|at| (from..=to).contains(at)))
    }
}

#[test]
fn what_was_there_and_what_was_away_is_known_for_any_span() {
    let truth = Truth::default();
    let place = (b"p".to_vec(), b"f".to_vec());
    let set = Effect::SetField { key: place.0.clone(), field: place.1.clone(), value: vec![] };
    truth.note([&set].into_iter(), 10);
    truth.note([&Effect::Flush].into_iter(), 20);
    assert_eq!(truth.replace(&BTreeSet::from([place.clone()]), 30), (0, 1));
    for (from, to, expected) in [
        (0, 9, (false, true)),
        (0, 10, (true, true)),
        (11, 19, (true, false)),
        (11, 20, (true, true)),
        (20, 20, (true, true)),
        (21, 29, (false, true)),
        (25, 30, (true, true)),
        (31, 99, (true, false)),
    ] {
        assert_eq!(truth.within(&place, from, to), expected, "{from} to {to}");
    }
    assert_eq!(truth.changes(&place), [(10, Change::Stored), (20, Change::Lost), (30, Change::Revived)]);
}
