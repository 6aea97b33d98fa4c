//! Counts connections: by listener, by worker, by source.
//!
//! Invariant: a connection is counted from accept to close, wherever it ends, because what is counted is a value that it owns.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::oauth::source::Source;
use crate::telemetry::labels::{ConnectionRefusal, Label, Listener};
use crate::telemetry::metrics::Metrics;

/// Between two log lines about a listener's limits: a flood of connections must be no flood of lines.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// One connection's place: dropped, the place is free.
#[derive(Debug)]
pub(super) struct Ticket {
    counts: Arc<Counts>,
    load: Arc<Load>,
    source: Option<Source>,
}

/// A listener's connections.
#[derive(Debug)]
pub(super) struct Counts {
    listener: Listener,
    metrics: Arc<Metrics>,
    total: AtomicUsize,
    by_source: Mutex<HashMap<Source, usize>>,
    logged_at: Mutex<Option<Instant>>,
}

/// What the acceptor knows of a worker.
#[derive(Debug, Default)]
pub struct Load {
    connections: AtomicUsize,
    longest_idle_millis: AtomicU64,
}

impl Counts {
    pub(super) fn new(listener: Listener, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            listener,
            metrics,
            total: AtomicUsize::new(0),
            by_source: Mutex::default(),
            logged_at: Mutex::default(),
        })
    }

    /// Connections in all.
    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    /// Connections of one source, where sources are counted.
    pub(super) fn of_source(&self, address: IpAddr) -> usize {
        self.by_source().get(&Source::of(address)).copied().unwrap_or(0)
    }

    fn by_source(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One was refused: counted always, logged once in a while.
    pub(super) fn refused(&self, reason: ConnectionRefusal) {
        self.metrics.connection_refused(self.listener, reason);
        let mut logged_at = self.logged_at.lock().unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            *logged_at = Some(Instant::now());
            let (limit, listener) = (reason.as_str(), self.listener.as_str());
            tracing::warn!(event = "limit_reached", limit, listener, "connections are refused");
        }
    }
}

impl Ticket {
    /// Of a connection on its way to the worker with this load. `source`: where sources are counted.
    pub(super) fn new(counts: &Arc<Counts>, load: &Arc<Load>, source: Option<IpAddr>) -> Self {
        let source = source.map(Source::of);
        counts.total.fetch_add(1, Ordering::AcqRel);
        counts.metrics.connections_changed(counts.listener, 1.0);
        load.changed(true);
        if let Some(source) = source {
            *counts.by_source().entry(source).or_insert(0) += 1;
        }
        Self { counts: counts.clone(), load: load.clone(), source }
    }

    /// It goes to another worker.
    pub(super) fn moved_to(mut self, load: &Arc<Load>) -> Self {
        if !Arc::ptr_eq(&self.load, load) {
            self.load.changed(false);
            self.load = load.clone();
            self.load.changed(true);
        }
        self
    }

    /// The listener was full, and no connection idle.
    pub(super) fn refused(&self) {
        self.counts.refused(ConnectionRefusal::Total);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.counts.total.fetch_sub(1, Ordering::AcqRel);
        self.counts.metrics.connections_changed(self.counts.listener, -1.0);
        self.load.changed(false);
        if let Some(source) = self.source {
            let mut by_source = self.counts.by_source();
            if let Some(count) = by_source.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    by_source.remove(&source);
                }
            }
        }
    }
}

impl Load {
    /// Its connections, those in its queue among them.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn longest_idle_millis(&self) -> u64 {
        self.longest_idle_millis.load(Ordering::Relaxed)
    }

    pub(super) fn set_longest_idle_millis(&self, millis: u64) {
        self.longest_idle_millis.store(millis, Ordering::Relaxed);
    }

    fn changed(&self, opened: bool) {
        if opened {
            self.connections.fetch_add(1, Ordering::Relaxed);
        } else {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::exporter::Exporter;

    #[test]
    fn a_connection_is_counted_as_long_as_its_ticket_lives() {
        let counts = Counts::new(Listener::Public, Arc::new(Exporter::new("0", "0").register(1)));
        let (one, other) = (Arc::<Load>::default(), Arc::<Load>::default());
        let source: IpAddr = "2001:db8::1".parse().unwrap();
        let ticket = Ticket::new(&counts, &one, Some(source)).moved_to(&other);
        assert_eq!((counts.total(), one.connections(), other.connections()), (1, 0, 1));
        // Of one household, and not of another.
        let neighbours = ["2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1"].map(|text| text.parse().unwrap());
        assert_eq!(neighbours.map(|address| counts.of_source(address)), [1, 0, 0]);
        drop(ticket);
        assert_eq!((counts.total(), other.connections(), counts.of_source(source)), (0, 0, 0));
    }
}
