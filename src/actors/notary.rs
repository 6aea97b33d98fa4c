//! Sees to it that what is good for one use is used once, in batches: an assertion comes in, "first" or "used" goes out.
//!
//! Invariants: of equal questions, however many and wherever they are asked, one at most hears "first"; a fault of the store is never
//! "first". A use that was noted and not answered stays used.

use super::mailbox::{Inbox, Mailbox, Reply};
use super::supervisor::{Actor, Supervised};
use super::{ActorError, Deadline, Surroundings, window};
use crate::failpoint::{self, FailPoint};
use crate::oauth::replay::{Claimed, SingleUse};
use crate::random::Random;
use crate::store::{Claim, StoreError, TRY_BYTES, TokenStore};
use crate::telemetry::labels::ActorName;

/// Asks whether something is used for the first time. Cheap to clone; after the last drop the notary empties its inbox and stops.
#[derive(Clone, Debug)]
pub struct NotaryHandle(Mailbox<Note, Claimed>);

/// What a notary is told.
#[derive(Clone, Debug)]
pub struct NotaryOptions {
    /// Uses in one round trip to the store.
    pub batch_max: usize,
    /// Where the names of tries come from.
    pub random: Random,
}

struct Note {
    single_use: SingleUse,
    reply: Reply<Claimed>,
}

struct Notary<S> {
    store: S,
    options: NotaryOptions,
}

impl NotaryHandle {
    /// A notary in these surroundings, and the task that it is.
    pub(crate) fn start<S: TokenStore + Clone>(
        around: &Surroundings,
        store: S,
        options: NotaryOptions,
    ) -> (Self, Supervised) {
        let make = move || Notary { store: store.clone(), options: options.clone() };
        let (mailbox, task) = around.start(ActorName::Notary, make);
        (Self(mailbox), task)
    }

    /// Notes this use, and tells whether it is the first.
    ///
    /// # Errors
    /// [`ActorError`]: nobody knows, and it may be noted; what was used must not be accepted.
    pub fn note(&self, by: Deadline, single_use: SingleUse) -> impl Future<Output = Result<Claimed, ActorError>> {
        self.0.ask(by, |reply| Note { single_use, reply })
    }

    /// As [`NotaryHandle::note`], in the lane that load on the other endpoints cannot fill.
    ///
    /// # Errors
    /// [`ActorError`].
    pub fn note_for_revocation(
        &self,
        by: Deadline,
        single_use: SingleUse,
    ) -> impl Future<Output = Result<Claimed, ActorError>> {
        self.0.ask_reserved(by, |reply| Note { single_use, reply })
    }
}

impl<S: TokenStore> Actor<Note> for Notary<S> {
    async fn run(self, inbox: &mut Inbox<Note>) {
        window::serve(inbox, self.options.batch_max, |batch| self.note(batch)).await;
    }
}

impl<S: TokenStore> Notary<S> {
    async fn note(&self, mut batch: Vec<Note>) {
        // Nobody waits: let it be used another time.
        batch.retain(|note| note.reply.is_awaited());
        let mut random = vec![0; batch.len() * TRY_BYTES];
        if self.options.random.fill(&mut random).is_err() {
            batch.into_iter().for_each(|note| note.reply.send(Err(StoreError::Internal.into())));
            return;
        }
        let (tries, _) = random.as_chunks::<TRY_BYTES>();
        let claim = |(note, by): (&Note, &[u8; TRY_BYTES])| Claim { single_use: note.single_use, by: *by };
        let claimed = self.store.claim(batch.iter().zip(tries).map(claim).collect()).await;
        failpoint::reach(FailPoint::Notary);
        for (note, claimed) in batch.into_iter().zip(claimed) {
            note.reply.send(claimed.map_err(ActorError::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::Instant;

    use super::*;
    use crate::actors::testing::{Actors, Fault};
    use crate::clock::Clock;
    use crate::failpoint::on_this_thread;
    use crate::oauth::client::Clients;
    use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
    use crate::oauth::time::Timestamp;
    use crate::telemetry::exporter::Exporter;

    const NOW_SECONDS: u64 = 1_800_000_000;

    fn one(jti: &str) -> SingleUse {
        SingleUse::of_assertion("billing", jti, Timestamp::from_unix_seconds(NOW_SECONDS + 60))
    }

    fn by() -> Deadline {
        Deadline::after(Instant::now(), Duration::from_secs(5))
    }

    async fn with_actors(story: impl AsyncFnOnce(&Actors)) {
        let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
        let keys = Arc::new(ArcSwap::from_pointee(ServiceKeys::new(vec![key]).unwrap()));
        let metrics = Arc::new(Exporter::new("0", "0").register(1));
        let clock = Clock::simulated(NOW_SECONDS * 1000);
        let mut actors = Actors::new(Arc::new(ArcSwap::from_pointee(Clients::default())), keys, clock, metrics);
        let tasks = std::mem::take(&mut actors.tasks);
        LocalSet::new()
            .run_until(async {
                tasks.into_iter().for_each(|task| drop(spawn_local(task)));
                story(&actors).await;
            })
            .await;
    }

    #[tokio::test]
    async fn w09_of_many_at_once_one_is_the_first_and_they_share_a_trip() {
        with_actors(async |actors| {
            let ask = |_| actors.notary.note(by(), one("a"));
            let heard = futures_util::future::join_all((0..8).map(ask)).await;
            assert_eq!(heard.iter().filter(|heard| **heard == Ok(Claimed::First)).count(), 1);
            assert_eq!(heard.iter().filter(|heard| **heard == Ok(Claimed::Used)).count(), 7);
            assert_eq!(actors.store.batches.get(), 1);
            assert_eq!(actors.notary.note_for_revocation(by(), one("a")).await, Ok(Claimed::Used));
            assert_eq!(actors.notary.note_for_revocation(by(), one("b")).await, Ok(Claimed::First));
        })
        .await;
    }

    #[tokio::test]
    async fn w13_a_fault_is_never_the_first_use_and_a_panic_after_the_write_leaves_it_used() {
        with_actors(async |actors| {
            actors.store.fault.set(Some(Fault::Says(StoreError::TimedOut)));
            assert_eq!(actors.notary.note(by(), one("a")).await, Err(ActorError::Store(StoreError::TimedOut)));
            actors.store.fault.set(None);
            on_this_thread::arm(FailPoint::Notary);
            assert_eq!(actors.notary.note(by(), one("a")).await, Err(ActorError::Lost));
            assert_eq!(actors.notary.note(by(), one("a")).await, Ok(Claimed::Used));
        })
        .await;
    }
}
