//! The journal of revocations: what this process has seen revoked, until it is dead by itself.
//!
//! A store may undo a delete that it has acknowledged: a failover to a replica that lagged, a crash between two fsyncs, a restored
//! dump. So every address that was revoked is kept here, shared by the workers, and asked before a record is believed.
//!
//! # Invariants
//! - **What was journaled is never called active again**, by this process; with a file, not after a restart either.
//! - **Order**: the store has deleted, then the journal is written, then the client is answered.
//! - **Bounded**: at most [`ADDRESSES_MAX`] addresses, one client at most an eighth. Beyond, revocations still delete, and are counted.
//! - **Asking an empty journal is one load** of an atomic, a batch.
//! - **No lock is held over an await**, and none while something is written.
//!
//! What is *not* here: how entries reach other nodes (the stream in `store/redis/journal`).
//!
//! # Reading order
//! [`entry`] is the bytes, [`addresses`] what is known, [`nodes`] and [`horizon`] what is believed of others; [`mod@file`], [`writer`],
//! [`lives`] and [`compaction`] are the file.

mod addresses;
mod compaction;
pub(crate) mod entry;
mod figures;
mod file;
mod horizon;
mod lives;
mod nodes;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use self::addresses::{Addresses, Put};
use self::entry::{Entry, Fingerprint, JournalKeys, NodeId, Place, SealedEntry};
use self::figures::Counts;
pub use self::file::OpenError;
use self::horizon::Horizon;
use self::lives::Lives;
use self::nodes::Nodes;
use self::writer::{JournalFile, Writer};
use super::{Deletion, Lookup, StoreError};
use crate::clock::Clock;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::time::Timestamp;
use crate::oauth::token::TokenAddress;
use crate::random::Random;
use crate::telemetry::labels::{JournalDrop, NotJournaled};
use crate::telemetry::metrics::JournalFigures;

/// Addresses known at once: about 50 bytes each.
pub const ADDRESSES_MAX: usize = 4_194_304;
/// Entries that wait to be sent to other nodes, at most: of the addresses, one in so many. Those beyond are sent when the store is next
/// brought up to the journal.
const PENDING_SHARE: usize = 16;
/// Entries signed under one hold of the lock, for which revocations wait.
const SIGNED_AT_ONCE: usize = 256;

/// The journal of one process, shared by its threads.
pub struct Journal {
    /// As many as are known, to be read with no lock.
    len: AtomicUsize,
    known: RwLock<Addresses>,
    own: Mutex<Own>,
    nodes: Mutex<Nodes>,
    file: Option<JournalFile>,
    horizon: Horizon,
    counts: Counts,
    pending_grew: Notify,
    /// Not all that a stream lacked had room among what waits.
    more_unlisted: AtomicBool,
}

/// What this process says itself.
#[derive(Debug)]
struct Own {
    node: NodeId,
    last_number: u64,
    keys: JournalKeys,
    /// Not yet where other nodes read it, oldest first.
    pending: VecDeque<SealedEntry>,
    pending_max: usize,
}

/// What an entry that was read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learnt {
    New,
    Known,
    Nothing,
}

impl Journal {
    /// A journal in memory alone, for tokens that live at most so long.
    pub fn in_memory(random: &Random, clock: Clock, ttl_seconds_max: u32) -> Self {
        Self::with_room(ADDRESSES_MAX, random, clock, ttl_seconds_max)
    }

    /// A journal with a file, which is read first, and stays locked.
    ///
    /// # Errors
    /// [`OpenError`] where it cannot be opened, is something else, or another process holds it.
    pub fn with_file(
        path: &Path,
        keys: &Arc<ServiceKeys>,
        random: &Random,
        clock: Clock,
        ttl_seconds_max: u32,
    ) -> Result<Self, OpenError> {
        let mut journal = Self::in_memory(random, clock, ttl_seconds_max);
        let refused = |error| OpenError::Io(path.to_owned(), error);
        let (file, end) = file::open(path)?;
        let mut lives = Lives::default();
        file::read(&file, file::START, end, |sealed| {
            if journal.learn_one(keys, sealed, None) != Learnt::Nothing {
                lives.count(sealed);
            }
        })
        .map_err(refused)?;
        let writer = Writer { path: path.to_owned(), file, end, lives, horizon: journal.horizon.clone() };
        journal.file = Some(JournalFile::start(writer).map_err(refused)?);
        Ok(journal)
    }

