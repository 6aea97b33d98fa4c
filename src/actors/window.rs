//! Several batches of one actor under way at once, where the store is far.
//!
//! On a near store one is the cheapest: the next gathers while it is under way. On a far one the next would keep its callers for two trips,
//! so it leaves a little after the one before. When is said by [`Pace`].
//!
//! Invariants: at most `BATCHES_MAX` of the pace are under way; no answer waits for that of another batch; a place is allocated once and used again.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::mailbox::Inbox;
use super::pace::Pace;

/// Takes batches of at most `max` messages from an inbox and does `work` on each, until the inbox has ended and all is done.
pub(super) async fn serve<M, F: Future<Output = ()>>(inbox: &mut Inbox<M>, max: usize, work: impl Fn(Vec<M>) -> F) {
    let mut window = Window { places: Vec::new(), under_way: 0, left_last: None, timer: None, pace: Pace::new() };
    while let Some(batch) = poll_fn(|context| window.poll_next(inbox, max, context)).await {
        window.send(work(batch));
    }
}

struct Window<F> {
    /// Used again and again.
    places: Vec<Place<F>>,
    under_way: usize,
    /// When the last batch left that was not answered at once.
    left_last: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    pace: Pace,
}

struct Place<F> {
    work: Pin<Box<Option<F>>>,
    /// How many others were under way when it left.
    others: usize,
    /// `None` until it was polled once: work that never waits, as on a store in memory, reads no clock.
    left: Option<Instant>,
}

impl<F: Future<Output = ()>> Window<F> {
    /// The next batch, once it may leave; `None` when all is done.
    fn poll_next<M>(&mut self, inbox: &mut Inbox<M>, max: usize, context: &mut Context<'_>) -> Poll<Option<Vec<M>>> {
        self.poll_work(context);
        if self.may_leave(context) {
            let next = inbox.poll_batch(max, context);
            if self.under_way == 0 || matches!(next, Poll::Ready(Some(_))) {
                return next;
            }
        }
        Poll::Pending
    }

    fn send(&mut self, work: F) {
        let free = self.places.iter_mut().find(|place| place.work.is_none());
        let others = self.under_way;
        self.under_way += 1;
        match free {
            Some(place) => {
                place.work.set(Some(work));
                (place.others, place.left) = (others, None);
            }
            None => self.places.push(Place { work: Box::pin(Some(work)), others, left: None }),
        }
    }

    fn poll_work(&mut self, context: &mut Context<'_>) {
        for place in &mut self.places {
            let Some(work) = place.work.as_mut().as_pin_mut() else { continue };
            let done = work.poll(context).is_ready();
            if done {
                place.work.set(None);
                self.under_way -= 1;
            }
            match place.left {
                Some(left) if done => self.pace.answered(left, place.others, Instant::now()),
                None if !done => {
                    place.left = Some(Instant::now());
                    self.left_last = place.left;
                }
                _ => {}
            }
        }
    }

