//! How many messages may wait in a mailbox: as many as will be taken in time, going by what the last batches took.
//!
//! Only a full batch says what an actor can do at most, so only those count: whoever takes all that waits is behind by nothing.
//! Invariants: a whole batch may always gather; a stall is forgotten with the first batch that is not full; what waits is never more
//! than the capacity, whatever was measured.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How full a mailbox may get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Messages in all.
    pub(crate) messages_max: usize,
    /// Of these, kept for messages that may use the reserve.
    pub(crate) reserved: usize,
    /// How long those before a message may take, as far as can be told when it comes.
    pub(crate) wait_max: Duration,
}

/// The admission to one mailbox. Clocks are read by its owner, once a batch.
#[derive(Debug)]
pub(super) struct Admission {
    capacity: Capacity,
    /// Messages that may wait, without the reserve.
    limit: Cell<usize>,
    /// When the last batch was taken, if it was full and the actor has not come back for the next.
    full_since: Cell<Option<Instant>>,
    /// What a full batch takes: a mean in which the last counts a quarter. `None` when the actor keeps up.
    full_takes: Cell<Option<Duration>>,
}

impl Admission {
    pub(super) fn new(capacity: Capacity) -> Self {
        let limit = Cell::new(capacity.messages_max - capacity.reserved);
        Self { capacity, limit, full_since: Cell::default(), full_takes: Cell::default() }
    }

    /// How many may wait before one that must not use the reserve.
    pub(super) fn limit(&self) -> usize {
        self.limit.get()
    }

    /// How many may wait before one that may.
    pub(super) fn limit_with_reserve(&self) -> usize {
        self.limit.get() + self.capacity.reserved
    }

    /// The actor has come back and takes `count` messages of at most `max`.
    pub(super) fn taken(&self, count: usize, max: usize, now: Instant) {
        if count < max {
            return self.keeps_up();
        }
        if let Some(since) = self.full_since.replace(Some(now)) {
            let last = now.duration_since(since);
            let mean = self.full_takes.get().map_or(last, |mean| (mean * 3 + last) / 4);
            self.full_takes.set(Some(mean));
            let in_time = max as u128 * self.capacity.wait_max.as_nanos() / mean.as_nanos().max(1);
            let all = self.capacity.messages_max - self.capacity.reserved;
            self.limit.set(usize::try_from(in_time).unwrap_or(usize::MAX).max(max).min(all));
        }
    }

    /// The actor has come back and there is less to do than it can.
    pub(super) fn keeps_up(&self) {
        self.full_since.set(None);
        if self.full_takes.take().is_some() {
            self.limit.set(self.capacity.messages_max - self.capacity.reserved);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const CAPACITY: Capacity = Capacity { messages_max: 1000, reserved: 100, wait_max: Duration::from_millis(100) };
    const BATCH: usize = 10;

    /// Full batches, each of which takes so long.
    async fn busy(admission: &Admission, batches: usize, each: Duration) {
        for _ in 0..batches {
            admission.taken(BATCH, BATCH, Instant::now());
            advance(each).await;
        }
        admission.taken(BATCH, BATCH, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_may_wait_as_are_taken_in_time() {
        let admission = Admission::new(CAPACITY);
        assert_eq!((admission.limit(), admission.limit_with_reserve()), (900, 1000));
        busy(&admission, 20, Duration::from_millis(5)).await;
        assert_eq!((admission.limit(), admission.limit_with_reserve()), (200, 300));
        busy(&admission, 40, Duration::from_millis(2)).await;
        assert!((499..=500).contains(&admission.limit()), "{}", admission.limit());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_actor_is_limited_by_the_capacity_and_a_slow_one_gets_a_batch() {
        let admission = Admission::new(CAPACITY);
        busy(&admission, 9, Duration::ZERO).await;
        assert_eq!(admission.limit(), 900);
        busy(&admission, 9, Duration::from_secs(3)).await;
        assert_eq!(admission.limit(), BATCH);
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_up_is_not_limited_however_long_a_batch_takes() {
        let admission = Admission::new(CAPACITY);
        for _ in 0..5 {
            admission.taken(BATCH - 1, BATCH, Instant::now());
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(admission.limit(), 900);
        // A full one behind it says nothing either: how long it takes is not known yet.
        admission.taken(BATCH, BATCH, Instant::now());
        assert_eq!(admission.limit(), 900);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_forgotten() {
        let admission = Admission::new(CAPACITY);
        busy(&admission, 2, Duration::from_secs(1)).await;
        admission.taken(1, BATCH, Instant::now());
        assert_eq!(admission.limit(), 900);
        // Nor does the time count in which there was nothing to do.
        busy(&admission, 2, Duration::from_millis(1)).await;
        admission.keeps_up();
        advance(Duration::from_secs(9)).await;
        busy(&admission, 2, Duration::from_millis(1)).await;
        assert_eq!(admission.limit(), 900);
    }
}
