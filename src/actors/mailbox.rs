//! How a worker's tasks ask one another: a bounded queue, a reply that is given once, a sweep for those who waited too long.
//!
//! Invariants: a mailbox in which too much waits refuses at once and does nothing; every ask ends, by an answer, by its deadline, or with
//! [`ActorError::Lost`] when the message is dropped unanswered; messages leave in the order they came.
//!
//! Everything here lives on one thread, so a queue is a `VecDeque`, waking is a `Waker`, and asks stand in places that are used again
//! and again: an ask costs a push and a poll, and no allocation.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::admission::Admission;
use super::arrivals::Arrivals;
use super::asks::{Answer, Asks};
use super::deadlines::{Deadlines, Overdue};
use super::{ActorError, Deadline};
use crate::telemetry::metrics::MailboxMetrics;

pub(crate) use super::admission::Capacity;
pub(crate) use super::asks::Reply;

/// Where messages `M` are put that are answered with `T`. Cheap to clone; when the last clone is gone the inbox ends after what waits
/// in it.
pub(crate) struct Mailbox<M, T> {
    queue: Rc<Queue<M>>,
    asks: Rc<Asks<T>>,
    deadlines: Deadlines,
}

/// Where an actor takes its messages from.
pub(crate) struct Inbox<M> {
    queue: Rc<Queue<M>>,
    /// When the last batch was taken.
    taken: Instant,
}

/// A message that is in, or was refused at once; to be awaited. Small, so that whoever holds it is.
pub(crate) struct Asking<'a, T>(Result<Answer<'a, T>, ActorError>);

struct Queue<M> {
    waiting: RefCell<VecDeque<M>>,
    admission: Admission,
    arrivals: RefCell<Arrivals>,
    senders: Cell<usize>,
    /// The inbox is gone: nobody will ever answer.
    closed: Cell<bool>,
    actor: RefCell<Option<Waker>>,
    /// The depth that the gauge was last told.
    told: Cell<usize>,
    metrics: MailboxMetrics,
}

/// A mailbox and its inbox.
pub(crate) fn mailbox<M: 'static, T: 'static>(
    capacity: Capacity,
    deadlines: Deadlines,
    metrics: MailboxMetrics,
) -> (Mailbox<M, T>, Inbox<M>) {
    let queue = Rc::new(Queue {
        waiting: RefCell::default(),
        admission: Admission::new(capacity),
        arrivals: RefCell::default(),
        senders: Cell::new(1),
        closed: Cell::new(false),
        actor: RefCell::default(),
        told: Cell::new(0),
        metrics,
    });
    let asks = Rc::<Asks<T>>::default();
    deadlines.watch(asks.clone());
    deadlines.watch(queue.clone());
    (Mailbox { queue: queue.clone(), asks, deadlines }, Inbox { queue, taken: Instant::now() })
}

impl<M, T> Mailbox<M, T> {
    /// Puts a message in; what is returned waits for its answer.
    ///
    /// # Errors
    /// `Overloaded` at once where as many wait as may but for the reserve, `TimedOut` at `by`, `Lost` where the message was
    /// dropped, and what the actor answers.
    pub(crate) fn ask(&self, by: Deadline, message: impl FnOnce(Reply<T>) -> M) -> Asking<'_, T> {
        Asking(self.put(self.queue.admission.limit(), by, message))
    }

    /// As [`Mailbox::ask`], and may use the reserve too.
    pub(crate) fn ask_reserved(&self, by: Deadline, message: impl FnOnce(Reply<T>) -> M) -> Asking<'_, T> {
        Asking(self.put(self.queue.admission.limit_with_reserve(), by, message))
    }

    fn put(
        &self,
        limit: usize,
        by: Deadline,
        message: impl FnOnce(Reply<T>) -> M,
    ) -> Result<Answer<'_, T>, ActorError> {
        if self.queue.closed.get() {
            return Err(ActorError::Lost);
        }
        if self.queue.waiting.borrow().len() >= limit {
            self.queue.metrics.refused();
            return Err(ActorError::Overloaded);
        }
        let (reply, answer) = Asks::begin(&self.asks, by);
        self.deadlines.begun();
        self.queue.push(message(reply));
        Ok(answer)
    }
}

impl<T> Future for Asking<'_, T> {
    type Output = Result<T, ActorError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(answer) => Pin::new(answer).poll(cx),
            Err(refused) => Poll::Ready(Err(*refused)),
        }
    }
}

