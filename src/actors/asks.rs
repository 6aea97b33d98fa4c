//! The asks under way at one mailbox: each has a place with two ends, the asker's and the replier's.
//!
//! Invariant: a place is free again when both of its ends are gone, and not before; so a place's number is never taken for another ask.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::deadlines::Overdue;
use super::{ActorError, Deadline};

/// Places that are kept for later when they are free; a flood's are let go.
const FREE_PLACES_MAX: usize = 1024;

/// All asks of one mailbox that are not over.
pub(crate) struct Asks<T>(RefCell<Places<T>>);

/// Answers one ask, once. Dropped unanswered it says [`ActorError::Lost`].
pub(crate) struct Reply<T> {
    asks: Rc<Asks<T>>,
    place: usize,
}

/// The asker's end. Dropped, nobody waits any more.
pub(super) struct Answer<'a, T> {
    asks: &'a Asks<T>,
    place: usize,
}

struct Places<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    deadline: Deadline,
    state: State<T>,
    /// How many of its two ends are there.
    ends: u8,
}

enum State<T> {
    Waiting(Option<Waker>),
    Answered(Result<T, ActorError>),
    /// Taken by the asker, or given up by it.
    Over,
}

impl<T> Asks<T> {
    /// The two ends of an ask that is worth nothing after `by`.
    pub(super) fn begin(this: &Rc<Self>, by: Deadline) -> (Reply<T>, Answer<'_, T>) {
        let begun = Place { deadline: by, state: State::Waiting(None), ends: 2 };
        let Places { places, free } = &mut *this.0.borrow_mut();
        let place = free.pop().unwrap_or(places.len());
        match places.get_mut(place) {
            Some(free) => *free = begun,
            None => places.push(begun),
        }
        (Reply { asks: this.clone(), place }, Answer { asks: this, place })
    }

    /// Ends an ask with `answer` if it still waits.
    fn end(&self, place: usize, answer: Result<T, ActorError>) {
        let state = &mut self.0.borrow_mut().places[place].state;
        if matches!(state, State::Waiting(_))
            && let State::Waiting(Some(asker)) = std::mem::replace(state, State::Answered(answer))
        {
            // Waking puts a task into a queue and runs none.
            asker.wake();
        }
    }

    /// One end is gone; what is left of the ask is dropped outside, since it may hold another ask's end.
    fn leave(&self, place: usize, by_asker: bool) -> Option<State<T>> {
        let mut all = self.0.borrow_mut();
        let left = &mut all.places[place];
        let given_up = by_asker.then(|| std::mem::replace(&mut left.state, State::Over));
        left.ends -= 1;
        if left.ends == 0 {
            all.let_go(place);
        }
        given_up
    }
}

impl<T> Places<T> {
    fn let_go(&mut self, place: usize) {
        self.free.push(place);
        if self.free.len() == self.places.len() && self.places.len() > FREE_PLACES_MAX {
            *self = Self { places: Vec::new(), free: Vec::new() };
        }
    }
}

impl<T> Overdue for Asks<T> {
    fn sweep(&self, now: Instant) -> bool {
        let mut all = self.0.borrow_mut();
        for place in &mut all.places {
            if matches!(place.state, State::Waiting(_))
                && now >= place.deadline.instant()
                && let State::Waiting(Some(asker)) =
                    std::mem::replace(&mut place.state, State::Answered(Err(ActorError::TimedOut)))
            {
                asker.wake();
            }
        }
        all.free.len() < all.places.len()
    }
}

impl<T> Default for Asks<T> {
    fn default() -> Self {
        Self(RefCell::new(Places { places: Vec::new(), free: Vec::new() }))
    }
}

impl<T> Reply<T> {
    /// Gives the answer. If nobody waits any more it is dropped.
    pub(crate) fn send(self, answer: Result<T, ActorError>) {
        self.asks.end(self.place, answer);
    }

    /// Whether somebody still waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.asks.0.borrow().places[self.place].state, State::Waiting(_))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.asks.end(self.place, Err(ActorError::Lost));
        self.asks.leave(self.place, false);
    }
}

impl<T> Future for Answer<'_, T> {
    type Output = Result<T, ActorError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = &mut self.asks.0.borrow_mut().places[self.place].state;
        match std::mem::replace(state, State::Over) {
            State::Answered(answer) => Poll::Ready(answer),
            State::Waiting(_) => {
                *state = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Over => Poll::Ready(Err(ActorError::Lost)),
        }
    }
}

impl<T> Drop for Answer<'_, T> {
    fn drop(&mut self) {
        self.asks.leave(self.place, true);
    }
}
