//! How a worker's tasks ask one another: a bounded queue, a reply that is given once, a sweep for those who waited too long.
//!
//! Invariants: a full mailbox refuses at once and does nothing; every ask ends, by an answer, by its deadline, or with
//! [`ActorError::Lost`] when the message is dropped unanswered; messages leave in the order they came.
//!
//! Everything here lives on one thread, so a queue is a `VecDeque` and waking is a `Waker`: an ask costs a push and a poll.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::deadlines::{Deadlines, Overdue};
use super::{ActorError, Deadline};
use crate::telemetry::metrics::MailboxMetrics;

/// Where messages are put. Cheap to clone; when the last clone is gone the inbox ends after what waits in it.
pub(crate) struct Mailbox<M> {
    queue: Rc<Queue<M>>,
    deadlines: Deadlines,
}

/// Where an actor takes its messages from.
pub(crate) struct Inbox<M> {
    queue: Rc<Queue<M>>,
}

/// Answers one ask, once. Dropped unanswered it says [`ActorError::Lost`].
pub(crate) struct Reply<T>(Option<Rc<Slot<T>>>);

/// How full a mailbox may get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Messages in all.
    pub(crate) messages_max: usize,
    /// Of these, kept for [`Mailbox::ask_reserved`].
    pub(crate) reserved: usize,
}

struct Queue<M> {
    waiting: RefCell<VecDeque<(Instant, M)>>,
    capacity: Capacity,
    senders: Cell<usize>,
    /// The inbox is gone: nobody will ever answer.
    closed: Cell<bool>,
    actor: RefCell<Option<Waker>>,
    metrics: MailboxMetrics,
}

struct Slot<T> {
    state: RefCell<State<T>>,
    deadline: Deadline,
}

enum State<T> {
    Waiting(Option<Waker>),
    Answered(Result<T, ActorError>),
    /// Taken by the asker, or given up by it.
    Over,
}

/// The asker's end of a [`Reply`].
struct Answer<T>(Rc<Slot<T>>);

/// A mailbox and its inbox.
pub(crate) fn mailbox<M>(capacity: Capacity, deadlines: Deadlines, metrics: MailboxMetrics) -> (Mailbox<M>, Inbox<M>) {
    let queue = Rc::new(Queue {
        waiting: RefCell::default(),
        capacity,
        senders: Cell::new(1),
        closed: Cell::new(false),
        actor: RefCell::default(),
        metrics,
    });
    (Mailbox { queue: queue.clone(), deadlines }, Inbox { queue })
}

impl<M> Mailbox<M> {
    /// Puts a message in and waits for its answer.
    ///
    /// # Errors
    /// `Overloaded` at once where the mailbox is full but for its reserve, `TimedOut` at `by`, `Lost` where the message was
    /// dropped, and what the actor answers.
    pub(crate) async fn ask<T: 'static>(
        &self,
        by: Deadline,
        message: impl FnOnce(Reply<T>) -> M,
    ) -> Result<T, ActorError> {
        let Capacity { messages_max, reserved } = self.queue.capacity;
        self.ask_below(messages_max - reserved, by, message).await
    }

    /// As [`Mailbox::ask`], and may use the reserve too.
    pub(crate) async fn ask_reserved<T: 'static>(
        &self,
        by: Deadline,
        message: impl FnOnce(Reply<T>) -> M,
    ) -> Result<T, ActorError> {
        self.ask_below(self.queue.capacity.messages_max, by, message).await
    }

    async fn ask_below<T: 'static>(
        &self,
        limit: usize,
        by: Deadline,
        message: impl FnOnce(Reply<T>) -> M,
    ) -> Result<T, ActorError> {
        if self.queue.closed.get() {
            return Err(ActorError::Lost);
        }
        if self.queue.waiting.borrow().len() >= limit {
            self.queue.metrics.refused();
            return Err(ActorError::Overloaded);
        }
        let slot = Rc::new(Slot { state: RefCell::new(State::Waiting(None)), deadline: by });
        self.deadlines.watch(slot.clone());
        self.queue.push(message(Reply(Some(slot.clone()))));
        Answer(slot).await
    }
}

impl<M> Queue<M> {
    fn push(&self, message: M) {
        self.waiting.borrow_mut().push_back((Instant::now(), message));
        self.metrics.entered();
        self.wake_actor();
    }

    fn wake_actor(&self) {
        if let Some(actor) = self.actor.borrow_mut().take() {
            actor.wake();
        }
    }
}

impl<M> Inbox<M> {
    /// What waits, at most `max` messages in the order they came; waits for the first. `None` when nobody can send any more.
    pub(crate) async fn next_batch(&mut self, max: usize) -> Option<Vec<M>> {
        poll_fn(|cx| self.poll_batch(max, cx)).await
    }

