//! Keeps actors and tasks alive: after a panic a new one is made, and an actor's takes its messages from the same inbox.
//!
//! Invariant: a panic costs the batch in hand and never the queue. What keeps dying is not hidden: after [`CRASHES_MAX`] panics within
//! [`CRASH_WINDOW`] its worker gives up, which ends the process.

use std::collections::VecDeque;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::mailbox::Inbox;
use crate::telemetry::labels::{ActorName, Label};

/// So many panics within the window are a crash loop.
pub(crate) const CRASHES_MAX: usize = 5;
/// The window.
pub(crate) const CRASH_WINDOW: Duration = Duration::from_secs(10);

/// A task that takes messages from an inbox until nobody can send any more.
pub(crate) trait Actor<M>: 'static {
    /// Works until the inbox ends.
    fn run(self, inbox: &mut Inbox<M>) -> impl Future<Output = ()>;
}

/// Something without which the process cannot go on, and that nobody will start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// An actor died too often.
    Actor(ActorName),
    /// A task of this name died, too often where it can be started again.
    Task(&'static str),
    /// A worker's thread died, outside of its tasks.
    Worker,
}

/// A supervised actor: ends when its inbox does.
pub(crate) type Supervised = Pin<Box<dyn Future<Output = Result<(), Crash>>>>;

/// Runs actors that `make` gives, one after another, until the inbox ends. `restarted` is told of each panic.
///
/// # Errors
/// [`Crash::Actor`].
pub(crate) async fn supervise<M: 'static, A: Actor<M>>(
    name: ActorName,
    mut inbox: Inbox<M>,
    mut make: impl FnMut() -> A,
    restarted: impl Fn(ActorName),
) -> Result<(), Crash> {
    let mut crashes = Crashes::default();
    // The actor and all it held are dropped by the panic; only the inbox is used again, and a queue of messages cannot be half changed.
    while AssertUnwindSafe(make().run(&mut inbox)).catch_unwind().await.is_err() {
        restarted(name);
        tracing::error!(event = "actor_restarted", actor = name.as_str(), "an actor panicked and was started again");
        if crashes.are_a_loop() {
            return Err(Crash::Actor(name));
        }
    }
    Ok(())
}

/// Begins `task` again after each panic, until it ends by itself. For what can go on with what it has.
///
/// # Errors
/// [`Crash::Task`].
pub(crate) async fn keep_alive(name: &'static str, mut task: impl AsyncFnMut()) -> Result<(), Crash> {
    let mut crashes = Crashes::default();
    while AssertUnwindSafe(task()).catch_unwind().await.is_err() {
        tracing::error!(event = "task_restarted", task = name, "a task panicked and was started again");
        if crashes.are_a_loop() {
            return Err(Crash::Task(name));
        }
    }
    Ok(())
}

/// Runs `task`, of which a panic is a crash at once.
///
/// # Errors
/// [`Crash::Task`], and what `task` says.
pub(crate) async fn once(name: &'static str, task: impl Future<Output = Result<(), Crash>>) -> Result<(), Crash> {
    AssertUnwindSafe(task).catch_unwind().await.unwrap_or(Err(Crash::Task(name)))
}

/// When something died of late.
#[derive(Debug, Default)]
struct Crashes(VecDeque<Instant>);

impl Crashes {
    /// One more. Whether that makes them a crash loop.
    fn are_a_loop(&mut self) -> bool {
        self.0.push_back(Instant::now());
        while self.0.front().is_some_and(|first| first.elapsed() > CRASH_WINDOW) {
            self.0.pop_front();
        }
        self.0.len() >= CRASHES_MAX
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actor(actor) => write!(f, "the {} keeps dying", actor.as_str()),
            Self::Task(name) => write!(f, "the {name} died"),
            Self::Worker => f.write_str("a worker died"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::actors::deadlines::Deadlines;
    use crate::actors::mailbox::{Capacity, Reply, mailbox};
    use crate::actors::{ActorError, Deadline};
    use crate::telemetry::metrics::MailboxMetrics;

    struct Divide(u32, Reply<u32>);

    /// Panics on a division by zero.
    struct Divider;

    impl Actor<Divide> for Divider {
        async fn run(self, inbox: &mut Inbox<Divide>) {
            while let Some(batch) = inbox.next_batch(2).await {
                for Divide(by, reply) in batch {
                    reply.send(Ok(12 / by));
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_the_batch_in_hand_and_never_the_queue() {
        let capacity = Capacity { messages_max: 10, reserved: 0, wait_max: Duration::from_secs(1) };
        let (mailbox, inbox) = mailbox(capacity, Deadlines::default(), MailboxMetrics::none());
        let restarts = Rc::new(Cell::new(0));
        let supervised = supervise(ActorName::Minter, inbox, || Divider, |_| restarts.set(restarts.get() + 1));
        let asks = async move {
            let by = Deadline::after(Instant::now(), Duration::from_secs(1));
            let ask = |n| mailbox.ask(by, move |reply| Divide(n, reply));
            tokio::join!(ask(0), ask(1), ask(2), ask(3))
        };
        let (answers, end) = tokio::join!(asks, supervised);
        assert_eq!(answers, (Err(ActorError::Lost), Err(ActorError::Lost), Ok(6), Ok(4)));
        assert_eq!((end, restarts.get()), (Ok(()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_loop_is_given_up() {
        let capacity = Capacity { messages_max: 10, reserved: 0, wait_max: Duration::from_secs(1) };
        let (mailbox, inbox) = mailbox(capacity, Deadlines::default(), MailboxMetrics::none());
        let asks = async move {
            let by = Deadline::after(Instant::now(), Duration::from_secs(1));
            let mut lost = 0;
            while mailbox.ask(by, |reply| Divide(0, reply)).await == Err(ActorError::Lost) && lost < CRASHES_MAX {
                lost += 1;
            }
            lost
        };
        let end = supervise(ActorName::Revoker, inbox, || Divider, |_| ());
        let (lost, end) = tokio::join!(asks, end);
        assert_eq!((lost, end), (CRASHES_MAX, Err(Crash::Actor(ActorName::Revoker))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_goes_on_after_a_panic_unless_it_keeps_dying() {
        let mut runs = 0;
        let dies_twice = async || {
            runs += 1;
            assert!(runs > 2, "told to");
        };
        assert_eq!(keep_alive("sweep", dies_twice).await, Ok(()));
        assert_eq!(runs, 3);

        let mut runs = 0;
        let keeps_dying = async || {
            runs += 1;
            panic!("told to");
        };
        assert_eq!(keep_alive("sweep", keeps_dying).await, Err(Crash::Task("sweep")));
        assert_eq!(runs, CRASHES_MAX);

        // Not so often that it is a loop.
        let mut runs = 0;
        let dies_slowly = async || {
            tokio::time::sleep(CRASH_WINDOW / 3).await;
            runs += 1;
            assert!(runs > 20, "told to");
        };
        assert_eq!(keep_alive("sweep", dies_slowly).await, Ok(()));
    }

    #[tokio::test]
    async fn what_cannot_be_started_again_is_a_crash_at_once() {
        assert_eq!(once("listener", async { panic!("told to") }).await, Err(Crash::Task("listener")));
        assert_eq!(once("listener", async { Ok(()) }).await, Ok(()));
    }
}
