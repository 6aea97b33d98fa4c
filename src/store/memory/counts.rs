//! What is counted under a name, for as long as it was told to.
//!
//! Invariant: bounded by what is counted at once: names whose time is over go when there are twice as many as after the last look.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::oauth::time::Timestamp;
use crate::store::Count;

/// Fewer are not looked at.
const NAMES_USUAL: usize = 1024;

/// The counts of the process.
#[derive(Default)]
pub(super) struct Counts(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    totals: HashMap<[u8; 32], (u64, Timestamp)>,
    look_at: usize,
}

impl Counts {
    /// Adds to what is counted under a name: how much it is then.
    pub(super) fn add(&self, count: &Count, now: Timestamp) -> u64 {
        // What a panic left is whole.
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.totals.len() >= inner.look_at.max(NAMES_USUAL) {
            inner.totals.retain(|_, (_, end)| *end > now);
            inner.look_at = 2 * inner.totals.len();
        }
        let end = Timestamp::from_unix_millis(now.unix_millis() + u64::from(count.ttl_seconds) * 1000);
        let (total, ends) = inner.totals.entry(count.name).or_insert((0, end));
        if *ends <= now {
            *total = 0;
        }
        *ends = end;
        *total = total.saturating_add(count.add.into());
        *total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_forgotten() {
        let counts = Counts::default();
        let at = |seconds| Timestamp::from_unix_seconds(1_800_000_000 + seconds);
        let count = |number: u32, add| {
            let mut name = [0; 32];
            name[..4].copy_from_slice(&number.to_le_bytes());
            Count { name, add, ttl_seconds: 10 }
        };
        assert_eq!((counts.add(&count(1, 3), at(0)), counts.add(&count(1, 4), at(9))), (3, 7));
        assert_eq!(counts.add(&count(1, 1), at(19)), 1);
        for number in 0..5000 {
            counts.add(&count(number, 1), at(u64::from(number) / 10));
        }
        assert!(counts.0.lock().unwrap().totals.len() <= 2 * NAMES_USUAL);
    }
}
