//! Open loop: arrivals that come at their own times, whatever the service does.
//!
//! Invariant: an arrival's latency counts from the time it was meant for, so a stall of the service or of its connections is
//! in every latency it delayed ("coordinated omission" is what leaving it out is called).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Arrivals closer than this are let go together: a timer for each would cost more than it tells.
const STEP_MIN: Duration = Duration::from_micros(50);
/// So often at least the pacer looks whether it shall end.
const STEP_MAX: Duration = Duration::from_millis(5);

/// The arrivals of one thread.
#[derive(Debug)]
pub(crate) struct Pace {
    started: OnceLock<Instant>,
    offset_seconds: f64,
    interval_seconds: f64,
    released: AtomicU64,
    taken: AtomicU64,
    permits: Semaphore,
}

impl Pace {
    /// Paces whose arrivals together come `rate` times a second, evenly.
    pub(crate) fn split(rate: f64, threads: usize) -> Vec<Arc<Self>> {
        let pace = |index: usize| Self {
            started: OnceLock::new(),
            offset_seconds: index as f64 / rate,
            interval_seconds: threads as f64 / rate,
            released: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            permits: Semaphore::new(0),
        };
        (0..threads).map(|index| Arc::new(pace(index))).collect()
    }

    /// Waits for the next arrival and gives the time it was meant for; `None` when the run is over.
    pub(crate) async fn next(&self) -> Option<Instant> {
        self.permits.acquire().await.ok()?.forget();
        Some(self.due(self.taken.fetch_add(1, Ordering::Relaxed)))
    }

    /// Arrivals that came and were not taken: how far the connections are behind.
    pub(crate) fn backlog(&self) -> u64 {
        self.released.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    fn due(&self, arrival: u64) -> Instant {
        let started = *self.started.get_or_init(Instant::now);
        started + Duration::from_secs_f64(self.offset_seconds + arrival as f64 * self.interval_seconds)
    }

    /// Lets go what is due and says when the next one is.
    fn release(&self, now: Instant) -> Instant {
        let released = self.released.load(Ordering::Relaxed);
        let mut next = released;
        while self.due(next) <= now {
            next += 1;
        }
        self.released.store(next, Ordering::Relaxed);
        self.permits.add_permits(usize::try_from(next - released).unwrap_or(usize::MAX));
        self.due(next)
    }
}

/// Runs all paces until `over`, on the thread that calls it.
pub(crate) fn run(paces: &[Arc<Pace>], over: impl Fn() -> bool) {
    let started = Instant::now();
    for pace in paces {
        pace.started.get_or_init(|| started);
    }
    while !over() {
        let now = Instant::now();
        let next = paces.iter().map(|pace| pace.release(now)).min().unwrap_or(now);
        thread::sleep(next.saturating_duration_since(now).clamp(STEP_MIN, STEP_MAX));
    }
    for pace in paces {
        pace.permits.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_of_all_threads_are_evenly_spaced() {
        let started = Instant::now();
        let paces = Pace::split(1000.0, 2);
        for pace in &paces {
            pace.started.set(started).unwrap();
        }
        assert_eq!(paces[0].due(1) - started, Duration::from_millis(2));
        assert_eq!(paces[1].due(1) - started, Duration::from_millis(3));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_late_taker_gets_the_intended_time() {
        let pace = &Pace::split(100.0, 1)[0];
        let started = Instant::now();
        pace.started.set(started).unwrap();
        let next = pace.release(started + Duration::from_millis(25));
        assert_eq!(next, started + Duration::from_millis(30));
        assert_eq!(pace.backlog(), 3);
        assert_eq!(pace.next().await, Some(started));
        assert_eq!(pace.next().await, Some(started + Duration::from_millis(10)));
        assert_eq!(pace.backlog(), 1);
        pace.permits.close();
        assert_eq!(pace.next().await, None);
    }
}
