//! How often a question that was sent may be sent again.
//!
//! Invariant: retries are at most a tenth of the traffic, so that a store that struggles is not asked twice as much.

use std::cell::Cell;

/// Hundredths of retries earned, one worker's.
#[derive(Debug)]
pub(super) struct RetryBudget(Cell<u32>);

const EARNED: u32 = 10;
const COST: u32 = 100;
const MAX: u32 = 1000;

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX))
    }

    /// A batch was asked.
    pub(super) fn earn(&self) {
        self.0.set((self.0.get() + EARNED).min(MAX));
    }

    /// Whether a batch may be asked again.
    pub(super) fn spend(&self) -> bool {
        let left = self.0.get().checked_sub(COST);
        left.inspect(|left| self.0.set(*left)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_traffic_is_retried_at_most() {
        let budget = RetryBudget::new();
        while budget.spend() {}
        let asked = 1000;
        let retried = (0..asked).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(retried.count(), asked / 10);
    }
}
