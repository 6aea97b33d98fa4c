//! Where a run stands: the one thing its threads share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// In the order they come; none comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// Tokens are issued that the run will name.
    Preparing,
    /// The load is on and nothing is counted.
    WarmUp,
    Measuring,
    /// Nothing new is asked.
    Over,
}

#[derive(Debug)]
pub(super) struct StageCell {
    stage: AtomicU8,
    /// When the window began.
    started: OnceLock<Instant>,
}

impl Default for StageCell {
    fn default() -> Self {
        Self { stage: AtomicU8::new(Stage::Preparing as u8), started: OnceLock::new() }
    }
}

impl StageCell {
    pub(super) fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    pub(super) fn is(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Acquire) == stage as u8
    }

    /// Opens the window and says when that was.
    pub(super) fn measure(&self) -> Instant {
        let started = *self.started.get_or_init(Instant::now);
        self.set(Stage::Measuring);
        started
    }

    pub(super) fn started(&self) -> Option<Instant> {
        self.started.get().copied()
    }

    /// Time from the window's beginning; zero for what lies before it.
    pub(super) fn since_started(&self, now: Instant) -> Duration {
        self.started().map_or(Duration::ZERO, |started| now.saturating_duration_since(started))
    }
}
