//! Wall-clock time to the second, for an actor that knows when its batches came: the clock is read once a second at most.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::oauth::time::Timestamp;

/// How old what it shows may be.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Shows times that are at most a second old.
#[derive(Debug)]
pub(super) struct CoarseTime {
    clock: Clock,
    read: Option<(Instant, Timestamp)>,
}

impl CoarseTime {
    pub(super) fn of(clock: Clock) -> Self {
        Self { clock, read: None }
    }

    /// The time at `now`.
    pub(super) fn at(&mut self, now: Instant) -> Timestamp {
        match self.read {
            Some((at, shown)) if now < at + AGE_MAX => shown,
            _ => {
                let shown = Timestamp::from_unix_millis(self.clock.unix_millis());
                self.read = Some((now, shown));
                shown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_once_a_second() {
        let (clock, begun) = (Clock::simulated(5000), Instant::now());
        let mut time = CoarseTime::of(clock.clone());
        let mut at = |millis| time.at(begun + Duration::from_millis(millis)).unix_millis();
        assert_eq!(at(0), 5000);
        clock.advance(999);
        assert_eq!((at(999), at(1000), at(1001)), (5000, 5999, 5999));
    }
}