    fn poll_batch(&mut self, max: usize, cx: &mut Context<'_>) -> Poll<Option<Vec<M>>> {
        let mut waiting = self.queue.waiting.borrow_mut();
        if !waiting.is_empty() {
            let now = Instant::now();
            let count = waiting.len().min(max);
            let metrics = &self.queue.metrics;
            metrics.left(count);
            let taken = waiting.drain(..count).map(|(asked_at, message)| {
                metrics.waited(now.duration_since(asked_at));
                message
            });
            return Poll::Ready(Some(taken.collect()));
        }
        if self.queue.senders.get() == 0 {
            return Poll::Ready(None);
        }
        *self.queue.actor.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<M> Drop for Inbox<M> {
    fn drop(&mut self) {
        self.queue.closed.set(true);
        // Taken out first: dropping a message wakes its asker, who may look at the queue.
        let unanswered = std::mem::take(&mut *self.queue.waiting.borrow_mut());
        self.queue.metrics.left(unanswered.len());
    }
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        self.queue.senders.set(self.queue.senders.get() + 1);
        Self { queue: self.queue.clone(), deadlines: self.deadlines.clone() }
    }
}

impl<M> Drop for Mailbox<M> {
    fn drop(&mut self) {
        self.queue.senders.set(self.queue.senders.get() - 1);
        if self.queue.senders.get() == 0 {
            self.queue.wake_actor();
        }
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.queue.waiting.borrow().len()).finish_non_exhaustive()
    }
}

impl<T> Reply<T> {
    /// Gives the answer. If nobody waits any more it is dropped.
    pub(crate) fn send(mut self, answer: Result<T, ActorError>) {
        if let Some(slot) = self.0.take() {
            slot.end(answer);
        }
    }

    /// Whether somebody still waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|slot| matches!(*slot.state.borrow(), State::Waiting(_)))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.end(Err(ActorError::Lost));
        }
    }
}

impl<T> Slot<T> {
    fn end(&self, answer: Result<T, ActorError>) {
        let mut state = self.state.borrow_mut();
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Answered(answer);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Overdue for Slot<T> {
    fn expire(&self, now: Instant) -> bool {
        if !matches!(*self.state.borrow(), State::Waiting(_)) {
            return true;
        }
        let overdue = now >= self.deadline.instant();
        if overdue {
            self.end(Err(ActorError::TimedOut));
        }
        overdue
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, ActorError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.borrow_mut();
        match std::mem::replace(&mut *state, State::Over) {
            State::Answered(answer) => Poll::Ready(answer),
            State::Waiting(_) => {
                *state = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Over => Poll::Ready(Err(ActorError::Lost)),
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        *self.0.state.borrow_mut() = State::Over;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Double(u32, Reply<u32>);

    fn small() -> (Mailbox<Double>, Inbox<Double>, Deadlines) {
        let deadlines = Deadlines::default();
        let capacity = Capacity { messages_max: 3, reserved: 1 };
        let (mailbox, inbox) = mailbox(capacity, deadlines.clone(), MailboxMetrics::none());
        (mailbox, inbox, deadlines)
    }

    fn soon() -> Deadline {
        Deadline::after(Instant::now(), Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn asks_are_answered_in_batches() {
        let (mailbox, mut inbox, _) = small();
        let actor = async {
            let batch = inbox.next_batch(10).await.unwrap();
            assert_eq!(batch.len(), 2);
            batch.into_iter().for_each(|Double(n, reply)| reply.send(Ok(2 * n)));
        };
        let (a, b, ()) = tokio::join!(
            mailbox.ask(soon(), |reply| Double(1, reply)),
            mailbox.ask(soon(), |reply| Double(2, reply)),
            actor
        );
        assert_eq!((a, b), (Ok(2), Ok(4)));
        drop(mailbox);
        assert!(inbox.next_batch(10).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_mailbox_refuses_all_but_the_reserved_lane() {
        let (mailbox, mut inbox, _) = small();
        let actor = async {
            while let Some(batch) = inbox.next_batch(10).await {
                batch.into_iter().for_each(|Double(n, reply)| reply.send(Ok(n)));
            }
        };
        let asks = async move {
            tokio::join!(
                mailbox.ask(soon(), |reply| Double(1, reply)),
                mailbox.ask(soon(), |reply| Double(2, reply)),
                mailbox.ask(soon(), |reply| Double(3, reply)),
                mailbox.ask_reserved(soon(), |reply| Double(4, reply)),
                mailbox.ask_reserved(soon(), |reply| Double(5, reply)),
            )
        };
        let (answers, ()) = tokio::join!(asks, actor);
        assert_eq!(answers, (Ok(1), Ok(2), Err(ActorError::Overloaded), Ok(4), Err(ActorError::Overloaded)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_reply_is_lost_and_a_late_one_timed_out() {
        let (mailbox, mut inbox, deadlines) = small();
        let lost = async { drop(inbox.next_batch(1).await) };
        let (answer, ()) = tokio::join!(mailbox.ask(soon(), |reply| Double(1, reply)), lost);
        assert_eq!(answer, Err(ActorError::Lost));

        let ask = mailbox.ask(soon(), |reply| Double(1, reply));
        let answer = tokio::select! {
            answer = ask => answer,
            () = deadlines.sweep_for_ever() => unreachable!(),
        };
        assert_eq!(answer, Err(ActorError::TimedOut));
        let late = inbox.next_batch(1).await.unwrap().pop().unwrap();
        assert!(!late.1.is_awaited());
        late.1.send(Ok(1));
    }
}
