//! Signatures that take a millisecond to verify: on the runtime's threads for what blocks, so many at once for the whole process.
//!
//! Invariant: bounded in threads and in what waits for one; whoever waits longer than its deadline begins nothing.

use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::actors::{ActorError, Deadline};

/// Cores for each signature at once.
const CORES_A_THREAD: usize = 2;
/// What may wait for each thread: at a millisecond each, more would wait for longer than a batch of the store takes.
const WAITING_A_THREAD: usize = 64;

/// Places for those who have a signature verified.
pub(super) struct Signatures {
    /// Of all who wait or are served.
    room: Arc<Semaphore>,
    /// Of those who are served.
    threads: Arc<Semaphore>,
}

impl Signatures {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_threads((cores / CORES_A_THREAD).max(1))
    }

    fn with_threads(threads: usize) -> Self {
        let places = |places| Arc::new(Semaphore::new(places));
        Self { room: places(threads * (1 + WAITING_A_THREAD)), threads: places(threads) }
    }

    /// Does `work` when a thread is free.
    ///
    /// # Errors
    /// [`ActorError::Overloaded`] at once, [`ActorError::TimedOut`], [`ActorError::Lost`] where it panicked.
    pub(super) async fn spend<T: Send + 'static>(
        &self,
        by: Deadline,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ActorError> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| ActorError::Overloaded)?;
        let thread = timeout_at(by.instant(), self.threads.clone().acquire_owned()).await;
        let thread = thread.map_err(|_| ActorError::TimedOut)?.map_err(|_| ActorError::Lost)?;
        let done = spawn_blocking(move || {
            // Held until it is done, also where nobody waits for it any more.
            let _places = (room, thread);
            work()
        });
        match timeout_at(by.instant(), done).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(ActorError::Lost),
            Err(_) => Err(ActorError::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, Mutex};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;

    fn by() -> Deadline {
        Deadline::after(Instant::now(), Duration::from_secs(60))
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_there_are_threads_and_what_finds_no_room_is_refused_at_once() {
        let signatures = Signatures::with_threads(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Until all have asked nobody is done.
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let asks = (0..140).map(|_| {
            let (running, most, gate) = (running.clone(), most.clone(), gate.clone());
            signatures.spend(by(), move || {
                drop(gate.lock());
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        let (answers, ()) = tokio::join!(join_all(asks), async move { drop(closed) });
        let refused = answers.iter().filter(|answer| **answer == Err(ActorError::Overloaded)).count();
        assert_eq!((refused, answers.iter().filter(|answer| answer.is_ok()).count()), (10, 130));
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn who_waits_too_long_begins_nothing_and_a_panic_frees_its_places() {
        let signatures = Signatures::with_threads(1);
        let (held, free) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let holds = signatures.spend(by(), {
            let (held, free) = (held.clone(), free.clone());
            move || {
                held.wait();
                free.wait();
            }
        });
        let late = async {
            let soon = Deadline::after(Instant::now(), Duration::from_millis(1));
            let late = signatures.spend(soon, || unreachable!()).await;
            spawn_blocking(move || (held.wait(), free.wait())).await.unwrap();
            late
        };
        assert_eq!(tokio::join!(holds, late), (Ok(()), Err(ActorError::TimedOut)));
        assert_eq!(signatures.spend(by(), || -> () { panic!("told to") }).await, Err(ActorError::Lost));
        assert_eq!(signatures.spend(by(), || ()).await, Ok(()));
        assert_eq!((signatures.room.available_permits(), signatures.threads.available_permits()), (65, 1));
    }
}