impl<M> Queue<M> {
    fn push(&self, message: M) {
        self.arrivals.borrow_mut().one_came();
        self.waiting.borrow_mut().push_back(message);
        self.wake_actor();
    }

    fn wake_actor(&self) {
        if let Some(actor) = self.actor.borrow_mut().take() {
            actor.wake();
        }
    }

    /// Tells the gauge what has changed since it was last told: many workers' mailboxes add up in it.
    fn tell_depth(&self) {
        let depth = self.waiting.borrow().len();
        let told = self.told.replace(depth);
        if depth != told {
            self.metrics.depth_changed(depth as f64 - told as f64);
        }
    }
}

impl<M> Overdue for Queue<M> {
    fn sweep(&self, _now: Instant) -> bool {
        self.tell_depth();
        !self.waiting.borrow().is_empty()
    }
}

impl<M> Inbox<M> {
    /// What waits, at most `max` messages in the order they came; waits for the first. `None` when nobody can send any more.
    pub(crate) async fn next_batch(&mut self, max: usize) -> Option<Vec<M>> {
        poll_fn(|cx| self.poll_batch(max, cx)).await
    }

    /// When the last batch was taken: for whoever needs a time and would not look at a clock for it.
    pub(super) fn last_taken(&self) -> Instant {
        self.taken
    }

    /// As [`Inbox::next_batch`].
    pub(super) fn poll_batch(&mut self, max: usize, cx: &mut Context<'_>) -> Poll<Option<Vec<M>>> {
        let Self { queue, taken } = self;
        let mut waiting = queue.waiting.borrow_mut();
        if !waiting.is_empty() {
            let now = Instant::now();
            *taken = now;
            let count = waiting.len().min(max);
            queue.metrics.waited(queue.arrivals.borrow_mut().leave(count, now));
            queue.admission.taken(count, max, now);
            return Poll::Ready(Some(waiting.drain(..count).collect()));
        }
        if queue.senders.get() == 0 {
            return Poll::Ready(None);
        }
        queue.admission.keeps_up();
        *queue.actor.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<M> Drop for Inbox<M> {
    fn drop(&mut self) {
        self.queue.closed.set(true);
        // Taken out first: dropping a message wakes its asker, who may look at the queue.
        let unanswered = std::mem::take(&mut *self.queue.waiting.borrow_mut());
        drop(unanswered);
        self.queue.tell_depth();
    }
}

impl<M, T> Clone for Mailbox<M, T> {
    fn clone(&self) -> Self {
        self.queue.senders.set(self.queue.senders.get() + 1);
        Self { queue: self.queue.clone(), asks: self.asks.clone(), deadlines: self.deadlines.clone() }
    }
}

impl<M, T> Drop for Mailbox<M, T> {
    fn drop(&mut self) {
        self.queue.senders.set(self.queue.senders.get() - 1);
        if self.queue.senders.get() == 0 {
            self.queue.wake_actor();
        }
    }
}

impl<M, T> fmt::Debug for Mailbox<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.queue.waiting.borrow().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Double(u32, Reply<u32>);

    fn small() -> (Mailbox<Double, u32>, Inbox<Double>, Deadlines) {
        let deadlines = Deadlines::default();
        let capacity = Capacity { messages_max: 3, reserved: 1, wait_max: Duration::from_secs(1) };
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
    async fn who_would_wait_too_long_behind_a_slow_actor_is_refused_at_once_but_for_the_reserve() {
        let capacity = Capacity { messages_max: 1000, reserved: 1, wait_max: Duration::from_millis(100) };
        let (mailbox, mut inbox) = mailbox(capacity, Deadlines::default(), MailboxMetrics::none());
        let ask = || mailbox.ask(soon(), |reply| Double(1, reply));
        (0..92).for_each(|_| assert!(ask().0.is_ok()));
        // Four at once, each time 40 ms: ten are taken in time.
        for _ in 0..20 {
            drop(inbox.next_batch(4).await);
            tokio::time::advance(Duration::from_millis(40)).await;
        }
        assert_eq!(ask().await, Err(ActorError::Overloaded), "12 wait");
        drop(inbox.next_batch(4).await);
        assert!(ask().0.is_ok() && ask().0.is_ok(), "8 and 9 wait");
        assert!(ask().0.is_err(), "10 wait");
        assert!(mailbox.ask_reserved(soon(), |reply| Double(1, reply)).0.is_ok());
        assert!(mailbox.ask_reserved(soon(), |reply| Double(1, reply)).0.is_err());
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
