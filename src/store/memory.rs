//! The embedded store: one for the process, shared by its workers, gone with it.
//!
//! # Invariants
//! - **Bounded.** It holds at most `tokens_max` tokens, and of one client at most so many; a full store refuses new ones and never ends a live one
//!   for them.
//! - **Expiry costs what expires.** Pages stand in the order of their end, so the dead ones are found without a scan, and each
//!   step takes so few that nobody waits for them.
//! - **No lock is held over an await**, and none but the grants' beside another.
//!
//! Records are kept as they are: there is nothing to seal in one's own memory.

mod counts;
mod grants;
mod shard;
#[cfg(test)]
mod tests;
mod uses;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::oauth::replay::Claimed;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, TokenAddress};
use crate::random::Random;

use super::open_pages::OpenPages;
use super::{Claim, Count, Deletion, Lookup, NewRecord, StoreError, TokenStore};
use counts::Counts;
use grants::{Grants, Held, Place};
use shard::{Entry, Shard};
use uses::Uses;

/// Workers meet in a shard in one of so many cases.
const SHARDS: u32 = 64;
/// Dead pages that a save takes out of each shard it writes to: more than it can open there, so that saving alone keeps up.
const DEAD_PAGES_A_SAVE: usize = 4;
/// Between two sweeps by savers that find no room: a flood of refused tokens must not be a flood of sweeps.
const SWEEP_INTERVAL_MILLIS: u64 = 100;
/// Dead pages that a sweep takes out of each shard: 140,000 tokens in all, in a few milliseconds.
const DEAD_PAGES_A_SWEEP: usize = 64;

/// The store of the process. Cheap to clone; [`MemoryStore::handle`] gives what a worker works with.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

/// The store as one worker holds it: the process' tokens, and open pages of its own.
pub struct MemoryHandle {
    store: MemoryStore,
    pages: OpenPages,
}

struct Shared {
    shards: Vec<Mutex<Shard>>,
    grants: Mutex<Grants>,
    uses: Uses,
    counts: Counts,
    tokens: AtomicU64,
    tokens_max: u64,
    tokens_of_client_max: u64,
    /// When a saver last swept, in milliseconds.
    swept_at: AtomicU64,
    clock: Clock,
    random: Random,
}

impl MemoryStore {
    /// An empty store that holds at most `tokens_max` tokens, of whomever. It reads `clock` to tell which are dead and draws the numbers of
    /// pages from `random`.
    pub fn new(tokens_max: u64, clock: Clock, random: Random) -> Self {
        Self::with_limits(tokens_max, tokens_max, clock, random)
    }

