//! Accepts connections on one thread and hands them to the workers, fewest connections first.
//!
//! Invariants: every connection is counted from accept to close, by a ticket that it owns; a listener that is full trades the
//! longest idle connection for the new one, and closes the new one at once where none has been idle for a moment; out of open files it pauses and
//! never spins; once told to stop it first takes what already waits.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;

use super::PeerIdentity;
use super::connections::{Accepted, WorkerQueue};
use super::listener::{Listener, Stream, WatchedListener};
use super::ticket::{Counts, Ticket};
use super::tls::ServerTls;
use crate::telemetry::labels::{self, ConnectionRefusal};
use crate::telemetry::metrics::Metrics;

/// Waits of an acceptor that is out of open files: the first, and the longest.
const BACK_OFF: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(100);

/// A listener, and what is known of it.
#[derive(Debug)]
pub struct Accepting {
    /// The socket.
    pub listener: Listener,
    /// Its name.
    pub label: labels::Listener,
    /// What is spoken on it before HTTP, if anything.
    pub tls: Option<ServerTls>,
    /// How many connections it may have.
    pub limits: ConnectionLimits,
}

/// How many connections a listener may have.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub connections_max: usize,
    /// Of one IPv4 address or IPv6 /64; 0: no limit.
    pub per_source_max: usize,
}

struct Acceptor {
    limits: ConnectionLimits,
    tls: Option<ServerTls>,
    counts: Arc<Counts>,
    workers: Vec<WorkerQueue>,
}

/// Accepts until `stop` is ready or no worker is left, then takes what waits in the backlog and closes the listener.
///
/// # Errors
/// Where the listener cannot be watched.
pub async fn accept(
    accepting: Accepting,
    metrics: Arc<Metrics>,
    workers: Vec<WorkerQueue>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let Accepting { listener, label, tls, limits } = accepting;
    metrics.connections_max(label, limits.connections_max);
    let mut acceptor = Acceptor { limits, tls, counts: Counts::new(label, metrics), workers };
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
                    self.counts.refused(ConnectionRefusal::OpenFiles);
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
        let full = self.counts.total() >= self.limits.connections_max;
        if self.is_full_for(source) {
            self.counts.refused(ConnectionRefusal::Source);
            return true;
        }
        let peer = PeerIdentity { source, ..PeerIdentity::default() };

        self.workers.retain(|worker| !worker.is_closed());
        let order = |worker: &WorkerQueue| match full {
            // The worker with the longest idle connection; the others have none to give, or a younger one.
            true => usize::MAX - usize::try_from(worker.load().longest_idle_millis()).unwrap_or(usize::MAX),
            false => worker.load().connections(),
        };
        // Each asked once: what they say changes meanwhile, and a sort that sees two orders may panic.
        self.workers.sort_by_cached_key(order);
        let Some(first) = self.workers.first() else { return false };
        let (tls, ticket) = (self.tls.clone(), self.ticket(first, source));
        let mut accepted = Accepted { stream, peer, tls, ticket, in_place_of_idle: full };
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
        Ticket::new(&self.counts, worker.load(), source.filter(|_| limited))
    }

    fn is_full_for(&self, source: Option<IpAddr>) -> bool {
        let max = self.limits.per_source_max;
        max > 0 && source.is_some_and(|source| self.counts.of_source(source) >= max)
    }
}

/// Whether it is our want of something that refused the connection: open files, or memory.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| shortages.iter().any(|shortage| shortage.raw_os_error() == code))
}
