//! The store in Redis: tokens lie in pages, sealed and bound to their address, and a batch is one round trip.
//!
//! # Invariants
//! - **Redis is believed only as far as a seal goes.** What it cannot prove is no token; what it does not say is a [`StoreError`].
//! - **A mint is never sent twice**: a first write that stalled could land after a revocation and revive the token.
//! - **Grants are in the store before a token that names them is handed out**, even if Redis lost them a moment ago.
//! - **The connection is a task of its own** ([`connection`]) that owns its socket; here are only the questions to it.
//!
//! # Reading order
//! [`save`], [`find`], [`delete`] and [`claim`] are the stories. [`seal`], [`grant_seal`], [`sub_keys`], [`grants`] and [`pages`] are what is
//! written, [`commands`] and [`trip`] how it is asked, [`link`] the way to the connection, and [`connection`], [`serving`],
//! [`handshake`], [`wire`], [`breaker`], [`connector`] and [`resolver`] the connection itself. [`errors`] is the one table of Redis' refusals.
//! [`sentinel`] leads it to a primary that changes, [`cluster`] is the same store over many primaries; [`lookout`] is what workers know
//! together of where that is, [`inquiry`] how they ask. [`replicas`] is how writes wait for others, [`journal`] how revocations outlive
//! what Redis forgets, and [`epoch`] how uses do.

mod breaker;
mod claim;
pub mod cluster;
mod commands;
mod connection;
pub mod connector;
mod count;
mod delete;
pub mod endpoint;
mod epoch;
mod errors;
mod find;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grant_seal;
mod grants;
mod handshake;
mod inquiry;
pub mod journal;
mod link;
pub mod lookout;
pub mod options;
mod pages;
mod replicas;
pub mod resolver;
mod retry;
#[cfg(test)]
pub(crate) mod sabotage;
mod save;
mod seal;
mod sentinel;
mod server_info;
mod serving;
pub mod slot_map;
mod sub_keys;
mod tags;
pub mod tls;
mod trip;
pub mod url;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::Either;
use tokio::time::Instant;

use self::breaker::Breaker;
use self::commands::Commands;
use self::connection::{Connection, Reported};
use self::connector::{Connector, NetConnector};
use self::grants::Grants;
use self::link::Link;
use self::lookout::Whereabouts;
use self::options::RedisOptions;
use self::replicas::Pair;
use self::retry::RetryBudget;
use self::sentinel::SentinelConnector;
use self::sub_keys::SubKeys;
use self::tags::Tags;
use super::observer::{JournalTrouble, StoreObserver};
use super::open_pages::OpenPages;
use super::{Claim, Count, Deletion, Lookup, NewRecord, StoreError, TokenStore};
use crate::clock::Clock;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::replay::Claimed;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, TokenAddress};
use crate::random::Random;

/// The store in Redis, as one worker holds it. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct RedisStore(Rc<Inner<Links>>);

/// What the stories share, over whatever ways lead to where tokens are kept.
struct Inner<W> {
    options: Rc<RedisOptions>,
    keys: Arc<ArcSwap<ServiceKeys>>,
    clock: Clock,
    random: Random,
    observer: Rc<dyn StoreObserver>,
    ways: W,
    retries: RetryBudget,
    commands: RefCell<Commands>,
    sub_keys: RefCell<SubKeys>,
    grants: RefCell<Grants>,
    pages: OpenPages,
    /// The trouble with the journal that the observer was told last.
    told: Cell<Option<(JournalTrouble, StoreError)>>,
}

/// The ways to one server: two links of one connection; where writes wait for replicas, of two.
struct Links {
    reads: Link,
    writes: Link,
}

impl RedisStore {
    /// A store, and the task that connects it, which the worker runs beside it. Starts without Redis; the task ends when the last
    /// clone of the store is gone.
    pub fn start(
        options: RedisOptions,
        keys: Arc<ArcSwap<ServiceKeys>>,
        clock: Clock,
        random: Random,
        observer: Rc<dyn StoreObserver>,
    ) -> (Self, impl Future<Output = ()> + 'static) {
        match &options.whereabouts {
            // A cluster is opened as a [`cluster::ClusterStore`].
            Whereabouts::Fixed | Whereabouts::Cluster(_) => {
                let connector = NetConnector::new(&options);
                let (store, connection) = Self::start_with(connector, options, keys, clock, random, observer);
                (store, Either::Left(connection))
            }
            Whereabouts::Sentinel(lookout) => {
                let lookout = Arc::clone(lookout);
                let connector = SentinelConnector::new(Arc::clone(&lookout), &options);
                let following = options.clone();
                let (store, connection) = Self::start_with(connector, options, keys, clock, random, observer);
                (store, Either::Right(async move { sentinel::beside(connection, &following, &lookout).await }))
            }
        }
    }

