//! Chance that a seed fixes: every draw of a simulation comes from here.
//!
//! Invariant: streams of different names are independent, so that a draw more in one of them does not change what the others give.

use std::cell::Cell;
use std::time::Duration;

/// One stream of draws (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(Cell<u64>);

impl Dice {
    /// The stream of this name under a seed.
    pub(super) fn new(seed: u64, stream: &str) -> Self {
        let dice = Self(Cell::new(seed ^ 0x6A65_746F_6E00_0000));
        for byte in stream.bytes() {
            dice.0.set(dice.draw() ^ u64::from(byte));
        }
        dice
    }

    pub(super) fn draw(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&self, end: usize) -> usize {
        usize::try_from(self.draw() % end.max(1) as u64).unwrap()
    }

    /// A number from `low` to `high`, both possible.
    pub(super) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    pub(super) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    pub(super) fn micros(&self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low, high))
    }

    pub(super) fn one_in(&self, count: u64) -> bool {
        self.draw().is_multiple_of(count)
    }

    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[test]
fn a_seed_and_a_name_fix_the_stream() {
    let draws = |seed, name| -> Vec<u64> {
        let dice = Dice::new(seed, name);
        (0..100).map(|_| dice.between(3, 1000)).collect()
    };
    assert_eq!(draws(1, "a"), draws(1, "a"));
    assert_ne!(draws(1, "a"), draws(2, "a"));
    assert_ne!(draws(1, "a"), draws(1, "b"));
    assert!(draws(1, "a").iter().all(|draw| (3..=1000).contains(draw)));
}
