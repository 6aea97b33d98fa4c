//! Where a run stands: the one thing its threads share.

use std::sync::atomic::{AtomicU8, Ordering};

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
pub(super) struct StageCell(AtomicU8);

impl Default for StageCell {
    fn default() -> Self {
        Self(AtomicU8::new(Stage::Preparing as u8))
    }
}

impl StageCell {
    pub(super) fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    pub(super) fn is(&self, stage: Stage) -> bool {
        self.0.load(Ordering::Acquire) == stage as u8
    }
}
