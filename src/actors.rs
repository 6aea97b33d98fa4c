//! The workers of the house: tasks that own state, or gather batches, and are reached only through handles.
//!
//! # Invariants
//! - **Arrows point down.** An actor holds a store, never another actor's handle: with bounded mailboxes a circle of asks is a
//!   deadlock.
//! - **Messages stay home.** A message type is private to its file; a handle's method is the only way to send one.
//! - **Every queue has a limit.** A mailbox that is full, or whose actor is too far behind, refuses at once with
//!   [`ActorError::Overloaded`].
//! - **The inbox outlives its actor.** A panic costs the batches in hand, never the queue.
//! - **Nobody hangs.** Each ask has a [`Deadline`]; a dropped reply says [`ActorError::Lost`].
//! - **One thread.** A worker's actors and handles live and die on its thread; nothing of them is `Send`. The [`courier`] and the
//!   [`verifier`] are the process's.
//!
//! # What is *not* here
//! No HTTP type, no Redis command, no metric name.
//!
//! # To add an actor
//! Copy the shape of [`minter`], which leaves it to [`window`] how many of its batches are under way, name it as a noun of agency, spawn it in `worker.rs`, draw its arrow in ARCHITECTURE.md.

mod admission;
mod arrivals;
mod asks;
pub mod authenticator;
pub mod courier;
pub(crate) mod deadlines;
pub mod guesses;
pub mod inspector;
pub mod limiter;
pub(crate) mod mailbox;
pub mod minter;
pub mod notary;
mod pace;
pub mod revoker;
pub mod supervisor;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod verifier;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::deadlines::Deadlines;
use self::mailbox::{Capacity, Mailbox, mailbox};
use self::supervisor::{Actor, Supervised, supervise};
use crate::store::StoreError;
use crate::telemetry::labels::ActorName;
use crate::telemetry::metrics::Metrics;

/// The moment after which a request is not worth an answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// Why an actor gave no answer. None of it says anything about a client or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorError {
    /// Too much waits before it: nothing was done.
    Overloaded,
    /// The deadline passed first: it may still be done.
    TimedOut,
    /// The actor died with the message: it may have been done.
    Lost,
    /// The store could not say.
    Store(StoreError),
    /// Keys that somebody publishes could not be fetched, and without them nobody can tell.
    KeysUnknown {
        /// Seconds until it is worth while to ask again.
        retry_after_seconds: u32,
    },
}

/// What every actor of a worker shares: the sweep of overdue asks, the metrics, how much may wait.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) deadlines: Deadlines,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) capacity: Capacity,
}

impl Surroundings {
    /// A supervised actor's mailbox and task.
    fn start<M: 'static, T: 'static, A: Actor<M>>(
        &self,
        name: ActorName,
        make: impl FnMut() -> A + 'static,
    ) -> (Mailbox<M, T>, Supervised) {
        let (mailbox, inbox) = mailbox(self.capacity, self.deadlines.clone(), self.metrics.mailbox(name));
        let metrics = self.metrics.clone();
        (mailbox, Box::pin(supervise(name, inbox, make, move |name| metrics.actor_restarted(name))))
    }
}

impl Deadline {
    /// `timeout` from `start` on.
    pub fn after(start: Instant, timeout: Duration) -> Self {
        Self(start + timeout)
    }

    /// The moment.
    pub fn instant(self) -> Instant {
        self.0
    }
}

impl From<StoreError> for ActorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for ActorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded => f.write_str("overloaded"),
            Self::TimedOut => f.write_str("the deadline passed"),
            Self::Lost => f.write_str("an actor died with the request"),
            Self::Store(error) => error.fmt(f),
            Self::KeysUnknown { .. } => f.write_str("keys could not be fetched"),
        }
    }
}

impl std::error::Error for ActorError {}
