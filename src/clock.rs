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
        Self::Service(ServiceTime::new(wall_millis(), running_millis()))
    }

    /// A clock that stands at `unix_millis` until [`Clock::advance`] moves it.
    pub fn simulated(unix_millis: u64) -> Self {
        Self::Simulated(Arc::new(AtomicU64::new(unix_millis)))
    }

    /// Milliseconds since the Unix epoch; 0 where the machine's clock stands before it.
    pub fn unix_millis(&self) -> u64 {
        match self {
            Self::System => u64::try_from(wall_millis()).unwrap_or(0),
            Self::Service(time) => u64::try_from(time.at(running_millis())).unwrap_or(0),
            Self::Simulated(now) => now.load(Ordering::Acquire),
        }
    }

    /// Looks at the machine's clock, once a second: a service's clock follows it. Says when that has stepped.
    pub fn follow(&self, watch: &mut StepWatch) -> Option<Step> {
        match self {
            Self::Service(time) => watch.look(time, wall_millis(), running_millis()),
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

/// What the machine's clock shows, in milliseconds since the Unix epoch. It may step.
fn wall_millis() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since some moment in the past. It never steps, and goes on while the machine is suspended.
fn running_millis() -> i64 {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    // Elsewhere the monotonic clock is the nearest: where it stands still in a suspended machine, waking is a step.
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(id);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_clock_shows_the_machines_time() {
        let (service, mut watch) = (Clock::service(), StepWatch::default());
        let off = |clock: &Clock| clock.unix_millis().abs_diff(Clock::System.unix_millis());
        assert!(off(&service) < 1000);
        assert_eq!(service.follow(&mut watch), None);
        assert!(off(&service) < 1000);
    }
}
