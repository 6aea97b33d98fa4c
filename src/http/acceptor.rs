//! Accepts connections on one thread and hands them to the workers, fewest connections first.
//!
//! Invariants: every connection is counted from accept to close, by a [`Ticket`] that it owns; a listener that is full trades the
//! longest idle connection for the new one, and closes the new one at once where none is idle; out of open files it pauses and
//! never spins; once told to stop it first takes what already waits.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::PeerIdentity;
use super::connections::{Accepted, Load, WorkerQueue};
use super::listener::{Listener, Stream, WatchedListener};
use crate::telemetry::labels::{self, ConnectionRefusal, Label};
use crate::telemetry::metrics::Metrics;

/// Waits of an acceptor that is out of open files: the first, and the longest.
const BACK_OFF: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(100);

/// Between two log lines about limits.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How many connections a listener may have.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub connections_max: usize,
    /// Of one IPv4 address or IPv6 /64; 0: no limit.
    pub per_source_max: usize,
}

/// One connection's place: dropped, the place is free.
#[derive(Debug)]
pub(super) struct Ticket {
    counts: Arc<Counts>,
    load: Arc<Load>,
    source: Option<Source>,
}

/// A listener's connections.
#[derive(Debug)]
struct Counts {
    listener: labels::Listener,
    metrics: Arc<Metrics>,
    total: AtomicUsize,
    by_source: Mutex<HashMap<Source, usize>>,
}

/// What counts as one source: an IPv4 address, or an IPv6 /64, which is what one household gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    V6(u64),
}

struct Acceptor {
    limits: ConnectionLimits,
    counts: Arc<Counts>,
    workers: Vec<WorkerQueue>,
    logged_at: Option<Instant>,
}

/// Accepts until `stop` is ready or no worker is left, then takes what waits in the backlog and closes the listener.
///
/// # Errors
/// Where the listener cannot be watched.
pub async fn accept(
    listener: Listener,
    label: labels::Listener,
    limits: ConnectionLimits,
    metrics: Arc<Metrics>,
    workers: Vec<WorkerQueue>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    metrics.connections_max(label, limits.connections_max);
    let counts = Counts { listener: label, metrics, total: AtomicUsize::new(0), by_source: Mutex::default() };
    let mut acceptor = Acceptor { limits, counts: Arc::new(counts), workers, logged_at: None };
    let watched = WatchedListener::new(listener)?;
    tokio::select! {
        biased;
        () = stop => {}
        () = acceptor.accept_for_ever(&watched) => return Ok(()),
    }
    for (stream, source) in watched.into_backlog()? {
        if !acceptor.place(stream, source).await {
            break;
        }
    }
    Ok(())
}

impl Acceptor {
    /// Until no worker is left.
    async fn accept_for_ever(&mut self, listener: &WatchedListener) {
        let mut back_off = BACK_OFF;
        loop {
            match listener.accept().await {
                Ok((stream, source)) => {
                    back_off = BACK_OFF;
                    if !self.place(stream, source).await {
                        return;
                    }
                }
                Err(error) if is_shortage(&error) => {
                    self.refused(ConnectionRefusal::OpenFiles);
                    tokio::time::sleep(back_off).await;
                    back_off = BACK_OFF_MAX.min(2 * back_off);
                }
                // The client was gone before we came to it.
                Err(_) => {}
            }
        }
    }

    /// Gives a connection to a worker. Whether any worker is left.
    async fn place(&mut self, stream: Stream, source: Option<IpAddr>) -> bool {
        let full = self.counts.total.load(Ordering::Acquire) >= self.limits.connections_max;
        if !self.within_source_limit(source) {
            self.refused(ConnectionRefusal::Source);
            return true;
        }
        let peer = PeerIdentity { source, certificate: None };

        self.workers.retain(|worker| !worker.is_closed());
        let order = |worker: &WorkerQueue| match full {
            // The worker with the longest idle connection; the others have none to give, or a younger one.
            true => usize::MAX - usize::try_from(worker.load().longest_idle_millis()).unwrap_or(usize::MAX),
            false => worker.load().connections(),
        };
        self.workers.sort_by_key(order);
        let Some(first) = self.workers.first() else { return false };
        let mut accepted = Accepted { stream, peer, ticket: self.ticket(first, source), in_place_of_idle: full };
        for worker in &self.workers {
            accepted.ticket = accepted.ticket.moved_to(worker.load());
            match worker.try_send(accepted) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => accepted = back,
            }
        }
        // All are busy: the backlog fills meanwhile, which is where connections may wait.
        accepted.ticket = accepted.ticket.moved_to(first.load());
        first.send(accepted).await
    }

    fn ticket(&self, worker: &WorkerQueue, source: Option<IpAddr>) -> Ticket {
        let limited = self.limits.per_source_max > 0;
        Ticket::new(self.counts.clone(), worker.load().clone(), source.filter(|_| limited).map(Source::of))
    }

    fn within_source_limit(&self, source: Option<IpAddr>) -> bool {
        let (max, Some(source)) = (self.limits.per_source_max, source) else { return true };
        max == 0 || self.counts.by_source().get(&Source::of(source)).is_none_or(|&count| count < max)
    }

    fn refused(&mut self, reason: ConnectionRefusal) {
        self.counts.refused(reason);
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            self.logged_at = Some(Instant::now());
            let (limit, listener) = (reason.as_str(), self.counts.listener.as_str());
            tracing::warn!(event = "limit_reached", limit, listener, "connections are refused");
        }
    }
}

/// Whether it is our want of something that refused the connection: open files, or memory.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| shortages.iter().any(|shortage| shortage.raw_os_error() == code))
}

impl Counts {
    fn by_source(&self) -> std::sync::MutexGuard<'_, HashMap<Source, usize>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, reason: ConnectionRefusal) {
        self.metrics.connection_refused(self.listener, reason);
    }
}

impl Ticket {
    fn new(counts: Arc<Counts>, load: Arc<Load>, source: Option<Source>) -> Self {
        counts.total.fetch_add(1, Ordering::AcqRel);
        counts.metrics.connections_changed(counts.listener, 1.0);
        load.changed(true);
        if let Some(source) = source {
            *counts.by_source().entry(source).or_insert(0) += 1;
        }
        Self { counts, load, source }
    }

    fn moved_to(mut self, load: &Arc<Load>) -> Self {
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

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests;