    /// As [`RedisStore::start`], over streams that `connector` opens.
    pub fn start_with<C: Connector>(
        connector: C,
        options: RedisOptions,
        keys: Arc<ArcSwap<ServiceKeys>>,
        clock: Clock,
        random: Random,
        observer: Rc<dyn StoreObserver>,
    ) -> (Self, impl Future<Output = ()> + 'static) {
        let options = Rc::new(options);
        let opening = Opening {
            connector: Rc::new(connector),
            options: Rc::clone(&options),
            numbers: Rc::default(),
            random: random.clone(),
        };
        let (reads, writes, connected) = opening.links(&observer);
        let store = Self(Rc::new(Inner {
            sub_keys: RefCell::new(SubKeys::new(keys.load_full())),
            keys,
            clock,
            observer,
            ways: Links { reads, writes },
            retries: RetryBudget::new(),
            commands: RefCell::new(Commands::new(&options.key_prefix, opening.numbers)),
            grants: RefCell::new(Grants::new(options.ttl_seconds_max)),
            pages: OpenPages::new(random.clone()),
            random,
            told: Cell::new(None),
            options,
        }));
        let state = Rc::clone(store.0.ways.reads.state());
        let keeping = journal::keep(Rc::downgrade(&store.0), state, Arc::clone(&store.0.options.journal));
        // Two connections and what keeps the journal: too large to be moved about.
        let task = Box::pin(async move {
            // The connections end when the store is gone and what it asked is answered.
            tokio::select! {
                biased;
                () = connected => {}
                () = async { keeping.await; std::future::pending().await } => {}
            }
        });
        (store, task)
    }

    /// Whether Redis can be reached, as far as is known, and revocations are known to hold there.
    pub fn is_up(&self) -> bool {
        let Links { reads, writes } = &self.0.ways;
        self.0.is_settled(reads.state(), Tags::ALL) && [reads, writes].iter().all(|link| link.state().is_up())
    }
}

/// What the connections of one store are made with.
struct Opening<C> {
    connector: Rc<C>,
    options: Rc<RedisOptions>,
    numbers: Rc<Cell<u64>>,
    random: Random,
}

impl<C: Connector> Opening<C> {
    /// The links for reads and for writes, and the task of what they lead to: one connection, or where replicas are waited for, two.
    fn links(&self, observer: &Rc<dyn StoreObserver>) -> (Link, Link, impl Future<Output = ()> + use<C>) {
        let (reads, writes, first, second);
        if self.options.replicas == 0 {
            (reads, first) = self.connection(Rc::clone(observer), false);
            (writes, second) = (reads.clone(), None);
        } else {
            let (of_reads, of_writes) = Pair::of(Rc::clone(observer));
            (reads, first) = self.connection(of_reads, false);
            let (link, connection) = self.connection(of_writes, true);
            (writes, second) = (link, Some(connection));
        }
        let both = async move {
            match second {
                None => first.run().await,
                Some(second) => drop(tokio::join!(first.run(), second.run())),
            }
        };
        (reads, writes, both)
    }

    fn connection(&self, observer: Rc<dyn StoreObserver>, one_at_a_time: bool) -> (Link, Connection<Rc<C>>) {
        let (link, inbox, state) = Link::new();
        let connection = Connection {
            connector: Rc::clone(&self.connector),
            options: Rc::clone(&self.options),
            inbox,
            state,
            observer,
            commands: Commands::new(&self.options.key_prefix, Rc::clone(&self.numbers)),
            breaker: Breaker::new(self.random.clone()),
            reported: Reported::default(),
            one_at_a_time,
        };
        (link, connection)
    }
}

impl TokenStore for RedisStore {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        self.0.pages.place(issued_at, lifetime, bound)
    }

    async fn save(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        self.0.save(&batch, Instant::now()).await
    }

    async fn find(&self, batch: Vec<TokenAddress>) -> Vec<Result<Lookup, StoreError>> {
        self.0.find(&batch, Instant::now()).await
    }

    async fn delete(&self, batch: Vec<Deletion>) -> Vec<Result<(), StoreError>> {
        self.0.delete(&batch, Instant::now()).await
    }

    async fn claim(&self, batch: Vec<Claim>) -> Vec<Result<Claimed, StoreError>> {
        self.0.claim(&batch, Instant::now()).await
    }

    async fn count(&self, batch: Vec<Count>) -> Vec<Result<u64, StoreError>> {
        self.0.count(&batch, Instant::now()).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("options", &self.0.options).finish_non_exhaustive()
    }
}
