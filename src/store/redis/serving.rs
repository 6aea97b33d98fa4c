//! A connection that serves: trips out, replies in, in order, until it breaks.
//!
//! Invariants: nothing is sent twice; replies are handed on only once their whole trip is judged; every trip is answered by its
//! deadline; a server that turns out to be no primary any more serves nobody for longer than a second.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use redis::{ServerError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::breaker::Breaker;
use super::commands::Commands;
use super::errors;
use super::handshake;
use super::link::{Exchange, LinkState};
use super::trip::{Disbelief, Trip};
use super::wire::{Wire, WireBroken};
use crate::failpoint::{self, FailPoint};
use crate::store::StoreError;

/// The next trip leaves when the one before is answered, or has been on its way for so long. On a near Redis one at a time is the cheapest:
/// the next batch gathers meanwhile. On a far one each actor spaces its batches itself, and what it sends should not wait once more.
const NEAR: Duration = Duration::from_millis(1);
/// Trips of callers under way at once: all that the four actors of a worker may send.
const TRIPS_UNDER_WAY_MAX: usize = 64;
/// How often the server is asked whether it is still a primary.
const ROLE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// One connection while it serves.
pub(super) struct Serving<'a, S> {
    wire: Wire<S>,
    inbox: &'a mut mpsc::Receiver<Exchange>,
    inbox_closed: bool,
    commands: &'a mut Commands,
    breaker: &'a mut Breaker,
    operation_timeout: Duration,
    state: &'a LinkState,
    one_at_a_time: bool,
    under_way: VecDeque<UnderWay>,
    callers_under_way: usize,
    /// Asked for, and to be sent once its turn comes. The others wait in the inbox.
    next: Option<Exchange>,
    /// When what comes next need no longer wait for an answer.
    turn: Instant,
    next_role_check: Instant,
    timer: Pin<Box<Sleep>>,
}

struct UnderWay {
    trip: Trip,
    deadline: Instant,
    waiter: Waiter,
}

enum Waiter {
    Caller(oneshot::Sender<Result<Trip, StoreError>>),
    RoleCheck,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody will ask again.
    NoStoreLeft,
    /// A trip was not answered in time.
    TimedOut,
    /// It broke, or what came could not be believed.
    Broken,
    /// The server does not serve us any more, for this reason.
    TurnedAway(StoreError),
}

enum Event {
    Reply(Value),
    Turn(Exchange),
    NobodyAsks,
    Alarm,
    Broken,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Serving<'a, S> {
    pub(super) fn new(
        wire: Wire<S>,
        inbox: &'a mut mpsc::Receiver<Exchange>,
        state: &'a LinkState,
        commands: &'a mut Commands,
        breaker: &'a mut Breaker,
        operation_timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        let next_role_check = now + ROLE_CHECK_EVERY;
        Self {
            wire,
            inbox,
            inbox_closed: false,
            commands,
            breaker,
            operation_timeout,
            state,
            one_at_a_time: false,
            under_way: VecDeque::new(),
            callers_under_way: 0,
            next: None,
            turn: now,
            next_role_check,
            timer: Box::pin(sleep_until(next_role_check)),
        }
    }

    /// Where each trip may hold the connection up: one under way, and none that could not be held up for as long as it may be.
    pub(super) fn one_at_a_time(mut self, one_at_a_time: bool) -> Self {
        self.one_at_a_time = one_at_a_time;
        self
    }

