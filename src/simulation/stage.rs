//! Where a simulation happens: its time, which starts at the same moment in every run, and the record of what happened.

use std::cell::RefCell;
use std::fmt;

use tokio::time::Instant;

/// Milliseconds since the Unix epoch at which every simulation starts.
const START_UNIX_MILLIS: u64 = 1_800_000_000_000;

/// Microseconds since the start. What happens at one moment happens in no order that could be told from outside.
pub(super) type Micros = u64;

pub(super) struct Stage {
    start: Instant,
    record: RefCell<Vec<String>>,
}

impl Stage {
    /// Starts now; the runtime's time must be paused.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), record: RefCell::default() }
    }

    pub(super) fn now(&self) -> Micros {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }

    /// True time, which no fault moves.
    pub(super) fn unix_millis(&self) -> u64 {
        START_UNIX_MILLIS + self.now() / 1000
    }

    /// Writes down what happened.
    pub(super) fn say(&self, what: impl fmt::Display) {
        let now = self.now();
        self.record.borrow_mut().push(format!("{:>4}.{:06} {what}", now / 1_000_000, now % 1_000_000));
    }

    pub(super) fn record(&self) -> String {
        self.record.borrow().join("\n")
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("now", &self.now()).finish_non_exhaustive()
    }
}
