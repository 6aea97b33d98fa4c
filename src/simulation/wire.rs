//! A connection of the simulation: two lines of bytes, each with a delay of its own, that can be held up, cut and reset.
//!
//! Invariants: bytes of one line arrive in the order in which they were sent, or not at all; how they are sliced and when they arrive
//! is drawn from the seed. What was sent before its sender closed still arrives, however late: a network keeps what it carries.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::dice::Dice;

/// How the network is between one node and its Redis; shared by all their connections.
#[derive(Debug)]
pub(super) struct Weather {
    pub(super) dice: Dice,
    /// Microseconds that bytes are under way: from, to.
    pub(super) delay: Cell<(u64, u64)>,
    /// Bytes arrive in small pieces.
    pub(super) sliced: Cell<bool>,
    /// Nothing that is sent before this moment arrives before it.
    pub(super) held_until: Cell<Option<Instant>>,
    /// Whether connections come about at all.
    pub(super) new_connections: Cell<bool>,
    links: RefCell<Vec<Weak<Link>>>,
}

/// What both ends of a connection share.
#[derive(Debug)]
pub(super) struct Link {
    to_server: Line,
    to_client: Line,
    weather: Rc<Weather>,
    /// Holds up this connection alone, for a while or for ever.
    held_until: Cell<Option<Instant>>,
    pub(super) mischief: Cell<Option<Mischief>>,
}

/// What a liar in the middle does to the next replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    /// Sends one of them twice.
    Doubled,
    /// Sends all of them twice.
    AllDoubled,
    /// Sends all of them again when the next are due, and only then those.
    Repeated,
    /// Leaves one out.
    LeftOut,
    /// Sends something else in place of one.
    Replaced,
    /// Cuts in the middle of one and hangs up.
    Cut,
    /// Puts a push between them, which answers nothing.
    Pushed,
}

#[derive(Debug, Default)]
struct Line {
    flying: RefCell<VecDeque<(Instant, Vec<u8>)>>,
    end: Cell<Option<End>>,
    reader: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its sender sends no more; what is under way arrives.
    Closed,
    /// Both ends learn of it at once, and what was under way is gone.
    Reset,
}

/// One end.
pub(super) struct Stream {
    link: Rc<Link>,
    is_client: bool,
    timer: Pin<Box<Sleep>>,
}

impl Weather {
    pub(super) fn fair(dice: Dice) -> Rc<Self> {
        Rc::new(Self {
            dice,
            delay: Cell::new(FAIR),
            sliced: Cell::default(),
            held_until: Cell::default(),
            new_connections: Cell::new(true),
            links: RefCell::default(),
        })
    }

    pub(super) fn clear(&self) {
        self.delay.set(FAIR);
        self.sliced.set(false);
        self.held_until.set(None);
        self.new_connections.set(true);
    }

    /// Takes note of a connection, so that something can happen to it.
    pub(super) fn opened(&self, link: &Rc<Link>) {
        let mut links = self.links.borrow_mut();
        links.retain(|link| link.upgrade().is_some_and(|link| !link.is_over()));
        links.push(Rc::downgrade(link));
    }

    /// The connections that are open.
    pub(super) fn links(&self) -> Vec<Rc<Link>> {
        let links = self.links.borrow();
        links.iter().filter_map(Weak::upgrade).filter(|link| !link.is_over()).collect()
    }

    pub(super) fn draw_delay(&self) -> Duration {
        let (low, high) = self.delay.get();
        self.dice.micros(low, high)
    }
}

const FAIR: (u64, u64) = (50, 1500);

impl Link {
    /// A connection: the client's end and the server's.
    pub(super) fn open(weather: Rc<Weather>) -> (Rc<Self>, Stream, Stream) {
        let link = Rc::new(Self {
            to_server: Line::default(),
            to_client: Line::default(),
            weather,
            held_until: Cell::default(),
            mischief: Cell::default(),
        });
        let end = |is_client| Stream { link: link.clone(), is_client, timer: Box::pin(sleep_until(Instant::now())) };
        (link.clone(), end(true), end(false))
    }

    /// Breaks it: both ends learn of it at once.
    pub(super) fn reset(&self) {
        for line in [&self.to_server, &self.to_client] {
            line.flying.borrow_mut().clear();
            line.end.set(Some(End::Reset));
            line.wake();
        }
    }

    /// Nothing that is sent on it arrives before then. What is under way is held up too.
    pub(super) fn hold_until(&self, moment: Instant) {
        self.held_until.set(Some(moment));
        for line in [&self.to_server, &self.to_client] {
            line.flying.borrow_mut().iter_mut().for_each(|(arrives, _)| *arrives = moment.max(*arrives));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.to_server.end.get().is_some()
    }

    fn arrival(&self, line: &Line) -> Instant {
        let mut arrives = Instant::now() + self.weather.draw_delay();
        for held_until in [self.weather.held_until.get(), self.held_until.get()].into_iter().flatten() {
            arrives = arrives.max(held_until);
        }
        line.flying.borrow().back().map_or(arrives, |(last, _)| arrives.max(*last))
    }
}

impl Line {
    fn wake(&self) {
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.wake();
        }
    }
}

impl Stream {
    fn incoming(&self) -> &Line {
        if self.is_client { &self.link.to_client } else { &self.link.to_server }
    }

    fn outgoing(&self) -> &Line {
        if self.is_client { &self.link.to_server } else { &self.link.to_client }
    }

    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Lets another task go first, now and then: the order in which tasks run is drawn too.
    fn gives_way(&self, context: &Context<'_>) -> bool {
        let gives_way = self.link.weather.dice.one_in(8);
        if gives_way {
            context.waker().wake_by_ref();
        }
        gives_way
    }

    /// Sends bytes that arrive together, or in pieces where the weather says so.
    fn put(&self, bytes: &[u8]) {
        let line = self.outgoing();
        let weather = &self.link.weather;
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = if weather.sliced.get() { 1 + weather.dice.below(7) } else { rest.len() };
            let (piece, behind) = rest.split_at(piece.min(rest.len()));
            let arrives = self.link.arrival(line);
            line.flying.borrow_mut().push_back((arrives, piece.to_vec()));
            rest = behind;
        }
        line.wake();
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.gives_way(context) {
            return Poll::Pending;
        }
        loop {
            let line = self.incoming();
            if line.end.get() == Some(End::Reset) {
                return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
            }
            let mut flying = line.flying.borrow_mut();
            let Some((arrives, bytes)) = flying.front_mut() else {
                if line.end.get() == Some(End::Closed) {
                    return Poll::Ready(Ok(()));
                }
                *line.reader.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            };
            if *arrives > Instant::now() {
                let arrives = *arrives;
                *line.reader.borrow_mut() = Some(context.waker().clone());
                drop(flying);
                self.timer.as_mut().reset(arrives);
                if self.timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            let taken = bytes.len().min(into.remaining());
            into.put_slice(&bytes[..taken]);
            bytes.drain(..taken);
            if bytes.is_empty() {
                flying.pop_front();
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gives_way(context) {
            return Poll::Pending;
        }
        if self.incoming().end.get() == Some(End::Reset) || self.outgoing().end.get().is_some() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let dice = &self.link.weather.dice;
        let taken = if self.is_client && dice.one_in(6) { 1 + dice.below(bytes.len()) } else { bytes.len() };
        self.put(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let line = self.outgoing();
        if line.end.get().is_none() {
            line.end.set(Some(End::Closed));
            line.wake();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("is_client", &self.is_client).finish_non_exhaustive()
    }
}
