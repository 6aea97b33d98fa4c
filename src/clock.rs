//! Wall-clock time, brought in from outside so that a test can run hours in a millisecond.
//!
//! Only what is written into tokens and records comes from here. Durations (deadlines, timers, back-off) use
//! `tokio::time::Instant`, which never steps and which a test can pause.

mod service;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub use self::service::{ServiceTime, Step, StepWatch};

/// A source of wall-clock time. Cheap to clone; clones of a service's or a simulated clock show the same time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock, for what looks at it once.
    #[default]
    System,
    /// A running service's: it follows the machine's clock, but believes no step of it that has not stood for a minute.
    Service(ServiceTime),
    /// Moves only when told to; milliseconds since the Unix epoch.
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that shows the machine's time as it is now, and follows it as [`Clock::follow`] is called.
    pub fn service() -> Self {
        Self::Service(ServiceTime::new(Reading::take()))
    }

    /// A clock that stands at `unix_millis` until [`Clock::advance`] moves it.
    pub fn simulated(unix_millis: u64) -> Self {
        Self::Simulated(Arc::new(AtomicU64::new(unix_millis)))
    }

    /// Milliseconds since the Unix epoch; 0 where the machine's clock stands before it.
    pub fn unix_millis(&self) -> u64 {
        match self {
            Self::System => millis(wall_micros()),
            Self::Service(time) => millis(time.at(running_micros())),
            Self::Simulated(now) => now.load(Ordering::Acquire),
        }
    }

    /// Looks at the machine's clock, once a second: a service's clock follows it. Says when that has stepped.
    pub fn follow(&self, watch: &mut StepWatch) -> Option<Step> {
        match self {
            Self::Service(time) => watch.look(time, Reading::take()),
            Self::System | Self::Simulated(_) => None,
        }
    }

    /// Moves a simulated clock forward. The machine's clock is not ours to move: there it does nothing.
    pub fn advance(&self, millis: u64) {
        if let Self::Simulated(now) = self {
            now.fetch_add(millis, Ordering::AcqRel);
        }
    }
}

fn millis(micros: i64) -> u64 {
    u64::try_from(micros / 1000).unwrap_or(0)
}

/// Both clocks at one moment, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// The machine's clock, since the Unix epoch.
    pub(crate) wall: i64,
    /// The clock that never steps, since some moment in the past.
    pub(crate) running: i64,
}

impl Reading {
    /// How far apart the readings of one clock around that of the other may lie, in microseconds: no more is the clocks' error then.
    const NEAR: i64 = 20;
    /// On a machine that interrupts them all the nearest one serves.
    const TRIES: usize = 8;

    /// Reads one clock between two readings of the other, again where something came between them: whoever is put aside between two
    /// clocks would take that time for a difference of theirs, and let a token live that much past its end.
    fn take() -> Self {
        Self::between(running_micros, wall_micros)
    }

    fn between(running: impl Fn() -> i64, mut wall: impl FnMut() -> i64) -> Self {
        let mut nearest = (i64::MAX, Self::default());
        for _ in 0..Self::TRIES {
            let before = running();
            let wall = wall();
            let apart = running() - before;
            if apart < nearest.0 {
                nearest = (apart, Self { wall, running: before + apart / 2 });
            }
            if apart <= Self::NEAR {
                break;
            }
        }
        nearest.1
    }
}

/// What the machine's clock shows, in microseconds since the Unix epoch. It may step.
fn wall_micros() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Microseconds since some moment in the past. It never steps, and goes on while the machine is suspended.
fn running_micros() -> i64 {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    // Elsewhere the monotonic clock is the nearest: where it stands still in a suspended machine, waking is a step.
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(id);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_services_clock_shows_the_machines_time() {
        let (service, mut watch) = (Clock::service(), StepWatch::default());
        let off = |clock: &Clock| clock.unix_millis().abs_diff(Clock::System.unix_millis());
        assert!(off(&service) < 1000);
        assert_eq!(service.follow(&mut watch), None);
        assert!(off(&service) < 1000);
    }

    /// A millisecond that a service's clock is behind is one that a token lives too long.
    #[test]
    fn what_comes_between_two_clocks_is_not_taken_for_a_difference_of_theirs() {
        let now = Cell::new(0);
        let mut interruptions = [30_000, 500, 0].into_iter();
        let read = Reading::between(
            || now.replace(now.get() + 1),
            || {
                now.set(now.get() + interruptions.next().unwrap());
                now.replace(now.get() + 1) + 1_000_000
            },
        );
        assert_eq!(read.wall - read.running, 1_000_000);

        let always = Cell::new(0);
        let mut interruptions = (1..=Reading::TRIES as i64).map(|nth| if nth == 5 { 100 } else { 1000 * nth });
        let read = Reading::between(
            || always.replace(always.get() + 1),
            || always.replace(always.get() + interruptions.next().unwrap()),
        );
        assert!((read.wall - read.running).abs() <= 51, "the nearest of all: {read:?}");
    }
}
