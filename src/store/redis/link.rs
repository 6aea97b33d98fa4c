//! The way from the store to its connection: trips go in, and each comes back once, answered or not.
//!
//! Invariants: the queue is bounded, and while there is no connection nothing enters it; a trip that was never sent is
//! [`StoreError::Unavailable`], one that was sent and not answered is [`StoreError::TimedOut`] or [`StoreError::Broken`].

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::trip::Trip;
use crate::store::StoreError;

/// Trips that may wait for their turn: several for each actor of a worker.
pub(super) const TRIPS_WAITING_MAX: usize = 64;

/// The store's end.
#[derive(Clone, Debug)]
pub(super) struct Link {
    trips: mpsc::Sender<Exchange>,
    state: Rc<LinkState>,
}

/// A trip on its way, and who waits for it.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) trip: Trip,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Trip, StoreError>>,
}

/// What both ends know of the connection.
#[derive(Debug)]
pub(super) struct LinkState {
    status: Cell<Status>,
    connection: Cell<u64>,
    up: Arc<AtomicBool>,
}

/// How the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It serves.
    Up,
    /// It has just begun or just broke, and one attempt to connect is under way: what is asked waits for that.
    Connecting,
    /// Attempts fail for this reason: what is asked is answered at once.
    Down(StoreError),
}

impl Link {
    /// A link and the connection's end of it.
    pub(super) fn new() -> (Self, mpsc::Receiver<Exchange>, Rc<LinkState>) {
        let (trips, inbox) = mpsc::channel(TRIPS_WAITING_MAX);
        let state = Rc::new(LinkState {
            status: Cell::new(Status::Connecting),
            connection: Cell::new(0),
            up: Arc::new(AtomicBool::new(false)),
        });
        (Self { trips, state: Rc::clone(&state) }, inbox, state)
    }

    /// Sends a trip and waits for its replies, which are judged when they come back.
    pub(super) async fn exchange(&self, trip: Trip, deadline: Instant) -> Result<Trip, StoreError> {
        if let Status::Down(error) = self.state.status() {
            return Err(error);
        }
        let (reply, answer) = oneshot::channel();
        let exchange = Exchange { trip, deadline, reply };
        self.trips.try_send(exchange).map_err(|_| StoreError::Unavailable)?;
        // The connection answers each trip, by its deadline at the latest; it dies unanswered only with its task.
        answer.await.unwrap_or(Err(StoreError::Broken))
    }

    pub(super) fn state(&self) -> &LinkState {
        &self.state
    }
}

impl LinkState {
    pub(super) fn status(&self) -> Status {
        self.status.get()
    }

    /// Which of the worker's connections this is; none is numbered 0.
    pub(super) fn connection(&self) -> u64 {
        self.connection.get()
    }

    /// Whether the store can be reached, for other threads to read.
    pub(super) fn up(&self) -> &Arc<AtomicBool> {
        &self.up
    }

    pub(super) fn connected(&self) {
        self.connection.set(self.connection.get() + 1);
        self.status.set(Status::Up);
        self.up.store(true, Ordering::Release);
    }

    pub(super) fn reconnecting(&self) {
        self.status.set(Status::Connecting);
    }

    pub(super) fn down(&self, error: StoreError) {
        self.status.set(Status::Down(error));
        self.up.store(false, Ordering::Release);
    }
}
