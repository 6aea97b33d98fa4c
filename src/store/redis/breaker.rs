//! When a connection is worth trying, and when it is trusted again.
//!
//! Invariants: after [`FAILURES_MAX`] connections that failed with no answer between them, a new one serves nobody before so many
//! look-ups on it were answered in time; attempts follow each other ever more slowly, at most [`PAUSE_MAX`] apart, and not at once
//! unless something was answered since the last.

use std::time::Duration;

use crate::random::Random;

/// Connections in a row that answered nothing, which open it.
const FAILURES_MAX: u32 = 3;
/// Look-ups in a row that close it.
pub(super) const PROBES: u32 = 3;
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// So short that the service is back within half a second of the store.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// The breaker of one connection, and its back-off.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    attempts: u32,
    random: Random,
}

impl Breaker {
    pub(super) fn new(random: Random) -> Self {
        Self { failures: 0, attempts: 0, random }
    }

    /// A batch was answered.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
        self.attempts = 0;
    }

    /// A batch, or a connection's first words, were not answered in time, or by nothing that could be believed.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether nobody is served until probes have been answered.
    pub(super) fn is_open(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// How long to wait before the next attempt to connect: nothing for the first after an answer.
    pub(super) fn next_pause(&mut self) -> Duration {
        let Some(doublings) = self.attempts.checked_sub(1) else {
            self.attempts = 1;
            return Duration::ZERO;
        };
        self.attempts = self.attempts.saturating_add(1);
        let pause = PAUSE_MIN.saturating_mul(1 << doublings.min(10)).min(PAUSE_MAX);
        // Between a half and the whole, so that workers and nodes do not come all at once. Without random bytes: the whole.
        let share = self.random.bytes().map_or(u32::from(u16::MAX), |bytes| u32::from(u16::from_be_bytes(bytes)));
        pause / 2 + (pause / 2) * share / u32::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_failures_in_a_row() {
        let mut breaker = Breaker::new(Random::seeded(1));
        breaker.failed();
        breaker.failed();
        breaker.answered();
        breaker.failed();
        breaker.failed();
        assert!(!breaker.is_open());
        breaker.failed();
        assert!(breaker.is_open());
        breaker.answered();
        assert!(!breaker.is_open());
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let mut breaker = Breaker::new(Random::seeded(1));
        assert_eq!(breaker.next_pause(), Duration::ZERO);
        let pauses: Vec<Duration> = (0..20).map(|_| breaker.next_pause()).collect();
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(pauses[6..].iter().all(|pause| *pause >= PAUSE_MAX / 2));
        assert_ne!(pauses[18], pauses[19]);
        breaker.answered();
        assert_eq!(breaker.next_pause(), Duration::ZERO);
    }
}
