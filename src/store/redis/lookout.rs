//! Where the store is, as the workers of a process know it together: one of them looks out for all.
//!
//! Invariants: whoever needs the store and does not find it where it should be says so ([`Lookout::miss`]), and is never the one
//! who decides where it is; when the worker that looks out is gone, another takes its turn.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};

use super::endpoint::{Address, Endpoint};
use super::slot_map::SlotMap;

/// What all workers of a process know together of where the store is. Clones are the same.
#[derive(Clone, Debug)]
pub enum Whereabouts {
    /// It is at its endpoint.
    Fixed,
    /// It is where sentinels say.
    Sentinel(Arc<Lookout<Primary>>),
    /// It is spread over the primaries of a cluster.
    Cluster(Arc<Lookout<SlotMap>>),
}

/// The primary that sentinels name, and the epoch of the failover that made it one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Where it is.
    pub address: Address,
    /// The configuration epoch under which it was named.
    pub epoch: u64,
}

/// What is known of where the store is.
pub struct Lookout<T> {
    known: watch::Sender<Option<Arc<T>>>,
    /// How often somebody missed it.
    missed: watch::Sender<u64>,
    /// How often it was asked after and somebody said what is believed, new or not.
    confirmed: AtomicU64,
    /// Why it is not known; empty while nobody has tried to find out.
    trouble: ArcSwap<String>,
    turn: Mutex<()>,
}

impl Whereabouts {
    /// Nothing is known yet of what an endpoint leads to.
    pub fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Sentinel { .. } => Self::Sentinel(Arc::new(Lookout::new())),
            Endpoint::Cluster { .. } => Self::Cluster(Arc::new(Lookout::new())),
            Endpoint::Tcp { .. } | Endpoint::Tls { .. } | Endpoint::Unix { .. } => Self::Fixed,
        }
    }

    /// Whether it is kept by a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl<T: Send + Sync> Lookout<T> {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            known: watch::Sender::new(None),
            missed: watch::Sender::new(0),
            confirmed: AtomicU64::new(0),
            trouble: ArcSwap::default(),
            turn: Mutex::new(()),
        }
    }

    /// What is known, and whatever comes to be known.
    pub(super) fn known(&self) -> watch::Receiver<Option<Arc<T>>> {
        self.known.subscribe()
    }

    /// The store was not where it should be: it is worth asking again now.
    pub(super) fn miss(&self) {
        self.missed.send_modify(|missed| *missed = missed.wrapping_add(1));
    }

    /// Hears of each [`Lookout::miss`] from now on.
    pub(super) fn missed(&self) -> watch::Receiver<u64> {
        self.missed.subscribe()
    }

    /// What is known was asked after and is still so, or was told just now.
    pub(super) fn confirm(&self) {
        self.confirmed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was so.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Why asking failed last, for the log; empty where it has not.
    pub(super) fn trouble(&self) -> Arc<String> {
        self.trouble.load_full()
    }

    /// Notes why asking failed.
    pub(super) fn set_trouble(&self, trouble: String) {
        self.trouble.store(Arc::new(trouble));
    }

    /// Tells everybody where it is.
    pub(super) fn tell(&self, known: T) {
        self.known.send_replace(Some(Arc::new(known)));
    }

    /// Runs `look_out`, which never ends, once no other worker does.
    pub(super) async fn take_turns(&self, look_out: impl Future<Output = ()>) {
        let _turn = self.turn.lock().await;
        look_out.await;
    }
}

impl<T> fmt::Debug for Lookout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookout").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn one_looks_out_for_all_and_another_goes_on_when_it_is_gone() {
        let lookout = Arc::new(Lookout::<u32>::new());
        let look = |number| {
            let lookout = Arc::clone(&lookout);
            tokio::spawn(async move {
                let telling = async {
                    lookout.tell(number);
                    pending().await
                };
                lookout.take_turns(telling).await;
            })
        };
        let mut known = lookout.known();
        let first = look(1);
        known.wait_for(|known| known.as_deref() == Some(&1)).await.unwrap();
        let second = look(2);
        tokio::task::yield_now().await;
        assert_eq!(known.borrow().as_deref(), Some(&1));
        first.abort();
        known.wait_for(|known| known.as_deref() == Some(&2)).await.unwrap();
        second.abort();
    }

    #[tokio::test]
    async fn a_miss_is_heard_even_by_who_was_not_listening_at_that_moment() {
        let lookout = Lookout::<u32>::new();
        let mut missed = lookout.missed();
        assert!(!missed.has_changed().unwrap());
        lookout.miss();
        missed.changed().await.unwrap();
    }
}