    fn with_room(max: usize, random: &Random, clock: Clock, ttl_seconds_max: u32) -> Self {
        // Two nodes of one number would only count gaps that are none.
        let node = NodeId(random.bytes().unwrap_or_default());
        Self {
            len: AtomicUsize::new(0),
            known: RwLock::new(Addresses::new(max)),
            own: Mutex::new(Own {
                node,
                last_number: 0,
                keys: JournalKeys::default(),
                pending: VecDeque::new(),
                pending_max: max / PENDING_SHARE,
            }),
            nodes: Mutex::new(Nodes::new()),
            file: None,
            horizon: Horizon::new(clock, ttl_seconds_max),
            counts: Counts::default(),
            pending_grew: Notify::new(),
            more_unlisted: AtomicBool::new(false),
        }
    }

    /// Addresses known.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Turns every record that was revoked into none, whatever the store says of it.
    pub(crate) fn overrule(&self, asked: &[TokenAddress], answers: &mut [Result<Lookup, StoreError>]) {
        if self.is_empty() {
            return;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for (address, answer) in asked.iter().zip(answers) {
            if matches!(answer, Ok(Lookup::Found(_))) && known.contains(&Place::from(address)) {
                *answer = Ok(Lookup::NotFound);
                self.counts.overruled();
            }
        }
    }

    /// Notes what the store has deleted; returns when it is in the file too, if there is one that can be written within `patience`.
    pub(crate) async fn note(&self, keys: &Arc<ServiceKeys>, deleted: &[&Deletion], patience: Duration) {
        let entries = self.note_in_memory(keys, deleted);
        if let Some(file) = &self.file {
            // Also with no new entry: who asks again is answered no sooner than who asked first.
            match timeout(patience, file.write(entries)).await {
                Ok(_) => {}
                Err(_) => file.state().failed("took too long to write".into()),
            }
        }
    }

    fn note_in_memory(&self, keys: &Arc<ServiceKeys>, deleted: &[&Deletion]) -> Vec<u8> {
        let now = Timestamp::from_unix_millis(self.horizon.now_millis());
        let mut own = lock(&self.own);
        own.keys.follow(keys);
        let named = deleted.iter().filter_map(|deletion| {
            // Without its key a token is dead.
            let client = own.keys.fingerprint(deletion.address.key_id, &deletion.client_id)?;
            Some((Place::from(&deletion.address), client))
        });
        let named: Vec<(Place, Fingerprint)> = named.collect();
        let new = self.put_all(&named);
        let mut entries = Vec::new();
        for (place, client) in new {
            if let Some(sealed) = own.seal(place, client, now) {
                entries.extend_from_slice(&sealed);
                if !own.send_later(sealed) {
                    // Found unlisted, and sent, once all that waits was sent.
                    self.more_unlisted.store(true, Ordering::Relaxed);
                }
            }
        }
        drop(own);
        if !entries.is_empty() {
            self.pending_grew.notify_one();
        }
        entries
    }

    /// Puts in what is new of these, and returns it.
    fn put_all(&self, named: &[(Place, Fingerprint)]) -> Vec<(Place, Fingerprint)> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::with_capacity(named.len());
        for (place, client) in named {
            match known.put(place, *client, 0) {
                Put::New => new.push((*place, *client)),
                Put::Known => {}
                Put::Full => self.counts.omitted(NotJournaled::Full),
                Put::ClientFull => self.counts.omitted(NotJournaled::Client),
            }
        }
        self.len.store(known.len(), Ordering::Relaxed);
        new
    }

    /// Takes in what the reading `listed` of the stream found. What is new goes into the file too, and nobody waits for that.
    pub(crate) fn learn(&self, keys: &Arc<ServiceKeys>, entries: &[u8], listed: u32) {
        let (entries, rest) = entries.as_chunks();
        if !rest.is_empty() {
            self.counts.dropped(JournalDrop::Garbled);
        }
        let new = entries.iter().filter(|sealed| self.learn_one(keys, sealed, Some(listed)) == Learnt::New);
        let new: Vec<u8> = new.flatten().copied().collect();
        if let Some(file) = self.file.as_ref().filter(|_| !new.is_empty()) {
            drop(file.write(new));
        }
    }