    /// Whether the next batch may leave; otherwise an answer or the timer wakes.
    fn may_leave(&mut self, context: &mut Context<'_>) -> bool {
        if self.under_way == 0 {
            return true;
        }
        let Some(left_last) = self.left_last.filter(|_| self.under_way < self.pace.limit()) else { return false };
        let opens_at = left_last + self.pace.gap();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(opens_at)));
        if timer.deadline() != opens_at {
            timer.as_mut().reset(opens_at);
        }
        timer.as_mut().poll(context).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::super::deadlines::Deadlines;
    use super::super::mailbox::{Capacity, Mailbox, Reply, mailbox};
    use super::*;
    use crate::actors::Deadline;
    use crate::actors::pace::BATCHES_MAX;
    use crate::telemetry::metrics::MailboxMetrics;

    const MAX: usize = 4;
    const MS: Duration = Duration::from_millis(1);

    struct Message(Reply<()>);

    fn open() -> (Mailbox<Message, ()>, Inbox<Message>) {
        let capacity = Capacity { messages_max: 10_000, reserved: 0, wait_max: Duration::from_secs(1000) };
        mailbox(capacity, Deadlines::default(), MailboxMetrics::none())
    }

    /// What a store saw: how many batches were under way, each time one more came.
    #[derive(Default)]
    struct Seen {
        under_way: Cell<usize>,
        each: RefCell<Vec<usize>>,
    }

    impl Seen {
        async fn during(&self, work: impl Future<Output = ()>) {
            self.under_way.set(self.under_way.get() + 1);
            self.each.borrow_mut().push(self.under_way.get());
            work.await;
            self.under_way.set(self.under_way.get() - 1);
        }

        fn max(&self) -> usize {
            self.each.borrow().iter().copied().max().unwrap_or(0)
        }
    }

    /// Asks `count` times, `apart` from each other, and gives how long each waited.
    async fn ask(mailbox: Mailbox<Message, ()>, count: usize, apart: Duration) -> Vec<Duration> {
        let mailbox = &mailbox;
        let asks = (0..count).map(async |at| {
            sleep(apart * u32::try_from(at).unwrap()).await;
            let asked = Instant::now();
            let by = Deadline::after(asked, Duration::from_secs(1000));
            mailbox.ask(by, Message).await.unwrap();
            asked.elapsed()
        });
        futures_util::future::join_all(asks).await
    }

    /// A store that takes so long for a batch, for each by itself or for one after the other.
    async fn run(far: Duration, slow: Duration, count: usize, apart: Duration) -> (Vec<Duration>, Seen) {
        let (mailbox, mut inbox) = open();
        let (seen, free_at) = (Seen::default(), Cell::new(Instant::now()));
        let work = async |batch: Vec<Message>| {
            let done_at = free_at.get().max(Instant::now()) + slow;
            free_at.set(done_at);
            seen.during(sleep_until(done_at + far)).await;
            batch.into_iter().for_each(|Message(reply)| reply.send(Ok(())));
        };
        let (waited, ()) = tokio::join!(ask(mailbox, count, apart), serve(&mut inbox, MAX, work));
        assert_eq!(seen.under_way.get(), 0, "it ended with work undone");
        (waited, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn a_near_store_has_one_batch_under_way() {
        let (waited, seen) = run(MS, Duration::ZERO, 1000, MS / 10).await;
        assert_eq!((waited.len(), seen.max()), (1000, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_far_store_nobody_waits_for_two_trips() {
        let trip = 200 * MS;
        let (waited, seen) = run(trip, Duration::ZERO, 4000, 10 * MS).await;
        // An eighth of a trip apart.
        assert!((8..=BATCHES_MAX).contains(&seen.max()), "{}", seen.max());
        // Those of the first seconds came before it was known, and what had gathered behind them.
        let longest = waited[300..].iter().max().unwrap();
        assert!(*longest <= trip + trip / 8 + 3 * MS, "{longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_far_store_that_is_asked_too_much_has_a_bound() {
        let (_, seen) = run(2000 * MS, Duration::ZERO, 10_000, MS).await;
        assert!(seen.max() <= BATCHES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_is_not_taken_for_a_far_one() {
        let (_, seen) = run(MS, 40 * MS, 8000, MS).await;
        let each = seen.each.borrow();
        let early = each.iter().filter(|under_way| **under_way > 1).count();
        assert!(each.len() >= 2000 && early < each.len() / 50, "{early} of {}", each.len());
        assert!(seen.max() <= 2);
    }

    #[tokio::test]
    async fn work_that_never_waits_takes_one_place_and_no_timer() {
        let (mailbox, mut inbox) = open();
        let mut window = Window { places: Vec::new(), under_way: 0, left_last: None, timer: None, pace: Pace::new() };
        let asks = ask(mailbox, 100, Duration::ZERO);
        let serve = async {
            while let Some(batch) = poll_fn(|context| window.poll_next(&mut inbox, 1, context)).await {
                window.send(async move { batch.into_iter().for_each(|Message(reply)| reply.send(Ok(()))) });
            }
        };
        tokio::join!(asks, serve);
        assert!(window.places.len() == 1 && window.timer.is_none() && window.left_last.is_none());
    }
}
