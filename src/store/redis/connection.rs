//! The task that owns a worker's connection to Redis: it connects, serves, and connects again, for as long as a store is there.
//!
//! Invariants: what is asked while no attempt to connect is promising is answered at once; a change of state is reported once; no
//! failure of any kind ends the attempts.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::breaker::Breaker;
use super::commands::Commands;
use super::connector::Connector;
use super::handshake::{self, Greeted, NotConnected};
use super::link::{Exchange, LinkState, Status, TRIPS_WAITING_MAX};
use super::options::RedisOptions;
use super::server_info::ServerInfo;
use super::serving::{Ending, Serving};
use super::wire::Wire;
use crate::store::StoreError;
use crate::store::observer::{StoreLost, StoreObserver, StoreWarning};

/// How long opening a stream may take: name, TCP, TLS.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);

/// The task's own.
pub(super) struct Connection<C> {
    pub(super) connector: C,
    pub(super) options: Rc<RedisOptions>,
    pub(super) inbox: mpsc::Receiver<Exchange>,
    pub(super) state: Rc<LinkState>,
    pub(super) observer: Rc<dyn StoreObserver>,
    pub(super) commands: Commands,
    pub(super) breaker: Breaker,
    pub(super) reported: Reported,
    /// Whether each of its trips may hold it up.
    pub(super) one_at_a_time: bool,
}

/// What the observer was told last.
#[derive(Debug, Default)]
pub(super) struct Reported {
    lost: Option<StoreError>,
    up: bool,
    evicts: Option<String>,
    by_previous_password: bool,
}

/// Those who ask while there is no connection. For the first attempt after one broke they wait; later they are refused at once.
struct WaitingRoom<'a> {
    inbox: &'a mut mpsc::Receiver<Exchange>,
    state: &'a LinkState,
    /// At most [`TRIPS_WAITING_MAX`].
    held: Vec<Exchange>,
}

/// The last store is gone: nobody will ask again.
struct NoStoreLeft;

impl<C: Connector> Connection<C> {
    /// Runs until the last store is gone and what it asked is answered. A panic counts as a connection that broke: whoever waited is
    /// told so by the reply that it dropped.
    pub(super) async fn run(mut self) {
        while AssertUnwindSafe(self.connect_and_serve()).catch_unwind().await.is_err() {
            tracing::error!(
                event = "task_restarted",
                task = "connection to the store",
                "a task panicked and was started again"
            );
            self.state.down(StoreError::Internal);
        }
    }

    async fn connect_and_serve(&mut self) {
        let mut unsent = None;
        while let Ok((wire, held)) = self.connect(unsent).await {
            self.state.connected();
            let serving = Serving::new(
                wire,
                &mut self.inbox,
                &self.state,
                &mut self.commands,
                &mut self.breaker,
                self.options.operation_timeout,
            )
            .one_at_a_time(self.one_at_a_time);
            let ending;
            (ending, unsent) = serving.run(held).await;
            match ending {
                Ending::NoStoreLeft => return,
                // The next attempt may be as slow, and nobody should wait for two of them.
                Ending::TimedOut => self.state.down(StoreError::Unavailable),
                Ending::Broken => {
                    self.breaker.failed();
                    self.state.reconnecting();
                }
                Ending::TurnedAway(error) => self.state.down(error),
            }
        }
    }

    /// Tries until a server has answered well. What was asked and waited for that, `unsent` among it, comes with the wire.
    async fn connect(&mut self, mut unsent: Option<Exchange>) -> Result<(Wire<C::Stream>, Vec<Exchange>), NoStoreLeft> {
        loop {
            let pause = self.breaker.next_pause();
            let mut greeted = Greeted::default();
            let mut waiting_room = WaitingRoom { inbox: &mut self.inbox, state: &self.state, held: Vec::new() };
            unsent.take().into_iter().for_each(|exchange| waiting_room.receive(exchange));
            let attempt = async {
                sleep(pause).await;
                let wary = self.breaker.is_open();
                open(&self.connector, &mut self.commands, &self.options, wary, &mut greeted).await
            };
            let attempted = waiting_room.attend(attempt).await?;
            let held = waiting_room.held;
            self.report_eviction(&greeted.info);
            match attempted {
                Ok(wire) => {
                    self.connector.served();
                    self.state.met(greeted.info.id());
                    self.report_back(&greeted);
                    return Ok((wire, held));
                }
                Err(failure) => {
                    let lost = self.judge_failure(failure);
                    self.state.down(lost.error);
                    held.into_iter().for_each(|exchange| refuse(exchange, lost.error));
                    self.report_lost(lost);
                }
            }
        }
    }

