//! When the oldest of the messages that wait has come, with one reading of the clock a batch.
//!
//! Invariant: what is told is never less than the oldest waited, and more by at most the time between two batches.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Counts what comes and leaves, and marks some moments: one where nothing waited, and one for each batch that left something behind.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    came: u64,
    left: u64,
    /// How many had come by then, and when; the first is the last before the oldest that waits.
    marks: VecDeque<(u64, Instant)>,
}

impl Arrivals {
    /// One message more.
    pub(super) fn one_came(&mut self) {
        if self.came == self.left {
            self.marks.clear();
            self.marks.push_back((self.came, Instant::now()));
        }
        self.came += 1;
    }

    /// The first `count` leave at `now`; how long the oldest of them waited.
    pub(super) fn leave(&mut self, count: usize, now: Instant) -> Duration {
        let waited = self.marks.front().map_or(Duration::ZERO, |(_, marked)| now.duration_since(*marked));
        self.left += count as u64;
        if self.came > self.left {
            self.marks.push_back((self.came, now));
        }
        while self.marks.get(1).is_some_and(|(came, _)| *came <= self.left) {
            self.marks.pop_front();
        }
        waited
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_known_however_many_batches_it_waits() {
        let mut arrivals = Arrivals::default();
        let second = Duration::from_secs(1);
        let come = |arrivals: &mut Arrivals, count: usize| (0..count).for_each(|_| arrivals.one_came());
        come(&mut arrivals, 10);
        // Four leave each second, and four come.
        for waited in [1, 2, 3, 3, 3, 3] {
            advance(second).await;
            assert_eq!(arrivals.leave(4, Instant::now()), second * waited);
            come(&mut arrivals, 4);
        }
        advance(second).await;
        arrivals.leave(10, Instant::now());
        // Time in which nothing waits is nobody's.
        advance(second).await;
        come(&mut arrivals, 1);
        assert_eq!(arrivals.leave(1, Instant::now()), Duration::ZERO);
        assert!(arrivals.marks.len() <= 1);
    }
}
