//! Keeps an actor alive: after a panic a new one is made and takes its messages from the same inbox.
//!
//! Invariant: a panic costs the batch in hand and never the queue. An actor that keeps dying is not hidden: after
//! [`CRASHES_MAX`] panics within [`CRASH_WINDOW`] its worker gives up, which ends the process.

use std::collections::VecDeque;
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

/// An actor died too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashLoop(pub ActorName);

/// A supervised actor: ends when its inbox does.
pub(crate) type Supervised = Pin<Box<dyn Future<Output = Result<(), CrashLoop>>>>;

/// Runs actors that `make` gives, one after another, until the inbox ends. `restarted` is told of each panic.
///
/// # Errors
/// [`CrashLoop`].
pub(crate) async fn supervise<M: 'static, A: Actor<M>>(
    name: ActorName,
    mut inbox: Inbox<M>,
    mut make: impl FnMut() -> A,
    restarted: impl Fn(ActorName),
) -> Result<(), CrashLoop> {
    let mut crashes = VecDeque::new();
    // The actor and all it held are dropped by the panic; only the inbox is used again, and a queue of messages cannot be half changed.
    while AssertUnwindSafe(make().run(&mut inbox)).catch_unwind().await.is_err() {
        restarted(name);
        tracing::error!(event = "actor_restarted", actor = name.as_str(), "an actor panicked and was started again");
        crashes.push_back(Instant::now());
        while crashes.front().is_some_and(|first: &Instant| first.elapsed() > CRASH_WINDOW) {
            crashes.pop_front();
        }
        if crashes.len() >= CRASHES_MAX {
            return Err(CrashLoop(name));
        }
    }
    Ok(())
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
        assert_eq!((lost, end), (CRASHES_MAX, Err(CrashLoop(ActorName::Revoker))));
    }
}