    fn judge_failure(&mut self, failure: NotConnected) -> StoreLost {
        match failure {
            NotConnected::Failed(lost) | NotConnected::NotLetIn(lost) => lost,
            NotConnected::TimedOut(what) => {
                self.breaker.failed();
                StoreLost { error: StoreError::Unavailable, detail: format!("{what} took too long") }
            }
        }
    }

    fn report_lost(&mut self, mut lost: StoreLost) {
        if self.reported.lost != Some(lost.error) {
            lost.detail = format!("{}: {}", self.options.endpoint, lost.detail);
            self.observer.lost(&lost);
            self.reported.lost = Some(lost.error);
            self.reported.up = false;
        }
    }

    /// Also of a server that is not used because of that.
    fn report_eviction(&self, info: &ServerInfo) {
        if info.is_known() {
            self.observer.eviction_policy(info.evicts().is_none());
        }
    }

    fn report_back(&mut self, greeted: &Greeted) {
        let evicts = greeted.info.evicts().map(ToOwned::to_owned);
        if let Some(policy) = evicts.clone().filter(|_| evicts != self.reported.evicts) {
            self.observer.warning(&StoreWarning::MayEvict(policy));
        }
        self.reported.evicts = evicts;
        let by_previous = std::mem::replace(&mut self.reported.by_previous_password, greeted.by_previous_password);
        if greeted.by_previous_password && !by_previous {
            self.observer.warning(&StoreWarning::PreviousPassword);
        }
        if !std::mem::replace(&mut self.reported.up, true) {
            self.observer.back();
        }
        self.reported.lost = None;
    }
}

impl WaitingRoom<'_> {
    /// Attends to who asks until the attempt has ended.
    async fn attend<T>(&mut self, attempt: impl Future<Output = T>) -> Result<T, NoStoreLeft> {
        let mut attempt = pin!(attempt);
        loop {
            let overdue = self.held.iter().map(|exchange| exchange.deadline).min();
            tokio::select! {
                biased;
                ended = &mut attempt => return Ok(ended),
                asked = self.inbox.recv() => self.receive(asked.ok_or(NoStoreLeft)?),
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                    let now = Instant::now();
                    for exchange in self.held.extract_if(.., |exchange| exchange.deadline <= now) {
                        refuse(exchange, StoreError::Unavailable);
                    }
                }
            }
        }
    }

    fn receive(&mut self, exchange: Exchange) {
        match self.state.status() {
            Status::Down(error) => refuse(exchange, error),
            Status::Up | Status::Connecting if self.held.len() < TRIPS_WAITING_MAX => self.held.push(exchange),
            Status::Up | Status::Connecting => refuse(exchange, StoreError::Unavailable),
        }
    }
}

async fn open<C: Connector>(
    connector: &C,
    commands: &mut Commands,
    options: &RedisOptions,
    wary: bool,
    greeted: &mut Greeted,
) -> Result<Wire<C::Stream>, NotConnected> {
    let opened = timeout(OPEN_TIMEOUT, connector.connect()).await.map_err(|_| NotConnected::TimedOut("connecting"))?;
    let mut wire = Wire::new(opened.map_err(|error| NotConnected::Failed(handshake::not_opened(&error)))?);
    handshake::greet(&mut wire, commands, options, wary, greeted).await?;
    Ok(wire)
}

/// Answers what was never sent. Who no longer waits needs no answer.
fn refuse(exchange: Exchange, error: StoreError) {
    let _ = exchange.reply.send(Err(error));
}

impl<C> fmt::Debug for Connection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("state", &self.state).finish_non_exhaustive()
    }
}
