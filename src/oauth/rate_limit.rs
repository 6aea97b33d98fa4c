//! How many tokens a client may have made in how short a time, on one node.
//!
//! Invariants: a bucket is one number, so workers share it with no lock; whoever is refused takes nothing from it; a clock that is set
//! back empties a bucket at most, and closes none for longer than it takes to fill.

use std::sync::atomic::{AtomicU64, Ordering};

use super::standing::Standing;
use super::time::Timestamp;

const MICROS: u64 = 1_000_000;

/// `rate_limit` of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Tokens a second, for ever.
    pub tokens_per_second: u32,
    /// Tokens at once, after it asked for none for a while.
    pub burst: u32,
    /// Whether whoever is over it is counted alone, and served.
    pub report_only: bool,
}

/// What is left of a client's burst: the microsecond of Unix time at which all of it will be again.
#[derive(Debug, Default)]
pub struct Bucket(AtomicU64);

impl RateLimit {
    /// Microseconds that a token takes to come back.
    fn interval(&self) -> u64 {
        MICROS / u64::from(self.tokens_per_second.max(1))
    }

    /// Microseconds until an empty bucket is full.
    fn window(&self) -> u64 {
        self.interval() * u64::from(self.burst)
    }

    /// Takes a token's place, if there is one left.
    pub fn take(&self, bucket: &Bucket, now: Timestamp) -> Standing {
        let now = now.unix_millis() * 1000;
        let full_at = |known: u64| known.clamp(now, now + self.window());
        // The generic cell rate algorithm (ITU-T I.371), whose state is one time.
        let taken = bucket.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| {
            let next = full_at(known) + self.interval();
            (next - now <= self.window()).then_some(next)
        });
        let (full_at, retry_after_seconds) = match taken {
            Ok(known) => (full_at(known) + self.interval(), None),
            Err(known) => {
                let wait = full_at(known) + self.interval() - now - self.window();
                (full_at(known), Some(seconds(wait).max(1)))
            }
        };
        let remaining = (self.window() - (full_at - now)) / self.interval();
        Standing {
            name: "rate",
            quota: self.burst,
            window_seconds: seconds(self.window()),
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset_seconds: seconds(full_at - now),
            retry_after_seconds,
            report_only: self.report_only,
        }
    }
}

impl Bucket {
    /// Goes on where another stood, as after a reload.
    pub(super) fn inherit(&self, before: &Self) {
        self.0.fetch_max(before.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Rounded up.
fn seconds(micros: u64) -> u32 {
    u32::try_from(micros.div_ceil(MICROS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_800_000_000_000;

    fn limit(tokens_per_second: u32, burst: u32) -> RateLimit {
        RateLimit { tokens_per_second, burst, report_only: false }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(START + millis)
    }

    #[test]
    fn a_burst_is_taken_at_once_and_comes_back_at_the_rate() {
        let (limit, bucket) = (limit(2, 4), Bucket::default());
        let take = |millis| limit.take(&bucket, at(millis));
        for left in (0..4).rev() {
            let standing = take(0);
            assert_eq!((standing.remaining, standing.retry_after_seconds), (left, None));
        }
        let over = take(0);
        assert_eq!((over.remaining, over.reset_seconds, over.retry_after_seconds), (0, 2, Some(1)));
        assert_eq!(take(499).retry_after_seconds, Some(1));
        assert_eq!(take(500).retry_after_seconds, None);
        assert_eq!(take(999).retry_after_seconds, Some(1), "what is refused takes nothing");
        assert_eq!(take(1000).retry_after_seconds, None);
        let rested = take(60_000);
        assert_eq!((rested.remaining, rested.reset_seconds), (3, 1), "no more than a burst is kept");
    }

    #[test]
    fn a_clock_that_was_set_back_closes_nothing_for_long() {
        let (limit, bucket) = (limit(1, 2), Bucket::default());
        assert_eq!(limit.take(&bucket, at(3_600_000)).retry_after_seconds, None);
        assert_eq!(limit.take(&bucket, at(0)).retry_after_seconds, Some(1), "empty");
        assert!(limit.take(&bucket, at(2000)).retry_after_seconds.is_some_and(|seconds| seconds <= 2));
    }

    #[test]
    fn a_reload_gives_no_second_burst() {
        let (limit, before, after) = (limit(1, 1), Bucket::default(), Bucket::default());
        assert_eq!(limit.take(&before, at(0)).retry_after_seconds, None);
        after.inherit(&before);
        assert_eq!(limit.take(&after, at(0)).retry_after_seconds, Some(1));
    }

    proptest! {
        /// Whatever is asked for and when, no more comes than the burst and what the rate gives in that time.
        #[test]
        fn no_more_than_the_burst_and_the_rate(
            rate in 1_u32..2000, burst in 1_u32..2000, steps in prop::collection::vec(0_u64..200, 1..400)
        ) {
            let (limit, bucket) = (limit(rate, burst), Bucket::default());
            let (mut now, mut given) = (0, 0_u64);
            for step in steps {
                now += step;
                let standing = limit.take(&bucket, at(now));
                given += u64::from(standing.retry_after_seconds.is_none());
                prop_assert!(standing.remaining < burst || standing.retry_after_seconds.is_some());
                // A token's interval is a whole number of microseconds, rounded down.
                let come_back = now * 1000 / limit.interval();
                prop_assert!(given <= u64::from(burst) + come_back, "{given} in {now} ms");
            }
        }
    }
}
