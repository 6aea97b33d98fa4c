//! How close the batches of an actor may follow each other, going by how long they take.
//!
//! The next leaves when the one before is answered, or when that has been on its way for a millisecond and an eighth of a trip. But a
//! store that is slow is not far: what leaves early only waits there, and may miss its deadline. The two are told apart by what it costs a
//! batch that others left before it: on a far store nothing. It is held against the shortest trip of late, since a long one may have been
//! a large batch on a slow store, and a small one behind it takes no longer.
//!
//! Invariants: one batch alone may always leave, and never more than [`BATCHES_MAX`]; a store that is slow and nothing else gets a second
//! batch ever more rarely, one time in 256 in the end.

use std::time::Duration;

use tokio::time::Instant;

/// Batches under way at once: eight leave within a trip, the rest is for trips that take longer than usual.
pub(super) const BATCHES_MAX: usize = 16;
/// A store that answers within this is near.
const NEAR: Duration = Duration::from_millis(1);
/// Batches that have the store to themselves before it is tried once more whether it is far.
const ALONE_MAX: u32 = 255;
/// A trip is remembered for one to two of these.
const TRIPS_KEPT: Duration = Duration::from_secs(5);

/// The pace of one actor.
#[derive(Debug)]
pub(super) struct Pace {
    /// Batches that may be under way at once.
    limit: usize,
    trips: Trips,
    /// Batches alone that are still to be answered before the limit rises from one, and before it does so after the next failure.
    to_wait: u32,
    to_wait_next: u32,
    /// What left before says nothing about the limit of now.
    judged_from: Option<Instant>,
}

/// The shortest trips of this time and of the one before.
#[derive(Debug, Default)]
struct Trips {
    since: Option<Instant>,
    now: Option<Duration>,
    before: Option<Duration>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { limit: 1, trips: Trips::default(), to_wait: 0, to_wait_next: 0, judged_from: None }
    }

    /// Batches that may be under way at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Between two batches.
    pub(super) fn gap(&self) -> Duration {
        NEAR + self.trips.shortest() / 8
    }

    /// A batch that `left` with so many `others` under way was answered.
    pub(super) fn answered(&mut self, left: Instant, others: usize, now: Instant) {
        let took = now - left;
        self.trips.add(took, now);
        if others == 0 {
            self.answered_alone();
        } else if self.judged_from.is_none_or(|from| left >= from) {
            self.answered_among_others(took, now);
        }
    }

    fn answered_alone(&mut self) {
        match self.to_wait.checked_sub(1) {
            Some(left) => self.to_wait = left,
            None => self.limit = self.limit.max(2),
        }
    }

    fn answered_among_others(&mut self, took: Duration, now: Instant) {
        let trip = self.trips.shortest();
        if took <= trip + trip / 2 + NEAR {
            self.limit = (2 * self.limit).min(BATCHES_MAX);
            self.to_wait_next = 0;
            return;
        }
        // It waited for the others: the store is slow, or the way to it has changed.
        self.limit = (self.limit / 2).max(1);
        self.judged_from = Some(now);
        if self.limit == 1 {
            self.to_wait = self.to_wait_next;
            self.to_wait_next = (2 * self.to_wait_next + 1).min(ALONE_MAX);
        }
    }
}

impl Trips {
    fn add(&mut self, took: Duration, now: Instant) {
        if self.since.is_none_or(|since| now - since >= TRIPS_KEPT) {
            *self = Self { since: Some(now), now: None, before: self.now };
        }
        self.now = Some(self.now.map_or(took, |shortest| shortest.min(took)));
    }

    fn shortest(&self) -> Duration {
        self.now.into_iter().chain(self.before).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = NEAR;

    /// Answers come one after the other, each on time of its own.
    struct Answers {
        pace: Pace,
        now: Instant,
    }

    impl Answers {
        fn new() -> Self {
            Self { pace: Pace::new(), now: Instant::now() }
        }

        fn come(&mut self, count: usize, others: usize, took: Duration) {
            for _ in 0..count {
                let left = self.now;
                self.now += took;
                self.pace.answered(left, others, self.now);
            }
        }
    }

    #[test]
    fn a_store_whose_way_changes_is_found_out_anew() {
        let mut answers = Answers::new();
        answers.come(1, 0, 50 * MS);
        answers.come(5, 1, 50 * MS);
        assert_eq!((answers.pace.limit, answers.pace.gap()), (BATCHES_MAX, MS + 50 * MS / 8));
        answers.come(4, 1, 90 * MS);
        assert_eq!(answers.pace.limit, 1);
        // The short trips are remembered for a while.
        answers.come(120, 0, 90 * MS);
        assert_eq!((answers.pace.limit, answers.pace.gap()), (2, MS + 90 * MS / 8));
        answers.come(1, 1, 90 * MS);
        assert_eq!(answers.pace.limit, 4);
    }

    #[test]
    fn a_small_batch_behind_a_large_one_does_not_make_a_slow_store_far() {
        let mut answers = Answers::new();
        answers.come(1, 0, MS);
        answers.come(1, 0, 50 * MS);
        assert_eq!(answers.pace.limit, 2);
        answers.come(1, 1, 45 * MS);
        assert_eq!(answers.pace.limit, 1);
    }
}
