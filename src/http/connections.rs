//! A worker's share of the connections: takes them from its queue, sweeps them, gives up the longest idle one, sees them out.
//!
//! Invariants: every connection is a task of this set and ends with it; while the service drains each is asked to leave after its
//! next answer; once the queue is closed those that stay idle are closed, and the rest end with the answer that has begun.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::PeerIdentity;
use super::activity::{Activity, CoarseClock, Order, SWEEP_INTERVAL};
use super::connection;
use super::listener::Stream;
use super::router::Router;
use super::secured;
use super::ticket::Ticket;
use super::tls::ServerTls;
use super::tls::arriving::{Arriving, Socket};

pub use super::ticket::Load;

/// Accepted connections that wait for one worker.
const QUEUE_MAX: usize = 256;

/// How long a connection must have been idle to go for a new one. Else a flood would drive out clients that are at work, in the
/// moment between two of their requests, while its own connections hide behind half a head.
const IDLE_ENOUGH_MILLIS: u64 = 200;

/// Idle connections found at a time when one must go: a flood of new ones must not cost a look at all for each.
const VICTIMS_MAX: usize = 64;

/// Where the acceptor puts a worker's connections. Dropped, the worker sees its connections out and ends.
#[derive(Clone, Debug)]
pub struct WorkerQueue {
    sender: mpsc::Sender<Accepted>,
    load: Arc<Load>,
}

/// Where a worker takes them from.
#[derive(Debug)]
pub struct WorkerInbox {
    receiver: mpsc::Receiver<Accepted>,
    load: Arc<Load>,
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: PeerIdentity,
    /// What it must speak first.
    pub(super) tls: Option<ServerTls>,
    pub(super) ticket: Ticket,
    /// The listener is full: it may stay if an idle one goes.
    pub(super) in_place_of_idle: bool,
}

/// A connection about to be served.
struct Start {
    router: Rc<Router>,
    activity: Rc<Activity>,
    peer: PeerIdentity,
    tls: Option<ServerTls>,
    ticket: Ticket,
}

/// The connections of one worker and listener.
struct Connections {
    router: Rc<Router>,
    load: Arc<Load>,
    started: Instant,
    clock: CoarseClock,
    activities: Vec<Rc<Activity>>,
    tasks: JoinSet<()>,
    /// Idle when last looked at, the longest first at the end, with the time since when.
    victims: Vec<(u64, Rc<Activity>)>,
    closing: bool,
    jitter: u64,
}

/// A worker's queue.
pub fn queue() -> (WorkerQueue, WorkerInbox) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let load = Arc::<Load>::default();
    (WorkerQueue { sender, load: load.clone() }, WorkerInbox { receiver, load })
}

/// Serves what comes through the queue, until the queue is closed and the last connection has ended; dropped, it ends them all.
/// To be called within a `LocalSet` or a local runtime.
pub async fn serve(router: Rc<Router>, inbox: WorkerInbox) {
    let WorkerInbox { mut receiver, load } = inbox;
    let mut connections = Connections::new(router, load);
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !(connections.closing && connections.tasks.is_empty()) {
        tokio::select! {
            accepted = receiver.recv(), if !connections.closing => match accepted {
                Some(accepted) => connections.admit(accepted),
                None => connections.closing = true,
            },
            Some(ended) = connections.tasks.join_next() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    tracing::error!(event = "warning", "a connection's task panicked");
                }
            }
            _ = sweeps.tick() => connections.sweep(),
        }
    }
}

impl Connections {
    fn new(router: Rc<Router>, load: Arc<Load>) -> Self {
        Self {
            router,
            load,
            started: Instant::now(),
            clock: CoarseClock::default(),
            activities: Vec::new(),
            tasks: JoinSet::new(),
            victims: Vec::new(),
            closing: false,
            jitter: RandomState::new().build_hasher().finish(),
        }
    }

