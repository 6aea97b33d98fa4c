//! The way from the store to its connection: trips go in, and each comes back once, answered or not.
//!
//! Invariants: the queue is bounded, and while there is no connection nothing enters it; a trip that was never sent is
//! [`StoreError::Unavailable`], one that was sent and not answered is [`StoreError::TimedOut`] or [`StoreError::Broken`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::server_info::ServerId;
use super::tags::Tags;
use super::trip::Trip;
use crate::store::StoreError;

/// Trips that may wait for their turn: several for each actor of a worker.
pub(super) const TRIPS_WAITING_MAX: usize = 80;

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
    /// The server that was greeted last.
    server: RefCell<Option<ServerId>>,
    /// Where what the journal knows holds there, as it was found at a generation of the journal's; `None` where it was not looked up.
    settled: Cell<Option<(u64, Tags)>>,
    greeted: Notify,
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
            server: RefCell::new(None),
            settled: Cell::new(None),
            greeted: Notify::new(),
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

    pub(super) fn state(&self) -> &Rc<LinkState> {
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

    /// The server that serves, or did last.
    pub(super) fn server(&self) -> Option<ServerId> {
        self.server.borrow().clone()
    }

    /// Another connection is about to serve, to this server.
    pub(super) fn met(&self, server: ServerId) {
        let mut known = self.server.borrow_mut();
        if known.as_ref() != Some(&server) {
            self.settled.set(None);
            *known = Some(server);
        }
    }

    /// The server that serves says which history its data belong to: another after a failover that came and went.
    pub(super) fn continues(&self, replication_id: &str) {
        let mut known = self.server.borrow_mut();
        if let Some(server) = known.as_mut().filter(|server| server.replication_id != replication_id) {
            replication_id.clone_into(&mut server.replication_id);
            self.settled.set(None);
            self.greeted.notify_one();
        }
    }

    /// For which tags the journal of revocations holds on the server that serves, if it was looked up in this generation.
    pub(super) fn settled_at(&self, generation: u64) -> Option<Tags> {
        self.settled.get().filter(|(at, _)| *at == generation).map(|(_, settled)| settled)
    }

    /// For which it was found to hold there.
    pub(super) fn settle(&self, generation: u64, settled: Tags) {
        self.settled.set(Some((generation, settled)));
    }

    pub(super) fn is_up(&self) -> bool {
        self.status.get() == Status::Up
    }

    /// Waits for the next connection.
    pub(super) async fn greeted(&self) {
        self.greeted.notified().await;
    }

    pub(super) fn connected(&self) {
        self.greeted.notify_one();
        self.connection.set(self.connection.get() + 1);
        self.status.set(Status::Up);
    }

    pub(super) fn reconnecting(&self) {
        self.status.set(Status::Connecting);
    }

    pub(super) fn down(&self, error: StoreError) {
        self.status.set(Status::Down(error));
    }
}
