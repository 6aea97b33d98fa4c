//! The journal of revocations where the store is Redis: who was brought up to it, and how nodes tell each other.
//!
//! A server that this process has not met, by its run id and replication id, may lack deletes that another acknowledged: it restarted,
//! or a replica took over. Before an introspection is answered from it, the entries that other nodes left there are read, and every delete
//! that is known is sent again ([`settle`]). What this process revokes goes on a stream ([`stream`]) that the others follow.
//!
//! # Invariants
//! - **No record is believed before its server is settled, nor against the journal**: what waits for that waits within its deadline.
//!   In a cluster a server is settled tag by tag ([`servers`]).
//! - **One thread of a process settles at a time**, and one, the first that started, sends and follows.
//! - **Nothing of it is waited for by a revocation** but the file.

mod servers;
pub(super) mod settle;
pub(super) mod stream;

use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use self::servers::Servers;
use self::stream::{GATHERING, StreamId};
use super::claim::EpochsKept;
use super::link::LinkState;
use super::server_info::ServerId;
use super::tags::Tags;
use super::{Inner, Links};
use crate::clock::Clock;
use crate::oauth::token::TokenAddress;
use crate::random::Random;
use crate::store::journal::Journal;
use crate::store::observer::{JournalTrouble, StoreWarning};
use crate::store::{Deletion, Lookup, StoreError};

/// How often the stream is read, and what failed is tried again.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The journal of a process and what its workers share beside it.
pub struct RedisJournal {
    /// The entries.
    pub entries: Journal,
    servers: Mutex<Servers>,
    /// Counts changes of what is settled where.
    generation: AtomicU64,
    /// Tells of each.
    changes: watch::Sender<()>,
    /// Whole readings of the stream.
    readings: AtomicU32,
    led: AtomicBool,
}

/// The right to settle, while it lives.
pub(super) struct Settling<'a>(&'a RedisJournal);

impl RedisJournal {
    /// No server has been met.
    pub fn new(entries: Journal) -> Self {
        Self {
            entries,
            servers: Mutex::default(),
            generation: AtomicU64::new(0),
            changes: watch::Sender::new(()),
            readings: AtomicU32::new(0),
            led: AtomicBool::new(false),
        }
    }

    /// A journal with no file, for tokens that live at most so long.
    pub fn in_memory(ttl_seconds_max: u32) -> Self {
        Self::new(Journal::in_memory(&Random::system(), Clock::System, ttl_seconds_max))
    }

    /// A journal whose process has somebody else to send and follow: nothing goes over a connection but what is asked.
    #[cfg(test)]
    pub(super) fn quiet() -> Self {
        let quiet = Self::in_memory(86_400);
        quiet.led.store(true, Ordering::Relaxed);
        quiet
    }

    /// The right to send and follow for all threads, unless another has it.
    pub(super) fn lead(&self) -> Option<Leading<'_>> {
        let others = self.led.swap(true, Ordering::AcqRel);
        // Made only where it is ours: its end is the end of the right.
        (!others).then(|| Leading(self))
    }

    /// Numbers the next whole reading of the stream.
    pub(super) fn next_reading(&self) -> u32 {
        self.readings.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the last.
    pub(super) fn reading(&self) -> u32 {
        self.readings.load(Ordering::Relaxed)
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        // What a panic left is whole: each change is one call.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of each change of what is settled where from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn changed(&self, servers: MutexGuard<'_, Servers>) {
        self.generation.fetch_add(1, Ordering::Release);
        drop(servers);
        self.changes.send_replace(());
    }

    pub(super) fn begin_to_settle(&self) -> Option<Settling<'_>> {
        // Made only where it is ours: its end is the end of the right.
        self.servers().begin().then(|| Settling(self))
    }

    /// Begins to settle a server for these tags.
    pub(super) fn will_settle(&self, server: &ServerId, tags: Tags) {
        self.servers().will_settle(server.clone(), tags);
    }

    /// A server is settled for these tags, but for those that were unsettled since that began.
    pub(super) fn has_settled(&self, server: ServerId, tags: Tags) {
        let mut servers = self.servers();
        servers.has_settled(server, tags);
        self.changed(servers);
    }

    /// These tags went elsewhere: should they come back, others may have undone deletes meanwhile.
    pub(super) fn has_left(&self, server: &ServerId, tags: Tags) {
        self.unsettle(tags, |other| other != server);
    }

    fn unsettle(&self, tags: Tags, stays: impl Fn(&ServerId) -> bool) {
        let mut servers = self.servers();
        if servers.unsettle(tags, stays) {
            self.changed(servers);
        }
    }

    /// How far the stream of this server was read; its beginning where another's was.
    pub(super) fn read_to(&self, server: &ServerId) -> StreamId {
        self.servers().read_to(server)
    }

    pub(super) fn has_read(&self, server: ServerId, to: StreamId) {
        self.servers().has_read(server, to);
    }

    /// Whether the stream of this server was read whole, and what was missing there is sent.
    pub(super) fn lists(&self, server: &ServerId) -> bool {
        self.servers().lists(server)
    }

    pub(super) fn has_listed(&self, server: ServerId) {
        self.servers().has_listed(server);
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.0.servers().end();
    }
}

