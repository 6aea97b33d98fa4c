//! Tokens issued in one run, kept for later ones to ask about.

use std::sync::{Mutex, PoisonError};

use crate::stock::Held;

/// Each n-th token, so that a few stand for all, whatever page they are in.
#[derive(Debug)]
pub(crate) struct Harvest {
    every: u64,
    taken: Mutex<Vec<Held>>,
}

impl Harvest {
    /// About `wanted` of `issued` tokens.
    pub(crate) fn of(wanted: u64, issued: u64) -> Self {
        Self { every: (issued / wanted.max(1)).max(1), taken: Mutex::default() }
    }

    /// Whether a thread keeps the token that it issued as its `number`-th.
    pub(super) fn wants(&self, number: u64) -> bool {
        number.is_multiple_of(self.every)
    }

    pub(super) fn put(&self, tokens: Vec<Held>) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(tokens);
    }

    /// All that was kept, once.
    pub(crate) fn take(&self) -> Vec<Held> {
        std::mem::take(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nth_is_wanted() {
        let harvest = Harvest::of(10, 95);
        assert_eq!((0..90).filter(|number| harvest.wants(*number)).count(), 10);
        let all = Harvest::of(10, 5);
        assert!((0..5).all(|number| all.wants(number)));
    }
}
