//! The store against real servers, and against ones that lie.
//!
//! Each test has a server of its own on a unix socket, or shares none. They wait for conditions, never for times.

mod cluster;
mod doors;
mod facts;
mod garbled;
mod journal;
mod layout;
mod moved;
mod outage;
mod replicas;
mod sentinel;
pub(crate) mod server;
mod suite;
mod tls;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::{LocalSet, spawn_local};

use self::server::Server;
use super::RedisStore;
use super::connector::Connector;
use super::options::RedisOptions;
use crate::clock::Clock;
use crate::oauth::grant::Grant;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::time::Lifetime;
use crate::oauth::token::TokenAddress;
use crate::random::Random;
use crate::store::contract;
use crate::store::observer::{StoreLost, StoreObserver, StoreWarning};
use crate::store::{Lookup, NewRecord, StoreError, TokenStore};
use crate::telemetry::labels::{Label, RecordRefusal, StoreErrorKind, StoreOperation};

const HOUR: Lifetime = Lifetime::from_seconds(3600);
/// Longer than anything takes that ends at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test on one thread, as a worker does.
fn on_a_worker(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { tokio::time::timeout(6 * PATIENCE, test).await.unwrap() });
}

/// Writes down what a store reports.
#[derive(Debug, Default)]
struct Witness(RefCell<Vec<String>>);

impl Witness {
    fn saw(&self, text: &str) -> usize {
        self.0.borrow().iter().filter(|line| line.contains(text)).count()
    }
}

impl StoreObserver for Witness {
    fn lost(&self, reason: &StoreLost) {
        self.0.borrow_mut().push(format!("lost: {reason}"));
    }

    fn back(&self) {
        self.0.borrow_mut().push("back".into());
    }

    fn warning(&self, warning: &StoreWarning) {
        self.0.borrow_mut().push(format!("warning: {warning}"));
    }

    fn eviction_policy(&self, safe: bool) {
        self.0.borrow_mut().push(format!("eviction policy is safe: {safe}"));
    }

    fn operation(&self, operation: StoreOperation, batch_size: usize, _: Duration) {
        self.0.borrow_mut().push(format!("{} of {batch_size}", operation.as_str()));
    }

    fn failed(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64) {
        self.0.borrow_mut().push(format!("{} failed: {} {items}", operation.as_str(), kind.as_str()));
    }

    fn refused(&self, refusal: RecordRefusal) {
        self.0.borrow_mut().push(format!("refused: {}", refusal.as_str()));
    }

    fn forgot_uses(&self) {
        self.0.borrow_mut().push("forgot uses".into());
    }
}

/// A store with its witness and its keys, its task running.
struct Opened {
    store: RedisStore,
    witness: Rc<Witness>,
    keys: Arc<ArcSwap<ServiceKeys>>,
}

fn open(options: RedisOptions) -> Opened {
    opened(|keys, witness| RedisStore::start(options, keys, Clock::System, Random::system(), witness))
}

fn open_with(connector: impl Connector, options: RedisOptions) -> Opened {
    opened(|keys, witness| RedisStore::start_with(connector, options, keys, Clock::System, Random::system(), witness))
}

fn opened<T: Future<Output = ()> + 'static>(
    start: impl FnOnce(Arc<ArcSwap<ServiceKeys>>, Rc<Witness>) -> (RedisStore, T),
) -> Opened {
    let witness: Rc<Witness> = Rc::default();
    let keys = Arc::new(ArcSwap::from_pointee(contract::keys()));
    let (store, task) = start(Arc::clone(&keys), Rc::clone(&witness));
    spawn_local(task);
    Opened { store, witness, keys }
}

async fn open_up(server: &Server) -> Opened {
    let opened = open(server.options());
    until(|| opened.store.is_up()).await;
    opened
}

/// Waits until something holds.
async fn until(holds: impl Fn() -> bool) {
    let all_patience = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    all_patience.await.expect("it never came to hold");
}

impl Opened {
    fn records(&self, count: usize, grant: &Arc<Grant>) -> Vec<NewRecord> {
        (0..count).map(|_| contract::new_record(&self.store, HOUR, grant)).collect()
    }

    async fn save(&self, records: &[NewRecord]) -> Result<(), StoreError> {
        self.store.save(records.to_vec()).await.into_iter().collect()
    }

    async fn saved(&self, count: usize) -> Vec<NewRecord> {
        let records = self.records(count, &contract::grant("billing"));
        assert_eq!(self.save(&records).await, Ok(()));
        records
    }

    async fn find(&self, address: TokenAddress) -> Result<Lookup, StoreError> {
        self.store.find(vec![address]).await.remove(0)
    }

    async fn delete(&self, address: TokenAddress) -> Result<(), StoreError> {
        self.store.delete(contract::deletions(&[address])).await.remove(0)
    }
}

fn found(new: &NewRecord) -> Result<Lookup, StoreError> {
    Ok(Lookup::Found(new.record.clone()))
}
