//! Which pages an entry may speak of now: those that are not long dead, and none that no token of ours can have yet.

use super::addresses::DEAD_FOR_SECONDS;
use crate::clock::Clock;
use crate::telemetry::labels::JournalDrop;

/// How far the clocks of nodes may differ, in seconds.
const SKEW_SECONDS: u64 = 120;

/// From when to when pages end that matter.
#[derive(Clone, Debug)]
pub(super) struct Horizon {
    clock: Clock,
    ahead_seconds: u64,
}

impl Horizon {
    /// For tokens that live at most so long: a page's end is rounded up by at most a 64th of that.
    pub(super) fn new(clock: Clock, ttl_seconds_max: u32) -> Self {
        let ttl = u64::from(ttl_seconds_max);
        Self { clock, ahead_seconds: ttl + ttl / 64 + 1 + SKEW_SECONDS }
    }

    /// Now, in milliseconds.
    pub(super) fn now_millis(&self) -> u64 {
        self.clock.unix_millis()
    }

    /// Now, in seconds.
    pub(super) fn now_seconds(&self) -> u64 {
        self.now_millis() / 1000
    }

    /// How old the oldest entry can be that matters, in seconds.
    pub(super) fn age_seconds(&self) -> u64 {
        self.ahead_seconds + DEAD_FOR_SECONDS
    }

    /// Why a page that ends then does not matter, if it does not.
    pub(super) fn refuses(&self, dead_second: u64) -> Option<JournalDrop> {
        let now = self.now_seconds();
        if dead_second.saturating_add(DEAD_FOR_SECONDS) <= now {
            Some(JournalDrop::Dead)
        } else if dead_second > now.saturating_add(self.ahead_seconds) {
            Some(JournalDrop::Ahead)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_matter_from_a_little_after_their_end_to_the_longest_life_ahead() {
        let horizon = Horizon::new(Clock::simulated(1_000_000_999), 6400);
        let ahead = 6400 + 100 + 1 + SKEW_SECONDS;
        for (dead_second, expected) in [
            (1_000_000 - DEAD_FOR_SECONDS, Some(JournalDrop::Dead)),
            (1_000_001 - DEAD_FOR_SECONDS, None),
            (1_000_000 + ahead, None),
            (1_000_001 + ahead, Some(JournalDrop::Ahead)),
        ] {
            assert_eq!(horizon.refuses(dead_second), expected, "{dead_second}");
        }
    }
}