    fn admit(&mut self, accepted: Accepted) {
        let Accepted { stream, peer, tls, ticket, in_place_of_idle } = accepted;
        self.clock.set(self.started.elapsed());
        if in_place_of_idle && !self.give_up_longest_idle() {
            ticket.refused();
            return;
        }
        let activity = Activity::new(self.clock.clone(), self.age());
        let start = Start { router: self.router.clone(), activity: activity.clone(), peer, tls, ticket };
        let tasks = &mut self.tasks;
        // A socket that the runtime cannot watch is closed again.
        let started = match stream {
            Stream::Tcp(stream) => TcpStream::from_std(stream).map(|stream| start.serving(stream, tasks)),
            Stream::Unix(stream) => UnixStream::from_std(stream).map(|stream| start.serving(stream, tasks)),
        };
        if started.is_ok() {
            self.activities.push(activity);
        }
    }

    /// The configured age, 10 % more or less: connections that came together must not all leave together.
    fn age(&mut self) -> Option<Duration> {
        let age = self.router.services().shared.limits.connection_age;
        if age.is_zero() {
            return None;
        }
        // A step of a linear congruential generator (Knuth's constants): no secret hangs on it.
        self.jitter = self.jitter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let thousandths = 900 + u32::try_from((self.jitter >> 33) % 201).unwrap_or(100);
        Some(age / 1000 * thousandths)
    }

    /// Whether an idle connection was closed.
    fn give_up_longest_idle(&mut self) -> bool {
        for looked in [false, true] {
            if looked {
                self.find_victims();
            }
            while let Some((since, activity)) = self.victims.pop() {
                if activity.is_idle() && activity.since() == since && activity.order() < Order::Cut {
                    activity.tell(Order::Cut);
                    return true;
                }
            }
        }
        false
    }

    fn find_victims(&mut self) {
        let now = self.clock.now();
        let idle_enough = |activity: &&Rc<Activity>| {
            let idle_millis = now.saturating_sub(activity.since());
            activity.is_idle() && idle_millis >= IDLE_ENOUGH_MILLIS && activity.order() < Order::Cut
        };
        let idle = self.activities.iter().filter(idle_enough);
        self.victims.extend(idle.map(|activity| (activity.since(), activity.clone())));
        let by_since = |(since, _): &(u64, Rc<Activity>)| *since;
        if self.victims.len() > VICTIMS_MAX {
            self.victims.select_nth_unstable_by_key(VICTIMS_MAX, by_since);
            self.victims.truncate(VICTIMS_MAX);
        }
        self.victims.sort_unstable_by_key(|victim| std::cmp::Reverse(by_since(victim)));
        self.victims.shrink_to(VICTIMS_MAX);
    }

    fn sweep(&mut self) {
        self.clock.set(self.started.elapsed());
        let (now, timers) = (self.clock.now(), self.router.timers());
        let leaving = self.closing || self.router.services().shared.health.draining();
        let mut longest_idle = 0;
        self.activities.retain(|activity| {
            if activity.is_over() {
                return false;
            }
            activity.sweep(&timers);
            let idle = if activity.is_idle() { now.saturating_sub(activity.since()) } else { 0 };
            longest_idle = longest_idle.max(idle);
            if leaving {
                // One that has just come may have sent bytes that nobody has seen yet.
                let idle_too_long = self.closing && idle > 2 * SWEEP_INTERVAL.as_millis() as u64;
                activity.tell(if idle_too_long { Order::LeaveIfIdle } else { Order::Leave });
            }
            true
        });
        self.load.set_longest_idle_millis(longest_idle);
    }
}

impl Start {
    fn serving(self, stream: impl Socket + 'static, tasks: &mut JoinSet<()>) {
        let Self { router, activity, peer, tls, ticket } = self;
        match tls {
            None => tasks.spawn_local(holding(ticket, connection::serve(stream, peer, router, activity))),
            Some(tls) => {
                let serving = secured::serve(Arriving::new(stream), tls, peer, router, activity);
                tasks.spawn_local(holding(ticket, serving))
            }
        };
    }
}

/// The connection's place in the count lasts as long as its task.
async fn holding(ticket: Ticket, serving: impl Future<Output = ()>) {
    serving.await;
    drop(ticket);
}

impl WorkerQueue {
    /// What is known of the worker.
    pub fn load(&self) -> &Arc<Load> {
        &self.load
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn try_send(&self, accepted: Accepted) -> Result<(), TrySendError<Accepted>> {
        self.sender.try_send(accepted)
    }

    /// Whether the worker is still there.
    pub(super) async fn send(&self, accepted: Accepted) -> bool {
        self.sender.send(accepted).await.is_ok()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.tasks.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
