//! How close the batches of an actor may follow each other, going by how long they take.
//!
//! The next leaves when the one before is answered, or when that has been on its way for a millisecond and an eighth of the usual trip. But a
//! store that is slow is not far: what leaves early only waits there, and may miss its deadline. The two are told apart by what it costs a
//! batch that others left before it: on a far store nothing.
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

/// The pace of one actor.
#[derive(Debug)]
pub(super) struct Pace {
    /// Batches that may be under way at once.
    limit: usize,
    /// What the last batch took that had the store to itself.
    alone: Duration,
    /// Batches alone that are still to be answered before the limit rises from one, and before it does so after the next failure.
    to_wait: u32,
    to_wait_next: u32,
    /// What left before says nothing about the limit of now.
    judged_from: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { limit: 1, alone: Duration::ZERO, to_wait: 0, to_wait_next: 0, judged_from: None }
    }

    /// Batches that may be under way at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Between two batches.
    pub(super) fn gap(&self) -> Duration {
        NEAR + self.alone / 8
    }

    /// A batch that `left` with so many `others` under way was answered.
    pub(super) fn answered(&mut self, left: Instant, others: usize, now: Instant) {
        let took = now - left;
        if others == 0 {
            self.alone = took;
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
        if took <= self.alone + self.alone / 2 + NEAR {
            self.alone = self.alone.min(took);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = NEAR;

    #[test]
    fn a_store_whose_way_changes_is_found_out_anew() {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        let mut answer = |pace: &mut Pace, others, took| {
            let left = now;
            now += took;
            pace.answered(left, others, now);
        };
        answer(&mut pace, 0, 50 * MS);
        (0..5).for_each(|_| answer(&mut pace, 1, 50 * MS));
        assert_eq!((pace.limit, pace.gap()), (BATCHES_MAX, MS + 50 * MS / 8));
        (0..4).for_each(|_| answer(&mut pace, 1, 90 * MS));
        assert_eq!(pace.limit, 1);
        answer(&mut pace, 0, 90 * MS);
        assert_eq!((pace.limit, pace.gap()), (2, MS + 90 * MS / 8));
        answer(&mut pace, 1, 90 * MS);
        assert_eq!(pace.limit, 4);
    }
}
