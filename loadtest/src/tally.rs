//! What was counted: one [`Tally`] a thread, merged when the run is over, so that counting shares nothing between threads.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::answer::{Answer, Verdict};
use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::slices::Slices;
use crate::wire::WireError;

/// Latencies are kept in nanoseconds with three digits; longer ones count as this.
const LATENCY_MAX: Duration = Duration::from_secs(120);
const LATENCY_DIGITS: u8 = 3;

/// Answers to one operation.
#[derive(Debug)]
pub(crate) struct OperationTally {
    /// Latencies of right answers, nanoseconds.
    pub(crate) right: Histogram<u64>,
    /// Latencies of all others, nanoseconds: a refusal is judged by its own time.
    pub(crate) other: Histogram<u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Status 200 with a body that does not say what it should.
    pub(crate) wrong: u64,
    /// Status 503 with no word on when to try again.
    pub(crate) curt: u64,
}

#[derive(Debug)]
pub(crate) struct Tally {
    operations: [OperationTally; 3],
    pub(crate) errors: BTreeMap<WireError, u64>,
    /// Requests with no answer when the run ended and had waited for it.
    pub(crate) unanswered: u64,
    /// Open loop: arrivals whose time had come and that no connection was free to send.
    pub(crate) backlog: u64,
    pub(crate) slices: Slices,
}

impl OperationTally {
    fn new() -> Result<Self, Failure> {
        let histogram = || {
            Histogram::new_with_max(nanoseconds(LATENCY_MAX), LATENCY_DIGITS)
                .context(|| "making a histogram".to_owned())
        };
        Ok(Self { right: histogram()?, other: histogram()?, statuses: BTreeMap::new(), wrong: 0, curt: 0 })
    }

    pub(crate) fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }
}

impl Tally {
    /// `slice`: how long each slice of the window is.
    pub(crate) fn new(slice: Duration) -> Result<Self, Failure> {
        let operations = [OperationTally::new()?, OperationTally::new()?, OperationTally::new()?];
        Ok(Self { operations, errors: BTreeMap::new(), unanswered: 0, backlog: 0, slices: Slices::new(slice)? })
    }

    pub(crate) fn operation(&self, operation: Operation) -> &OperationTally {
        &self.operations[operation as usize]
    }

    /// `since`: when the answer was there, from the window's beginning.
    pub(crate) fn answered(
        &mut self,
        operation: Operation,
        answer: Answer<'_>,
        verdict: Verdict,
        latency: Duration,
        since: Duration,
    ) {
        self.slices.count(since, (verdict == Verdict::Right).then_some(latency));
        let tally = &mut self.operations[operation as usize];
        let histogram = if verdict == Verdict::Right { &mut tally.right } else { &mut tally.other };
        histogram.saturating_record(nanoseconds(latency).max(1));
        *tally.statuses.entry(answer.status).or_default() += 1;
        tally.curt += u64::from(answer.status == 503 && !answer.retry_after);
        tally.wrong += u64::from(verdict == Verdict::Wrong);
    }

    pub(crate) fn failed(&mut self, error: WireError, since: Duration) {
        self.slices.count(since, None);
        *self.errors.entry(error).or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Failure> {
        for (ours, theirs) in self.operations.iter_mut().zip(&other.operations) {
            ours.right.add(&theirs.right).context(|| "merging histograms".to_owned())?;
            ours.other.add(&theirs.other).context(|| "merging histograms".to_owned())?;
            for (status, count) in &theirs.statuses {
                *ours.statuses.entry(*status).or_default() += count;
            }
            ours.wrong += theirs.wrong;
            ours.curt += theirs.curt;
        }
        for (error, count) in &other.errors {
            *self.errors.entry(*error).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.backlog += other.backlog;
        self.slices.merge(&other.slices)
    }

    /// Requests that were answered, whatever the answer.
    pub(crate) fn answers(&self) -> u64 {
        self.operations.iter().map(OperationTally::answers).sum()
    }

    pub(crate) fn rights(&self) -> u64 {
        self.operations.iter().map(|tally| tally.right.len()).sum()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_everything() {
        let since = Duration::from_millis(150);
        let status = |status| Answer { status, body: b"", retry_after: false };
        let mut one = Tally::new(Duration::from_millis(100)).unwrap();
        let mut two = Tally::new(Duration::from_millis(100)).unwrap();
        for micros in 1..=1000 {
            let tally = if micros % 2 == 0 { &mut one } else { &mut two };
            tally.answered(Operation::Issue, status(200), Verdict::Right, Duration::from_micros(micros), since);
        }
        two.answered(Operation::Issue, status(503), Verdict::Refused, Duration::from_secs(3600), since);
        two.answered(Operation::Introspect, status(200), Verdict::Wrong, Duration::ZERO, since);
        two.failed(WireError::Broken, since);
        two.unanswered = 2;
        one.merge(&two).unwrap();

        let issued = one.operation(Operation::Issue);
        assert_eq!(issued.right.len(), 1000);
        let median = issued.right.value_at_quantile(0.5);
        assert!((499_000..=501_000).contains(&median), "{median}");
        assert_eq!(issued.statuses, BTreeMap::from([(200, 1000), (503, 1)]));
        assert!(issued.other.max() >= 119_000_000_000);
        assert_eq!(issued.curt, 1);
        assert_eq!(one.operation(Operation::Introspect).wrong, 1);
        assert_eq!((one.answers(), one.rights(), one.unanswered), (1002, 1000, 2));
        assert_eq!(one.errors, BTreeMap::from([(WireError::Broken, 1)]));
        let slices = one.slices.of_window(since).unwrap();
        assert_eq!((slices.len(), slices[0].right.len()), (2, 0));
        assert_eq!((slices[1].right.len(), slices[1].failed), (1000, 3));
    }
}
