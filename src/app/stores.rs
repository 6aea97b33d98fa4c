//! Which store the configuration names, and how each thread gets its own hold of it.

use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::store_watch::StoreWatch;
use crate::clock::Clock;
use crate::config::options::{Config, StoreOptions};
use crate::config::store_url::StoreUrl;
use crate::http::Shared;
use crate::oauth::client::Clients;
use crate::oauth::keys::ServiceKeys;
use crate::random::Random;
use crate::store::journal::Journal;
use crate::store::memory::MemoryStore;
use crate::store::observer::StoreObserver;
use crate::store::redis::RedisStore;
use crate::store::redis::cluster::ClusterStore;
use crate::store::redis::journal::RedisJournal;
use crate::store::redis::lookout::Whereabouts;
use crate::store::redis::options::{Access, RedisOptions};
use crate::store::redis::tls::{ClientTls, TlsFiles};
use crate::store::watched::WatchedStore;
use crate::worker::House;

/// The store of the process, from which each thread opens its own hold. Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) enum Stores {
    Memory(MemoryStore),
    Redis(RedisOptions),
}

impl Stores {
    /// The store that the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// A sentence where a file of `[store.tls]`, or the journal's, cannot be used.
    pub(super) fn new(config: &Config, keys: &Arc<ServiceKeys>, clock: Clock, random: Random) -> Result<Self, String> {
        let store = &config.store;
        let (endpoint, database) = match &store.url {
            StoreUrl::Memory => {
                let of_client = match config.limits.live_tokens_per_client {
                    0 => store.memory_tokens_max.div_ceil(2),
                    max => max,
                };
                return Ok(Self::Memory(MemoryStore::with_limits(store.memory_tokens_max, of_client, clock, random)));
            }
            StoreUrl::Redis { endpoint, database } => (endpoint.clone(), *database),
        };
        let ttl_seconds_max = config.tokens.ttl_seconds_max;
        let journal = match &store.journal_file {
            Some(path) => Journal::with_file(path, keys, &random, clock, ttl_seconds_max)
                .map_err(|error| format!("store.journal_file: {error}"))?,
            None => Journal::in_memory(&random, clock, ttl_seconds_max),
        };
        Ok(Self::Redis(RedisOptions {
            whereabouts: Whereabouts::of(&endpoint),
            endpoint,
            access: Arc::new(ArcSwap::from_pointee(access(store)?)),
            database,
            key_prefix: store.key_prefix.clone(),
            operation_timeout: Duration::from_millis(store.operation_timeout_ms),
            ttl_seconds_max,
            replicas: store.replicas,
            journal: Arc::new(RedisJournal::new(journal)),
            epochs: Arc::default(),
            require_noeviction: store.require_noeviction,
        }))
    }

    /// Opens the house of the calling thread on this store. `speaks`: whether it is the one that logs what all threads see.
    pub(crate) fn open_house(
        &self,
        clients: Arc<ArcSwap<Clients>>,
        random: Random,
        shared: Arc<Shared>,
        speaks: bool,
    ) -> House {
        let watch = Rc::new(StoreWatch::new(shared.health.clone(), shared.metrics.clone(), speaks));
        match self {
            Self::Memory(memory) => {
                watch.back();
                House::open(WatchedStore::new(memory.handle(), watch), clients, random, shared)
            }
            Self::Redis(options) => {
                let (keys, clock, options) = (shared.keys.clone(), shared.clock.clone(), options.clone());
                if let Whereabouts::Cluster(lookout) = &options.whereabouts {
                    let lookout = Arc::clone(lookout);
                    let (store, connections) =
                        ClusterStore::start(options, lookout, keys, clock, random.clone(), watch.clone());
                    let mut house = House::open(WatchedStore::new(store, watch), clients, random, shared);
                    house.keep("connections to the store", connections);
                    return house;
                }
                let (store, connection) = RedisStore::start(options, keys, clock, random.clone(), watch.clone());
                let mut house = House::open(WatchedStore::new(store, watch), clients, random, shared);
                house.keep("connection to the store", connection);
                house
            }
        }
    }

    /// The embedded store, if it is that.
    pub(super) fn memory(&self) -> Option<&MemoryStore> {
        match self {
            Self::Memory(memory) => Some(memory),
            Self::Redis(_) => None,
        }
    }

    /// The journal of revocations, where the store needs one.
    pub(super) fn journal(&self) -> Option<&Journal> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(options) => Some(&options.journal.entries),
        }
    }

    /// Takes what may change while the service runs: user, password and TLS files, for the next connection.
    ///
    /// # Errors
    /// A sentence where a file cannot be used; then nothing changed.
    pub(super) fn reload(&self, store: &StoreOptions) -> Result<(), String> {
        if let Self::Redis(options) = self {
            options.access.store(Arc::new(access(store)?));
        }
        Ok(())
    }
}

impl fmt::Display for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(_) => f.write_str("memory:"),
            Self::Redis(options) => options.endpoint.fmt(f),
        }
    }
}

fn access(store: &StoreOptions) -> Result<Access, String> {
    let tls = match &store.url {
        StoreUrl::Redis { endpoint, .. } if endpoint.speaks_tls() => {
            let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
            let ca = store.tls.ca_file.as_deref().map(read).transpose()?;
            let certificate = store.tls.certificate_file.as_deref().map(read).transpose()?;
            let key = store.tls.private_key_file.as_deref().map(read).transpose()?;
            let identity = certificate.as_deref().zip(key.as_deref());
            let files = TlsFiles { ca: ca.as_deref(), identity };
            Some(ClientTls::new(files).map_err(|error| format!("store.tls: {error}"))?)
        }
        StoreUrl::Memory | StoreUrl::Redis { .. } => None,
    };
    Ok(Access {
        username: store.username.clone(),
        password: store.password.clone(),
        password_previous: store.password_previous.clone(),
        tls,
    })
}