impl<W> Inner<W> {
    /// Waits until the server of this connection is settled, which as a rule it is.
    pub(super) async fn until_settled(&self, state: &LinkState, deadline: Instant) -> Result<(), StoreError> {
        if self.is_settled(state, Tags::ALL) {
            return Ok(());
        }
        let mut changes = self.options.journal.changes();
        while !self.is_settled(state, Tags::ALL) {
            timeout_at(deadline, changes.changed()).await.ok().and_then(Result::ok).ok_or(StoreError::NotServing)?;
        }
        Ok(())
    }

    /// Tells of what an operator must mend; what passes by itself is told as a store that is lost.
    pub(super) fn tell(&self, troubles: impl IntoIterator<Item = (JournalTrouble, StoreError)>) {
        let mut troubles = troubles.into_iter();
        let trouble = troubles.find(|(_, error)| matches!(error, StoreError::Denied | StoreError::Refused));
        if let Some((what, error)) = trouble.filter(|_| self.told.get() != trouble) {
            self.observer.warning(&StoreWarning::Journal(what, error));
        }
        self.told.set(trouble);
    }

    /// Whether the server of this connection is settled for these tags, by whomever it was.
    pub(super) fn is_settled(&self, state: &LinkState, tags: Tags) -> bool {
        self.settled(state).contains_all(tags)
    }

    /// What of the server of this connection is settled.
    pub(super) fn settled(&self, state: &LinkState) -> Tags {
        let journal = &self.options.journal;
        if let Some(settled) = state.settled_at(journal.generation.load(Ordering::Acquire)) {
            return settled;
        }
        let servers = journal.servers();
        let generation = journal.generation.load(Ordering::Acquire);
        let settled = state.server().map_or(Tags::NONE, |server| servers.settled(&server));
        state.settle(generation, settled);
        settled
    }

    /// Turns records that were revoked into none.
    pub(super) fn overrule(&self, asked: &[TokenAddress], answers: &mut [Result<Lookup, StoreError>]) {
        self.options.journal.entries.overrule(asked, answers);
    }

    /// Notes those deletions of a batch that were done.
    pub(super) async fn note(&self, batch: &[Deletion], answers: &[Result<(), StoreError>]) {
        let done: Vec<&Deletion> =
            batch.iter().zip(answers).filter(|(_, done)| done.is_ok()).map(|(one, _)| one).collect();
        if !done.is_empty() {
            let keys = self.keys.load_full();
            self.options.journal.entries.note(&keys, &done, self.options.operation_timeout).await;
        }
    }
}

/// Keeps one worker's server settled, and, where it is the one of the process that does, the stream read and written and the epoch kept. Runs until the store
/// is gone.
pub(super) async fn keep(store: Weak<Inner<Links>>, state: Rc<LinkState>, journal: Arc<RedisJournal>) {
    let leading = journal.lead();
    let leads = leading.is_some();
    let mut changes = journal.changes();
    let mut epochs = EpochsKept::new();
    while let Some(inner) = store.upgrade() {
        let settled = inner.settle_if_needed().await;
        if leads && settled == Ok(true) {
            inner.keep_epoch_if_due(&mut epochs).await;
        }
        let kept = match settled {
            Ok(true) if leads => inner.send_and_follow().await.map_err(|error| (JournalTrouble::Unsent, error)),
            Ok(_) => Ok(()),
            Err(error) => Err((JournalTrouble::Unsettled, error)),
        };
        inner.tell(kept.err());
        drop(inner);
        let settled = settled == Ok(true);
        tokio::select! {
            biased;
            () = state.greeted() => {}
            _ = changes.changed(), if settled => {}
            () = async { journal.entries.pending_grew().await; sleep(GATHERING).await }, if leads => {}
            () = sleep(TICK), if leads || !settled => {}
        }
    }
}

/// Lets another lead when this one is gone.
pub(super) struct Leading<'a>(&'a RedisJournal);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.led.store(false, Ordering::Release);
    }
}

impl fmt::Debug for RedisJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisJournal").field("entries", &self.entries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_settles_at_a_time_and_who_may_not_leaves_the_right_alone() {
        let journal = RedisJournal::in_memory(60);
        let first = journal.begin_to_settle().unwrap();
        assert!(journal.begin_to_settle().is_none());
        assert!(journal.begin_to_settle().is_none(), "the one that might not gave the right away");
        drop(first);
        assert!(journal.begin_to_settle().is_some());
    }
}
