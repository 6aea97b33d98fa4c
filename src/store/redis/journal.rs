//! The journal of revocations where the store is Redis: who was brought up to it, and how nodes tell each other.
//!
//! A server that this process has not met, by its run id and replication id, may lack deletes that another acknowledged: it restarted,
//! or a replica took over. Before an introspection is answered from it, the entries that other nodes left there are read, and every delete
//! that is known is sent again ([`settle`]). What this process revokes goes on a stream ([`stream`]) that the others follow.
//!
//! # Invariants
//! - **No record is believed before its server is settled, nor against the journal**: what waits for that waits within its deadline.
//! - **One thread of a process settles at a time**, and one, the first that started, sends and follows.
//! - **Nothing of it is waited for by a revocation** but the file.

pub(super) mod settle;
pub(super) mod stream;

use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use self::stream::StreamId;
use super::link::LinkState;
use super::server_info::ServerId;
use super::{Inner, Links};
use crate::clock::Clock;
use crate::oauth::token::TokenAddress;
use crate::random::Random;
use crate::store::journal::Journal;
use crate::store::observer::{JournalTrouble, StoreWarning};
use crate::store::{Deletion, Lookup, StoreError};

/// How often the stream is read, and what failed is tried again.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Servers that are remembered as settled: all primaries of a large cluster, and some that went.
const SERVERS_MAX: usize = 256;

/// The journal of a process and what its workers share beside it.
pub struct RedisJournal {
    /// The entries.
    pub entries: Journal,
    servers: Mutex<Servers>,
    /// Counts those that were settled.
    settled: watch::Sender<u64>,
    /// Whole readings of the stream.
    readings: AtomicU32,
    led: AtomicBool,
}

#[derive(Debug, Default)]
struct Servers {
    settled: VecDeque<ServerId>,
    settling: bool,
    /// How far the stream was read, and where.
    read: Option<(ServerId, StreamId)>,
}

/// The right to settle, while it lives.
pub(super) struct Settling<'a>(&'a RedisJournal);

impl RedisJournal {
    /// No server has been met.
    pub fn new(entries: Journal) -> Self {
        Self {
            entries,
            servers: Mutex::default(),
            settled: watch::Sender::new(0),
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

    fn servers(&self) -> MutexGuard<'_, Servers> {
        // What a panic left is whole: each change is one call.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, server: &ServerId) -> bool {
        self.servers().settled.contains(server)
    }

    pub(super) fn begin_to_settle(&self) -> Option<Settling<'_>> {
        let others = std::mem::replace(&mut self.servers().settling, true);
        // Made only where it is ours: its end is the end of the right.
        (!others).then(|| Settling(self))
    }

    /// A server is settled, by a stream that was read so far on a server, which in a cluster may be another.
    pub(super) fn has_settled(&self, server: ServerId, stream_of: ServerId, read: StreamId) {
        let mut servers = self.servers();
        if !servers.settled.contains(&server) {
            servers.settled.push_back(server);
        }
        if servers.settled.len() > SERVERS_MAX {
            servers.settled.pop_front();
        }
        servers.read = Some((stream_of, read));
        drop(servers);
        self.settled.send_modify(|count| *count += 1);
    }

    /// How far the stream of this server was read; its beginning where another's was.
    fn read_to(&self, server: &ServerId) -> StreamId {
        let servers = self.servers();
        servers.read.as_ref().filter(|(of, _)| of == server).map(|(_, to)| *to).unwrap_or_default()
    }

    fn has_read(&self, server: &ServerId, to: StreamId) {
        self.servers().read = Some((server.clone(), to));
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.0.servers().settling = false;
    }
}

impl<W> Inner<W> {
    /// Waits until the server of this connection is settled, which as a rule it is.
    pub(super) async fn until_settled(&self, state: &LinkState, deadline: Instant) -> Result<(), StoreError> {
        if state.is_settled() {
            return Ok(());
        }
        let mut settled = self.options.journal.settled.subscribe();
        while !self.take_up_settled(state) {
            timeout_at(deadline, settled.changed()).await.ok().and_then(Result::ok).ok_or(StoreError::NotServing)?;
        }
        Ok(())
    }

    /// Tells of what an operator must mend; what passes by itself is told as a store that is lost.
    pub(super) fn tell(&self, trouble: Option<(JournalTrouble, StoreError)>) {
        let trouble = trouble.filter(|(_, error)| matches!(error, StoreError::Denied | StoreError::Refused));
        if let Some((what, error)) = trouble.filter(|_| self.told.get() != trouble) {
            self.observer.warning(&StoreWarning::Journal(what, error));
        }
        self.told.set(trouble);
    }

    /// Whether the server of this connection is settled, by whomever it was.
    pub(super) fn take_up_settled(&self, state: &LinkState) -> bool {
        let settled = state.is_settled() || state.server().is_some_and(|server| self.options.journal.knows(&server));
        if settled {
            state.settle();
        }
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

/// Keeps one worker's server settled, and, where it is the one of the process that does, the stream read and written. Runs until the store
/// is gone.
pub(super) async fn keep(store: Weak<Inner<Links>>, state: Rc<LinkState>, journal: Arc<RedisJournal>) {
    let leading = journal.lead();
    let leads = leading.is_some();
    while let Some(inner) = store.upgrade() {
        let settled = inner.settle_if_needed().await;
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
            () = journal.entries.pending_grew(), if leads => {}
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

    #[test]
    fn servers_are_known_by_their_life_and_forgotten_in_the_end() {
        let journal = RedisJournal::in_memory(60);
        let server = |run: usize| ServerId { run_id: run.to_string(), replication_id: "r".into() };
        let read = "7-1".parse().unwrap();
        journal.has_settled(server(0), server(0), read);
        assert!(journal.knows(&server(0)) && !journal.knows(&server(1)));
        assert_eq!((journal.read_to(&server(0)), journal.read_to(&server(1))), (read, StreamId::default()));
        (1..=SERVERS_MAX).for_each(|run| journal.has_settled(server(run), server(run), read));
        assert!(!journal.knows(&server(0)) && journal.knows(&server(SERVERS_MAX)));
    }
}