    /// The same, of which one client may have at most `tokens_of_client_max`.
    pub fn with_limits(tokens_max: u64, tokens_of_client_max: u64, clock: Clock, random: Random) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let uses = Uses::new(Timestamp::from_unix_millis(clock.unix_millis()));
        let (grants, tokens, swept_at) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Shared {
            shards,
            grants,
            uses,
            counts: Counts::default(),
            tokens,
            tokens_max,
            tokens_of_client_max,
            swept_at,
            clock,
            random,
        }))
    }

    /// What one worker works with.
    pub fn handle(&self) -> MemoryHandle {
        MemoryHandle { store: self.clone(), pages: OpenPages::new(self.0.random.clone()) }
    }

    /// Tokens in it, with those that are dead and not yet swept.
    pub fn len(&self) -> u64 {
        self.0.tokens.load(Ordering::Relaxed)
    }

    /// Whether it holds no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens it holds at most.
    pub fn tokens_max(&self) -> u64 {
        self.0.tokens_max
    }

    /// Lets go of what is dead at `now` and of grants that nothing holds any more; in steps, so a call takes a few milliseconds
    /// at most. To be called about once a second.
    pub fn sweep(&self, now: Timestamp) {
        for shard in &self.0.shards {
            let dead = lock(shard).take_dead(now, DEAD_PAGES_A_SWEEP);
            self.bury(&dead);
        }
        lock(&self.0.grants).forget_unused();
    }

    /// As [`MemoryStore::sweep`], but where one was a moment ago. Whether it swept.
    fn sweep_to_make_room(&self, now_millis: u64) -> bool {
        let last = self.0.swept_at.load(Ordering::Relaxed);
        // A clock that was set back is no reason to wait for it.
        let is_due = now_millis.abs_diff(last) >= SWEEP_INTERVAL_MILLIS;
        let mine =
            is_due && self.0.swept_at.compare_exchange(last, now_millis, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            self.sweep(Timestamp::from_unix_millis(now_millis));
        }
        mine
    }

    fn shard(&self, page: Page) -> &Mutex<Shard> {
        // The number was drawn at random: no one chooses where a page lies.
        &self.0.shards[(page.number % SHARDS) as usize]
    }

    /// Counts what was taken out; the caller frees it with no lock held.
    fn bury(&self, dead: &[Vec<Entry>]) {
        self.give_back(dead.iter().map(|page| page.len() as u64).sum());
    }

    /// Room for `wanted` tokens, or for as many as there is room for.
    fn reserve(&self, wanted: u64) -> u64 {
        let mut granted = 0;
        let _ = self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| {
            granted = wanted.min(self.0.tokens_max.saturating_sub(tokens));
            Some(tokens + granted)
        });
        granted
    }

    fn give_back(&self, tokens: u64) {
        if tokens > 0 {
            self.0.tokens.fetch_sub(tokens, Ordering::Relaxed);
        }
    }

    fn save_now(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        let (now_millis, wanted) = (self.0.clock.unix_millis(), batch.len() as u64);
        let now = Timestamp::from_unix_millis(now_millis);
        let mut room = self.reserve(wanted);
        if room < wanted && self.sweep_to_make_room(now_millis) {
            room += self.reserve(wanted - room);
        }
        let shared = lock(&self.0.grants).share_all(batch);
        let mut saved = Vec::with_capacity(shared.len());
        for (NewRecord { address, record }, held) in shared {
            if room == 0 {
                saved.push(Err(StoreError::Full));
                continue;
            }
            let Some(place) = self.place(&held, now_millis) else {
                saved.push(Err(StoreError::ClientFull));
                continue;
            };
            let page = address.page;
            let mut shard = lock(self.shard(page));
            room -= u64::from(shard.put(page, Entry::new(&address, record, place)));
            let dead = shard.take_dead(now, DEAD_PAGES_A_SAVE);
            drop(shard);
            self.bury(&dead);
            saved.push(Ok(()));
        }
        self.give_back(room);
        saved
    }

    /// A place among the tokens of one client, for which its dead ones make room too.
    fn place(&self, held: &Arc<Held>, now_millis: u64) -> Option<Place> {
        let take = || Place::take(held, self.0.tokens_of_client_max);
        take().or_else(|| self.sweep_to_make_room(now_millis).then(take).flatten())
    }

    fn find_now(&self, address: &TokenAddress) -> Lookup {
        let shard = lock(self.shard(address.page));
        shard.get(address).map_or(Lookup::NotFound, |entry| Lookup::Found(entry.to_record()))
    }

    fn delete_now(&self, address: &TokenAddress) {
        let gone = lock(self.shard(address.page)).remove(address);
        self.give_back(u64::from(gone.is_some()));
    }
}

impl TokenStore for MemoryHandle {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        self.pages.place(issued_at, lifetime, bound)
    }

    async fn save(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        self.store.save_now(batch)
    }

    async fn find(&self, batch: Vec<TokenAddress>) -> Vec<Result<Lookup, StoreError>> {
        batch.iter().map(|address| Ok(self.store.find_now(address))).collect()
    }

    async fn delete(&self, batch: Vec<Deletion>) -> Vec<Result<(), StoreError>> {
        batch.iter().for_each(|deletion| self.store.delete_now(&deletion.address));
        vec![Ok(()); batch.len()]
    }

    async fn claim(&self, batch: Vec<Claim>) -> Vec<Result<Claimed, StoreError>> {
        let now = Timestamp::from_unix_millis(self.store.0.clock.unix_millis());
        batch.iter().map(|claim| self.store.0.uses.claim(claim, now)).collect()
    }

    async fn count(&self, batch: Vec<Count>) -> Vec<Result<u64, StoreError>> {
        let now = Timestamp::from_unix_millis(self.store.0.clock.unix_millis());
        batch.iter().map(|count| Ok(self.store.0.counts.add(count, now))).collect()
    }
}

/// What a panic left behind a lock is whole: every change is one call on one map.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, max) = (self.len(), self.tokens_max());
        f.debug_struct("MemoryStore").field("tokens", &tokens).field("tokens_max", &max).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHandle").field("store", &self.store).field("pages", &self.pages).finish()
    }
}
