//! Whether the service is alive, ready and draining: one value for the process, written by whoever knows, read by health.
//!
//! Invariant: ready from the first contact with the store until the drain, with which a crash loop of an actor ends too. A store lost later leaves the service
//! ready and shows in [`Health::store_up`] alone, since otherwise all nodes would leave the balancer at once and nobody would
//! get the 503 with `Retry-After`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The state of the process. Shared by all threads.
#[derive(Debug)]
pub struct Health {
    workers: usize,
    workers_with_store: AtomicUsize,
    store_seen: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// A process with so many workers, none of which has reached its store.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            workers_with_store: AtomicUsize::new(0),
            store_seen: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// A worker has reached its store. Returns whether all have now.
    pub fn store_found(&self) -> bool {
        let all = self.workers_with_store.fetch_add(1, Ordering::AcqRel) + 1 == self.workers;
        if all {
            self.store_seen.store(true, Ordering::Release);
        }
        all
    }

    /// A worker that had reached its store has lost it. Returns whether all had it until now.
    pub fn store_lost(&self) -> bool {
        self.workers_with_store.fetch_sub(1, Ordering::AcqRel) == self.workers
    }

    /// Not ready from now on: the process is about to stop, since it was told to or since an actor keeps dying.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether every worker has reached its store at once since the start.
    pub fn store_seen(&self) -> bool {
        self.store_seen.load(Ordering::Acquire)
    }

    /// Whether a load balancer should send requests.
    pub fn ready(&self) -> bool {
        self.store_seen() && !self.draining()
    }

    /// Whether the process is about to stop.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// How many there are.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Whether every worker reaches its store now.
    pub fn store_up(&self) -> bool {
        self.workers_with_store() == self.workers
    }

    /// How many workers reach their store now.
    pub fn workers_with_store(&self) -> usize {
        self.workers_with_store.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_from_the_first_contact_until_the_drain_even_without_the_store() {
        let health = Health::new(2);
        assert!(!health.store_found() && !health.ready() && !health.store_up());
        assert!(health.store_found() && health.ready() && health.store_up());
        assert!(health.store_lost(), "all had it until now");
        assert!(!health.store_lost() && health.ready() && !health.store_up());
        health.drain();
        assert!(!health.ready() && health.draining());
    }
}
