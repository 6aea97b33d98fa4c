//! A worker's actors on a store that a test can break, for the tests of the rooms above.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests and fuzzers, which end where something fails")]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::authenticator::{AuthenticatorHandle, AuthenticatorOptions};
use super::inspector::{InspectorHandle, InspectorOptions};
use super::limiter::{LimiterHandle, LimiterOptions};
use super::minter::{MinterHandle, MinterOptions};
use super::notary::{NotaryHandle, NotaryOptions};
use super::revoker::{RevokerHandle, RevokerOptions};
use super::supervisor::Supervised;
use super::{Surroundings, deadlines::Deadlines, mailbox::Capacity};
use crate::clock::Clock;
use crate::oauth::client::Clients;
use crate::oauth::client_assertion::Audiences;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::metadata::Issuer;
use crate::oauth::profile::Profile;
use crate::oauth::remembered_secrets::MemoryKey;
use crate::oauth::replay::Claimed;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, TokenAddress};
use crate::random::Random;
use crate::store::memory::{MemoryHandle, MemoryStore};
use crate::store::{Claim, Count, Deletion, Lookup, NewRecord, TokenStore};
use crate::telemetry::metrics::Metrics;

pub(crate) use crate::store::StoreError;

/// How a store is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It answers everything so.
    Says(StoreError),
    /// It answers nothing.
    Hangs,
    /// Whoever asks it dies.
    Panics,
}

/// The embedded store, broken when told to be. Counts its batches.
#[derive(Clone)]
pub(crate) struct BreakableStore {
    inner: Rc<MemoryHandle>,
    pub(crate) fault: Rc<Cell<Option<Fault>>>,
    pub(crate) batches: Rc<Cell<u32>>,
}

/// The handles, and the tasks behind them.
pub(crate) struct Actors {
    pub(crate) authenticator: AuthenticatorHandle,
    pub(crate) minter: MinterHandle,
    pub(crate) inspector: InspectorHandle,
    pub(crate) revoker: RevokerHandle,
    pub(crate) notary: NotaryHandle,
    pub(crate) limiter: LimiterHandle,
    pub(crate) store: BreakableStore,
    pub(crate) tasks: Vec<Supervised>,
}

impl Actors {
    pub(crate) fn new(
        clients: Arc<ArcSwap<Clients>>,
        keys: Arc<ArcSwap<ServiceKeys>>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let inner = Rc::new(MemoryStore::new(1000, clock.clone(), Random::system()).handle());
        let store = BreakableStore { inner, fault: Rc::default(), batches: Rc::default() };
        let capacity = Capacity { messages_max: 100, reserved: 10, wait_max: Duration::from_secs(1) };
        let around = Surroundings { deadlines: Deadlines::default(), metrics, capacity };
        let minting =
            MinterOptions { prefix: "jt".into(), keys, batch_max: 8, clock: clock.clone(), random: Random::system() };
        let issuer = Issuer::parse("https://as.example", false).unwrap();
        let authenticating = AuthenticatorOptions {
            audiences: Audiences::of(&issuer, None, Profile::Default),
            clock: clock.clone(),
            guesses: Arc::default(),
            memory: Arc::new(MemoryKey::new(&[7; 32])),
            profile: Profile::Default,
        };
        let limiting = clock.clone();
        let noting = NotaryOptions { batch_max: 8, random: Random::system() };
        let (authenticator, a) = AuthenticatorHandle::start(&around, clients, authenticating);
        let (minter, b) = MinterHandle::start(&around, store.clone(), minting);
        let (inspector, c) = InspectorHandle::start(&around, store.clone(), InspectorOptions { batch_max: 8, clock });
        let (revoker, d) = RevokerHandle::start(&around, store.clone(), RevokerOptions { batch_max: 8 });
        let (notary, e) = NotaryHandle::start(&around, store.clone(), noting);
        let limiting = LimiterOptions { batch_max: 8, clock: limiting };
        let (limiter, f) = LimiterHandle::start(&around, store.clone(), limiting);
        let deadlines = around.deadlines;
        let sweep: Supervised = Box::pin(async move {
            deadlines.sweep_for_ever().await;
            Ok(())
        });
        let tasks = vec![a, b, c, d, e, f, sweep];
        Self { authenticator, minter, inspector, revoker, notary, limiter, store, tasks }
    }
}

impl BreakableStore {
    async fn unless_broken<T>(
        &self,
        items: usize,
        answer: impl Future<Output = Vec<Result<T, StoreError>>>,
    ) -> Vec<Result<T, StoreError>> {
        self.batches.set(self.batches.get() + 1);
        match self.fault.get() {
            None => answer.await,
            Some(Fault::Says(error)) => (0..items).map(|_| Err(error)).collect(),
            Some(Fault::Hangs) => {
                tokio::time::sleep(Duration::from_secs(1 << 20)).await;
                Vec::new()
            }
            Some(Fault::Panics) => panic!("told to"),
        }
    }
}

impl TokenStore for BreakableStore {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        self.inner.open_page(issued_at, lifetime, bound)
    }

    async fn save(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        self.unless_broken(batch.len(), self.inner.save(batch)).await
    }

    async fn find(&self, batch: Vec<TokenAddress>) -> Vec<Result<Lookup, StoreError>> {
        self.unless_broken(batch.len(), self.inner.find(batch)).await
    }

    async fn delete(&self, batch: Vec<Deletion>) -> Vec<Result<(), StoreError>> {
        self.unless_broken(batch.len(), self.inner.delete(batch)).await
    }

    async fn claim(&self, batch: Vec<Claim>) -> Vec<Result<Claimed, StoreError>> {
        self.unless_broken(batch.len(), self.inner.claim(batch)).await
    }

    async fn count(&self, batch: Vec<Count>) -> Vec<Result<u64, StoreError>> {
        self.unless_broken(batch.len(), self.inner.count(batch)).await
    }
}
