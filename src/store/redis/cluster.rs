//! The store in a Redis cluster: pages are spread over the primaries by their tags, and a batch is one trip to each of them at once.
//!
//! # Invariants
//! - **What a token needs lies in one slot**, its page and its grant, so a lost node costs its own share of the tokens alone.
//! - **A redirect is followed and nobody hears of it**: the command it answers was not executed.
//! - **New tokens go where they can be kept**: a minter writes pages only of primaries that can be used, as many on each.
//!
//! # Reading order
//! [`save`], [`find`], [`delete`] and [`claim`] are the stories, told in operations of [`rounds`]. [`nodes`] is who is asked, by what [`follower`] hears
//! and [`redirect`]s say; [`choice`] is which pages are opened, [`health`] what becomes of many connections' reports,
//! and [`journal`] how each primary is brought up to what was revoked.

mod choice;
mod claim;
mod count;
mod delete;
mod find;
mod follower;
mod health;
mod journal;
mod nodes;
mod redirect;
mod rounds;
mod save;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep};

use self::nodes::Nodes;
use super::Inner;
use super::commands::Commands;
use super::grants::Grants;
use super::lookout::Lookout;
use super::options::RedisOptions;
use super::retry::RetryBudget;
use super::slot_map::{SlotMap, Tag};
use super::sub_keys::SubKeys;
use crate::clock::Clock;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::replay::Claimed;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, TokenAddress};
use crate::random::Random;
use crate::store::observer::StoreObserver;
use crate::store::open_pages::OpenPages;
use crate::store::{Claim, Count, Deletion, Lookup, NewRecord, StoreError, TokenStore};

/// How often the nodes are looked after.
const TICK: Duration = Duration::from_millis(500);

/// The store in a cluster, as one worker holds it. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct ClusterStore(Rc<Inner<Nodes>>);

impl ClusterStore {
    /// A store, and the task that connects it, which the worker runs beside it. Starts without the cluster; the task ends when the
    /// last clone of the store is gone. `lookout` is what all workers know together of the cluster at the endpoint of `options`.
    pub fn start(
        options: RedisOptions,
        lookout: Arc<Lookout<SlotMap>>,
        keys: Arc<ArcSwap<ServiceKeys>>,
        clock: Clock,
        random: Random,
        observer: Rc<dyn StoreObserver>,
    ) -> (Self, impl Future<Output = ()> + 'static) {
        let options = Rc::new(options);
        let numbers = Rc::default();
        let ways =
            Nodes::new(&options, Arc::clone(&lookout), Rc::clone(&numbers), random.clone(), Rc::clone(&observer));
        let store = Self(Rc::new(Inner {
            sub_keys: RefCell::new(SubKeys::new(keys.load_full())),
            keys,
            clock,
            observer,
            ways,
            retries: RetryBudget::new(),
            commands: RefCell::new(Commands::new(&options.key_prefix, numbers).tagged()),
            grants: RefCell::new(Grants::new(options.ttl_seconds_max)),
            pages: OpenPages::new(random.clone()),
            random,
            told: Cell::new(None),
            options: Rc::clone(&options),
        }));
        let looking_after = look_after(Rc::downgrade(&store.0), Arc::clone(&lookout));
        let keeping = journal::keep(Rc::downgrade(&store.0), Arc::clone(&options.journal));
        let task = Box::pin(async move {
            tokio::select! {
                biased;
                () = looking_after => {}
                () = async { keeping.await; std::future::pending().await } => {}
                () = lookout.take_turns(follower::follow(&options, &lookout)) => {}
            }
        });
        (store, task)
    }

    /// Whether all primaries can be reached, as far as is known, and revocations are known to hold there.
    pub fn is_up(&self) -> bool {
        self.0.ways.all_up() && self.0.all_settled()
    }
}

#[cfg(test)]
impl ClusterStore {
    /// The journal of its process.
    pub(super) fn journal(&self) -> &super::journal::RedisJournal {
        &self.0.options.journal
    }

    /// How many nodes have been opened so far.
    pub(super) fn nodes_opened(&self) -> u64 {
        self.0.ways.opened()
    }
}

/// Takes up what comes to be known of the cluster, until the store is gone.
async fn look_after(store: Weak<Inner<Nodes>>, lookout: Arc<Lookout<SlotMap>>) {
    let mut known = lookout.known();
    known.mark_changed();
    loop {
        {
            let Some(inner) = store.upgrade() else { return };
            if known.has_changed().unwrap_or(false) {
                let map = known.borrow_and_update().clone();
                map.into_iter().for_each(|map| inner.ways.adopt(&map));
            }
            inner.ways.tend();
        }
        tokio::select! {
            _ = known.changed() => known.mark_changed(),
            () = sleep(TICK) => {
                if known.borrow().is_none() {
                    store.upgrade().into_iter().for_each(|inner| inner.ways.unknown());
                }
            }
        }
    }
}

impl TokenStore for ClusterStore {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        let pages = &self.0.pages;
        let place = |choose: &dyn Fn(u32) -> u32| pages.place_with(issued_at, lifetime, bound, choose);
        self.0.ways.place(pages, place, |page| page.ok().map(Tag::of))
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

impl fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterStore").field("options", &self.0.options).finish_non_exhaustive()
    }
}