    /// Serves what was held for this connection, then what is asked. What was asked and not sent comes back.
    pub(super) async fn run(mut self, held: Vec<Exchange>) -> (Ending, Option<Exchange>) {
        for exchange in held {
            self.send(exchange);
        }
        let ending = loop {
            if self.inbox_closed && self.callers_under_way == 0 && self.next.is_none() {
                break Ending::NoStoreLeft;
            }
            let event = poll_fn(|context| self.poll_event(context)).await;
            let step = match event {
                Event::Reply(reply) => self.take(reply),
                Event::Alarm => self.look_at_the_clock(),
                Event::Broken => Err(Ending::Broken),
                Event::Turn(exchange) => {
                    self.send(exchange);
                    Ok(())
                }
                Event::NobodyAsks => {
                    self.inbox_closed = true;
                    Ok(())
                }
            };
            if let Err(ending) = step {
                break ending;
            }
        };
        self.give_up(if ending == Ending::TimedOut { StoreError::TimedOut } else { StoreError::Broken });
        (ending, self.next)
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Err(_)) = self.wire.poll_send(context) {
            return Poll::Ready(Event::Broken);
        }
        // A reply that has come counts, even if this task was late to look.
        match self.wire.poll_reply(context) {
            Poll::Ready(Ok(reply)) => return Poll::Ready(Event::Reply(reply)),
            Poll::Ready(Err(WireBroken::Closed | WireBroken::Io(_) | WireBroken::Garbled(_))) => {
                return Poll::Ready(Event::Broken);
            }
            Poll::Pending => {}
        }
        if self.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Event::Alarm);
        }
        self.poll_turn(context)
    }

    /// The next trip that may leave. Where one must wait, the timer is set for its turn.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if self.next.is_none() && !self.inbox_closed {
            match self.inbox.poll_recv(context) {
                Poll::Ready(None) => return Poll::Ready(Event::NobodyAsks),
                Poll::Ready(asked) => self.next = asked,
                Poll::Pending => {}
            }
        }
        let under_way_max = if self.one_at_a_time { 1 } else { TRIPS_UNDER_WAY_MAX };
        if self.next.is_none() || self.callers_under_way >= under_way_max {
            return Poll::Pending;
        }
        if self.callers_under_way > 0 && Instant::now() < self.turn {
            if self.turn < self.timer.deadline() {
                self.timer.as_mut().reset(self.turn);
            }
            return self.timer.as_mut().poll(context).map(|()| Event::Alarm);
        }
        self.next.take().map_or(Poll::Pending, |exchange| Poll::Ready(Event::Turn(exchange)))
    }

    fn send(&mut self, exchange: Exchange) {
        let Exchange { trip, deadline, reply } = exchange;
        // Nobody waits: do nothing rather than something nobody learns of.
        if reply.is_closed() {
            return;
        }
        let now = Instant::now();
        let held_up = if self.one_at_a_time { self.operation_timeout } else { Duration::ZERO };
        if deadline <= now + held_up {
            let _ = reply.send(Err(StoreError::Unavailable));
            return;
        }
        self.callers_under_way += 1;
        self.turn = now + NEAR;
        self.depart(UnderWay { trip, deadline, waiter: Waiter::Caller(reply) });
    }

    fn depart(&mut self, under_way: UnderWay) {
        self.wire.send(&under_way.trip.request);
        if under_way.deadline < self.timer.deadline() {
            self.timer.as_mut().reset(under_way.deadline);
        }
        self.under_way.push_back(under_way);
    }

    fn take(&mut self, reply: Value) -> Result<(), Ending> {
        // Nothing was asked, so this answers nothing.
        let Some(oldest) = self.under_way.front_mut() else { return Err(Ending::Broken) };
        oldest.trip.replies.push(reply);
        failpoint::reach(FailPoint::StoreConnection);
        if !oldest.trip.is_complete() {
            return Ok(());
        }
        let judged = oldest.trip.judge();
        if judged.is_ok() && self.under_way.len() == 1 && self.wire.has_left_over() {
            return Err(Ending::Broken);
        }
        match judged {
            Err(Disbelief::Garbled(_)) => Err(Ending::Broken),
            Err(Disbelief::EchoRefused(error)) => {
                let error = errors::meaning(&error);
                self.arrive(Err(error))?;
                Err(Ending::TurnedAway(error))
            }
            Ok(()) => {
                self.breaker.answered();
                self.arrive(Ok(()))
            }
        }
    }

    /// Hands the oldest trip to who waits for it.
    fn arrive(&mut self, judged: Result<(), StoreError>) -> Result<(), Ending> {
        let Some(UnderWay { trip, waiter, .. }) = self.under_way.pop_front() else { return Ok(()) };
        match waiter {
            Waiter::RoleCheck => {
                let info = handshake::judge_role_check(&trip.replies).map_err(|lost| Ending::TurnedAway(lost.error))?;
                self.commands.recycle(trip);
                self.state.continues(info.replication_id());
                Ok(())
            }
            Waiter::Caller(reply) => {
                self.callers_under_way -= 1;
                let turned_away = trip.replies.iter().find_map(turned_away);
                let _ = reply.send(judged.map(|()| trip));
                turned_away.map_or(Ok(()), |error| Err(Ending::TurnedAway(errors::meaning(&error))))
            }
        }
    }

    fn look_at_the_clock(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.breaker.failed();
            return Err(Ending::TimedOut);
        }
        if self.next_role_check <= now {
            let mut trip = self.commands.begin();
            handshake::write_role_check(self.commands, &mut trip);
            let deadline = now + self.operation_timeout;
            self.depart(UnderWay { trip, deadline, waiter: Waiter::RoleCheck });
            self.next_role_check = now + ROLE_CHECK_EVERY;
        }
        let alarm = self.next_deadline().map_or(self.next_role_check, |deadline| deadline.min(self.next_role_check));
        self.timer.as_mut().reset(alarm);
        Ok(())
    }

    /// The oldest trip need not be the first that is due: the second one of a question has a deadline of its own.
    fn next_deadline(&self) -> Option<Instant> {
        self.under_way.iter().map(|under_way| under_way.deadline).min()
    }

    fn give_up(&mut self, error: StoreError) {
        for under_way in self.under_way.drain(..) {
            if let Waiter::Caller(reply) = under_way.waiter {
                let _ = reply.send(Err(error));
            }
        }
    }
}

fn turned_away(reply: &Value) -> Option<ServerError> {
    match reply {
        Value::ServerError(error) if errors::ends_connection(error) => Some(error.clone()),
        _ => None,
    }
}
