//! Resident memory of a process while it is driven.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::failure::Failure;
use crate::scale::gauge::resident;

const EVERY: Duration = Duration::from_millis(50);

/// Bytes, means over a third of a window each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Growth {
    pub(super) first: f64,
    pub(super) last: f64,
}

/// What was resident, and when.
#[derive(Debug)]
pub(super) struct Samples(Vec<(Instant, u64)>);

/// Reads while `drive` runs.
pub(super) fn during<T>(pid: u32, drive: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Samples), Failure> {
    resident(pid)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut samples = Vec::new();
            while !over.load(Ordering::Acquire) {
                // A process that ended is told of by what drives it.
                samples.extend(resident(pid).map(|resident| (Instant::now(), resident.now)));
                thread::sleep(EVERY);
            }
            samples
        });
        let driven = drive();
        over.store(true, Ordering::Release);
        let samples = reader.join().map_err(|_| Failure::new("reading memory panicked"))?;
        Ok((driven?, Samples(samples)))
    })
}

impl Samples {
    /// From the first third to the last of a window; `None` where one has no sample.
    pub(super) fn growth(&self, window_start: Instant, window: Duration) -> Option<Growth> {
        let third = window / 3;
        let mean = |from: Instant| {
            let within = self.0.iter().filter(|(at, _)| (from..from + third).contains(at));
            let (count, sum) = within.fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes));
            (count > 0).then(|| sum as f64 / f64::from(count))
        };
        Some(Growth { first: mean(window_start)?, last: mean(window_start + 2 * third)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_are_compared() {
        let start = Instant::now();
        let samples = Samples((0..90).map(|at| (start + Duration::from_millis(at * 10), at)).collect());
        let growth = samples.growth(start, Duration::from_millis(900));
        assert_eq!(growth, Some(Growth { first: 14.5, last: 74.5 }));
        assert_eq!(samples.growth(start, Duration::from_secs(3)), None);
    }

    #[test]
    fn memory_is_read_while_something_runs() {
        let done = during(std::process::id(), || Ok(7)).unwrap();
        assert_eq!(done.0, 7);
        assert!(during(u32::MAX, || Ok(())).is_err());
    }
}
