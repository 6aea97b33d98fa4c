//! A running service's time: it advances with a clock that never steps, and follows the machine's clock with care.
//!
//! Invariant: a step of the machine's clock of more than [`STEP`], either way, moves nothing before it has stood for
//! [`BELIEVED_AFTER`]. So a glitch of an hour ends no token early and lets none live on; what is slewed, or stepped by less,
//! is followed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Reading;

/// In microseconds, as all times here. More is a step. Two machines whose clocks are kept differ by far less, and no token's life is
/// so short that it matters.
const STEP: i64 = 5_000_000;
/// How long a step must have stood.
const BELIEVED_AFTER: i64 = 60_000_000;

/// A service's time: by how much it is ahead of the clock that never steps. Clones are the same.
#[derive(Clone, Debug)]
pub struct ServiceTime(Arc<AtomicI64>);

/// What the one who looks once a second remembers.
#[derive(Debug, Default)]
pub struct StepWatch {
    stepped: Option<Stepped>,
}

/// The machine's clock has stepped: by so many milliseconds from this service's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Positive: forward.
    pub millis: i64,
    /// Whether the service's time has followed, after a minute; until then it goes on as before.
    pub believed: bool,
}

/// A step that is not believed yet.
#[derive(Debug)]
struct Stepped {
    by: i64,
    /// By the clock that never steps.
    seen_at: i64,
}

impl ServiceTime {
    /// The machine's time, as it was read.
    pub(crate) fn new(read: Reading) -> Self {
        Self(Arc::new(AtomicI64::new(read.wall - read.running)))
    }

    /// The time while the clock that never steps shows `running`.
    pub(crate) fn at(&self, running: i64) -> i64 {
        running + self.0.load(Ordering::Relaxed)
    }
}

impl StepWatch {
    /// Lets `time` follow the machine's clock as far as that is believed. Says a step twice: when it is seen, and when it is believed.
    pub(crate) fn look(&mut self, time: &ServiceTime, read: Reading) -> Option<Step> {
        let by = read.wall - time.at(read.running);
        let follow = || time.0.store(read.wall - read.running, Ordering::Relaxed);
        if by.abs() <= STEP {
            self.stepped = None;
            follow();
            return None;
        }
        match &self.stepped {
            Some(seen) if (by - seen.by).abs() <= STEP => {
                if read.running - seen.seen_at < BELIEVED_AFTER {
                    return None;
                }
                self.stepped = None;
                follow();
                Some(Step { millis: by / 1000, believed: true })
            }
            // The first look at it, or it has stepped on to somewhere else.
            Some(_) | None => {
                self.stepped = Some(Stepped { by, seen_at: read.running });
                Some(Step { millis: by / 1000, believed: false })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const AHEAD: i64 = 1_800_000_000_000_000;

    /// A machine whose clock a test can step; the service's clock looks at it each second.
    struct Machine {
        running: i64,
        ahead: i64,
        time: ServiceTime,
        watch: StepWatch,
    }

    impl Machine {
        fn new() -> Self {
            let (running, ahead) = (7_000_000, AHEAD);
            let time = ServiceTime::new(Reading { wall: running + ahead, running });
            Self { running, ahead, time, watch: StepWatch::default() }
        }

        fn step(&mut self, millis: i64) {
            self.ahead += millis * 1000;
        }

        fn pass(&mut self, seconds: i64) -> Vec<Step> {
            let look = |_| {
                self.running += 1_000_000;
                self.watch.look(&self.time, Reading { wall: self.running + self.ahead, running: self.running })
            };
            (0..seconds).filter_map(look).collect()
        }

        /// By how many milliseconds the service's time is ahead of what it would be without any step.
        fn moved(&self) -> i64 {
            (self.time.at(self.running) - self.running - AHEAD) / 1000
        }
    }

    #[test]
    fn a_glitch_of_an_hour_moves_nothing_and_is_told_once() {
        for glitch in [HOUR, -HOUR] {
            let mut machine = Machine::new();
            machine.step(glitch);
            assert_eq!(machine.pass(60), [Step { millis: glitch, believed: false }]);
            assert_eq!(machine.moved(), 0);
            machine.step(-glitch);
            assert_eq!(machine.pass(100), []);
            assert_eq!(machine.moved(), 0);
        }
    }

    #[test]
    fn a_step_that_stands_for_a_minute_is_believed() {
        for step in [HOUR, -HOUR, 5_001, -5_001] {
            let mut machine = Machine::new();
            machine.step(step);
            machine.pass(60);
            assert_eq!(machine.moved(), 0);
            assert_eq!(machine.pass(1), [Step { millis: step, believed: true }]);
            assert_eq!(machine.moved(), step);
            assert_eq!(machine.pass(100), []);
        }
    }

    #[test]
    fn what_is_small_or_slewed_is_followed_at_once() {
        let mut machine = Machine::new();
        machine.step(-5_000);
        assert_eq!(machine.pass(1), []);
        assert_eq!(machine.moved(), -5_000);
        // Half a millisecond a second, as NTP slews, for an hour and a half.
        for _ in 0..2_700 {
            machine.step(1);
            assert_eq!(machine.pass(2), []);
        }
        assert_eq!(machine.moved(), -2_300);
    }

    #[test]
    fn a_clock_that_jumps_about_is_believed_only_where_it_stays() {
        let mut machine = Machine::new();
        for _ in 0..10 {
            machine.step(HOUR);
            assert_eq!(machine.pass(50).len(), 1);
            assert_eq!(machine.moved(), 0);
        }
        assert_eq!(machine.pass(11), [Step { millis: 10 * HOUR, believed: true }]);
        assert_eq!(machine.moved(), 10 * HOUR);
    }
}
