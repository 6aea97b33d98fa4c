//! The course of a window: what was answered in each of its slices, all of one length.
//!
//! Invariant: what is counted in the slices adds up to what is counted in all; what ends behind the last slice counts in it.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::{Context, Failure};

/// Latencies in nanoseconds with two digits, from a microsecond to two minutes: 12 KB a slice.
const LATENCY_MIN_NS: u64 = 1000;
const LATENCY_MAX_NS: u64 = 120_000_000_000;
const LATENCY_DIGITS: u8 = 2;
/// A plan has at most as many; a slice that a broken clock would ask for is not made.
const SLICES_MAX: usize = 1000;

/// What ended within a stretch of time.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    /// Latencies of right answers, nanoseconds.
    pub(crate) right: Histogram<u32>,
    /// Answers that were not right, and requests without one.
    pub(crate) failed: u64,
}

#[derive(Debug)]
pub(crate) struct Slices {
    length: Duration,
    slices: Vec<Slice>,
    /// Cloned for each new slice.
    empty: Slice,
}

impl Slice {
    pub(crate) fn new() -> Result<Self, Failure> {
        let right = Histogram::new_with_bounds(LATENCY_MIN_NS, LATENCY_MAX_NS, LATENCY_DIGITS);
        Ok(Self { right: right.context(|| "making a histogram".to_owned())?, failed: 0 })
    }

    /// `latency` of a right answer; `None`: another answer, or none.
    pub(crate) fn count(&mut self, latency: Option<Duration>) {
        match latency {
            Some(latency) => {
                self.right.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1));
            }
            None => self.failed += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.failed += other.failed;
        self.right.add(&other.right).context(|| "merging histograms".to_owned())
    }

    /// Microseconds.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.right.value_at_quantile(quantile) as f64 / 1000.0
    }
}

impl Slices {
    pub(crate) fn new(length: Duration) -> Result<Self, Failure> {
        Ok(Self { length: length.max(Duration::from_millis(1)), slices: Vec::new(), empty: Slice::new()? })
    }

    /// Counts what ended `since` the window's beginning.
    pub(crate) fn count(&mut self, since: Duration, latency: Option<Duration>) {
        let index = nanoseconds(since) / nanoseconds(self.length);
        self.reach(usize::try_from(index).unwrap_or(usize::MAX).saturating_add(1));
        let last = self.slices.len() - 1;
        self.slices[usize::try_from(index).unwrap_or(usize::MAX).min(last)].count(latency);
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Failure> {
        self.reach(other.slices.len());
        self.slices.iter_mut().zip(&other.slices).try_for_each(|(ours, theirs)| ours.add(theirs))
    }

    /// Every slice of a window of this length, those in which nothing ended too. The last takes what ended behind it, and what
    /// is left of the window where that is less than half a slice.
    pub(crate) fn of_window(mut self, elapsed: Duration) -> Result<Vec<Slice>, Failure> {
        let half = nanoseconds(self.length) / 2;
        let count = (nanoseconds(elapsed).saturating_add(half) / nanoseconds(self.length)).max(1);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(SLICES_MAX);
        self.reach(count);
        for late in self.slices.split_off(count) {
            self.slices[count - 1].add(&late)?;
        }
        Ok(self.slices)
    }

    fn reach(&mut self, count: usize) {
        let count = count.min(SLICES_MAX);
        if self.slices.len() < count {
            self.slices.resize(count, self.empty.clone());
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = Duration::from_millis(100);

    #[test]
    fn slices_add_up() {
        let (mut one, mut two) = (Slices::new(SLICE).unwrap(), Slices::new(SLICE).unwrap());
        for millis in 0..1003 {
            let slices = if millis % 2 == 0 { &mut one } else { &mut two };
            let right = (millis % 10 != 0).then_some(Duration::from_micros(millis));
            slices.count(Duration::from_millis(millis), right);
        }
        one.merge(&two).unwrap();
        let slices = one.of_window(Duration::from_millis(1004)).unwrap();
        assert_eq!(slices.len(), 10);
        assert_eq!(slices.iter().map(|slice| slice.right.len() + slice.failed).sum::<u64>(), 1003);
        assert_eq!((slices[0].right.len(), slices[0].failed), (90, 10));
        // 1000, 1001 and 1002 ended behind the window's last slice.
        assert_eq!((slices[9].right.len(), slices[9].failed), (92, 11));
        let median = slices[4].latency_us(0.5);
        assert!((445.0..455.0).contains(&median), "{median}");
    }

    #[test]
    fn a_stall_is_slices_with_nothing() {
        let mut slices = Slices::new(SLICE).unwrap();
        slices.count(Duration::from_millis(5), Some(SLICE));
        slices.count(Duration::from_millis(350), Some(SLICE));
        let counts: Vec<u64> =
            slices.of_window(Duration::from_millis(555)).unwrap().iter().map(|slice| slice.right.len()).collect();
        assert_eq!(counts, [1, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn no_clock_makes_endless_slices() {
        let mut slices = Slices::new(Duration::ZERO).unwrap();
        slices.count(Duration::MAX, None);
        assert_eq!(slices.of_window(Duration::MAX).unwrap().len(), SLICES_MAX);
    }
}