    /// Takes in one entry, from the reading `listed` of the stream or from the file.
    fn learn_one(&self, keys: &Arc<ServiceKeys>, sealed: &SealedEntry, listed: Option<u32>) -> Learnt {
        let (opened, ours) = {
            let mut own = lock(&self.own);
            own.keys.follow(keys);
            (Entry::open(sealed, &mut own.keys), own.node)
        };
        let entry = match opened {
            Ok(entry) => entry,
            Err(unreadable) => {
                self.counts.dropped(unreadable.into());
                return Learnt::Nothing;
            }
        };
        // A file lacks what compactions took out of it.
        if listed.is_some() && entry.node != ours {
            self.counts.missing(lock(&self.nodes).saw(entry.node, entry.number));
        }
        if let Some(why) = self.horizon.refuses(entry.place.page.dead_second) {
            self.counts.dropped(why);
            return Learnt::Nothing;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let put = known.put(&entry.place, entry.client, listed.unwrap_or(0));
        self.len.store(known.len(), Ordering::Relaxed);
        drop(known);
        match put {
            Put::New => Learnt::New,
            Put::Known => Learnt::Known,
            Put::Full | Put::ClientFull => {
                self.counts.dropped(JournalDrop::Full);
                Learnt::Nothing
            }
        }
    }

    /// Forgets what is long dead. To be called now and then.
    pub fn sweep(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let dead = known.take_dead(self.horizon.now_seconds());
        self.len.store(known.len(), Ordering::Relaxed);
        drop(known);
        drop(dead);
    }

    /// Addresses whose pages end in the next second after this one in which any do, and that second; none after the last.
    pub(crate) fn next_end(&self, after: Option<u64>) -> Option<(u64, Vec<Place>)> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).next_end(after)
    }

    /// Signs anew, to be sent, what the reading `listed` of the stream did not find there; what has no room, by
    /// [`Journal::send_more_unlisted`].
    pub(crate) fn send_unlisted(&self, keys: &Arc<ServiceKeys>, listed: u32) {
        let now = Timestamp::from_unix_millis(self.horizon.now_millis());
        let own = lock(&self.own);
        let pending: HashSet<Place> = own.pending.iter().filter_map(entry::place_of).collect();
        let room = own.pending_max.saturating_sub(pending.len());
        drop(own);
        let mut unlisted = self.known.read().unwrap_or_else(PoisonError::into_inner).unlisted(listed, &pending, room);
        self.more_unlisted.store(unlisted.len() == room, Ordering::Relaxed);
        unlisted.sort_unstable_by_key(|(place, _)| *place);
        for some in unlisted.chunks(SIGNED_AT_ONCE) {
            let mut own = lock(&self.own);
            own.keys.follow(keys);
            for (place, client) in some {
                if let Some(sealed) = own.seal(*place, *client, now)
                    && !own.send_later(sealed)
                {
                    self.more_unlisted.store(true, Ordering::Relaxed);
                }
            }
        }
        self.pending_grew.notify_one();
    }

    /// Goes on with it once all that had room was sent, and read again by this process: `listed` is the same reading, as far as it has come.
    pub(crate) fn send_more_unlisted(&self, keys: &Arc<ServiceKeys>, listed: u32) {
        if self.more_unlisted.load(Ordering::Relaxed) && lock(&self.own).pending.is_empty() {
            self.send_unlisted(keys, listed);
        }
    }

    /// At most `max` entries that other nodes cannot read yet, oldest first.
    pub(crate) fn pending(&self, max: usize) -> Vec<SealedEntry> {
        lock(&self.own).pending.iter().take(max).copied().collect()
    }

    /// So many of the oldest can be read by other nodes now.
    pub(crate) fn sent(&self, count: usize) {
        let pending = &mut lock(&self.own).pending;
        pending.drain(..count.min(pending.len()));
    }

    /// Waits until there is more to send.
    pub(crate) async fn pending_grew(&self) {
        self.pending_grew.notified().await;
    }

    /// How old the oldest entry can be that matters.
    pub(crate) fn age_max(&self) -> Duration {
        Duration::from_secs(self.horizon.age_seconds())
    }

    /// Why the last write of the file failed, if it did.
    pub fn file_failing(&self) -> Option<String> {
        self.file.as_ref().and_then(|file| file.state().failing())
    }

    /// What it has counted.
    pub fn figures(&self) -> JournalFigures {
        let file = self.file.as_ref().map(JournalFile::state);
        self.counts.figures(self.len(), lock(&self.own).pending.len(), file)
    }
}

impl Own {
    fn seal(&mut self, place: Place, client: Fingerprint, at: Timestamp) -> Option<SealedEntry> {
        let (node, number) = (self.node, self.last_number + 1);
        let sealed = Entry { place, client, at, node, number }.seal(self.keys.get(place.key_id)?);
        self.last_number = number;
        Some(sealed)
    }

    /// Whether it had room among what waits.
    fn send_later(&mut self, sealed: SealedEntry) -> bool {
        let has_room = self.pending.len() < self.pending_max;
        if has_room {
            self.pending.push_back(sealed);
        }
        has_room
    }
}

/// What a panic left behind a lock is whole: every change is one call on one value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("entries", &self.len()).field("file", &self.file).finish_non_exhaustive()
    }
}
