//! Wall-clock time, brought in from outside so that a test can run hours in a millisecond.
//!
//! Only what is written into tokens and records comes from here. Durations (deadlines, timers, back-off) use
//! `tokio::time::Instant`, which never steps and which a test can pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of wall-clock time. Cheap to clone; clones of a simulated clock show the same time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Moves only when told to; milliseconds since the Unix epoch.
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at `unix_millis` until [`Clock::advance`] moves it.
    pub fn simulated(unix_millis: u64) -> Self {
        Self::Simulated(Arc::new(AtomicU64::new(unix_millis)))
    }

    /// Milliseconds since the Unix epoch; 0 where the machine's clock stands before it.
    pub fn unix_millis(&self) -> u64 {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Self::Simulated(now) => now.load(Ordering::Acquire),
        }
    }

    /// Moves a simulated clock forward. The machine's clock is not ours to move: there it does nothing.
    pub fn advance(&self, millis: u64) {
        if let Self::Simulated(now) = self {
            now.fetch_add(millis, Ordering::AcqRel);
        }
    }
}
