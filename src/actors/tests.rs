//! The actors that use a store against a store that a test can look into and break.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::inspector::{Inspection, InspectorHandle, InspectorOptions, Reason};
use super::minter::{MinterHandle, MinterOptions};
use super::revoker::{Revocation, RevokerHandle, RevokerOptions};
use super::{ActorError, Deadline, Surroundings, deadlines::Deadlines, mailbox::Capacity};
use crate::clock::Clock;
use crate::failpoint::{FailPoint, on_this_thread};
use crate::oauth::client::ClientId;
use crate::oauth::grant::{Grant, GrantParts};
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::replay::Claimed;
use crate::oauth::scope::Scope;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, Token, TokenAddress, TokenRecord};
use crate::random::Random;
use crate::store::{Claim, Count, Deletion, Lookup, NewRecord, StoreError, TokenStore};
use crate::telemetry::exporter::Exporter;
use crate::telemetry::metrics::MailboxMetrics;

const NOW_SECONDS: u64 = 1_800_000_000;

/// Keeps records in a map, counts trips, and fails when told to.
#[derive(Clone, Default)]
struct Drawer {
    records: Rc<RefCell<HashMap<TokenAddress, TokenRecord>>>,
    fault: Rc<Cell<Option<StoreError>>>,
    delete_fault: Rc<Cell<Option<StoreError>>>,
    used: Rc<RefCell<HashSet<[u8; 32]>>>,
    trips: Rc<RefCell<Vec<(&'static str, usize)>>>,
}

impl Drawer {
    fn trip<T>(&self, name: &'static str, items: usize, answer: impl Fn(usize) -> T) -> Vec<Result<T, StoreError>> {
        self.trips.borrow_mut().push((name, items));
        (0..items).map(|item| self.fault.get().map_or_else(|| Ok(answer(item)), Err)).collect()
    }
}

impl TokenStore for Drawer {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, _bound: bool) -> Result<Page, StoreError> {
        let expires = issued_at.unix_seconds() + u64::from(lifetime.seconds());
        Ok(Page { dead_second: Page::dead_second_for(expires, lifetime), number: 1 })
    }

    async fn save(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        let answers = self.trip("save", batch.len(), |_| ());
        let accepted = batch.into_iter().filter(|_| self.fault.get().is_none());
        self.records.borrow_mut().extend(accepted.map(|new| (new.address, new.record)));
        answers
    }

    async fn find(&self, batch: Vec<TokenAddress>) -> Vec<Result<Lookup, StoreError>> {
        let records = self.records.borrow();
        let find = |item: usize| records.get(&batch[item]).cloned().map_or(Lookup::NotFound, Lookup::Found);
        self.trip("find", batch.len(), find)
    }

    async fn delete(&self, batch: Vec<Deletion>) -> Vec<Result<(), StoreError>> {
        if let Some(fault) = self.delete_fault.get() {
            return vec![Err(fault); batch.len()];
        }
        batch.iter().for_each(|deletion| drop(self.records.borrow_mut().remove(&deletion.address)));
        self.trip("delete", batch.len(), |_| ())
    }

    async fn claim(&self, batch: Vec<Claim>) -> Vec<Result<Claimed, StoreError>> {
        let mut used = self.used.borrow_mut();
        let first: Vec<bool> = batch.iter().map(|claim| used.insert(claim.single_use.digest)).collect();
        self.trip("claim", batch.len(), |item| if first[item] { Claimed::First } else { Claimed::Used })
    }

    async fn count(&self, batch: Vec<Count>) -> Vec<Result<u64, StoreError>> {
        self.trip("count", batch.len(), |item| batch[item].add.into())
    }
}

/// A worker's actors on one drawer, run by [`House::within`].
struct House {
    store: Drawer,
    clock: Clock,
    around: Surroundings,
    keys: Arc<ArcSwap<ServiceKeys>>,
}

impl House {
    fn new() -> Self {
        let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
        Self {
            store: Drawer::default(),
            clock: Clock::simulated(NOW_SECONDS * 1000 + 250),
            around: Surroundings {
                deadlines: Deadlines::default(),
                metrics: Arc::new(Exporter::new("0", "0").register(1)),
                capacity: Capacity { messages_max: 100, reserved: 10, wait_max: Duration::from_secs(1) },
            },
            keys: Arc::new(ArcSwap::from_pointee(ServiceKeys::new(vec![key]).unwrap())),
        }
    }

    /// Runs `story` with the three actors that use the store.
    async fn within(&self, story: impl AsyncFnOnce(MinterHandle, InspectorHandle, RevokerHandle)) {
        let (clock, keys) = (self.clock.clone(), self.keys.clone());
        let minting =
            MinterOptions { prefix: "jt".into(), keys, batch_max: 8, clock: clock.clone(), random: Random::system() };
        let (minter, a) = MinterHandle::start(&self.around, self.store.clone(), minting);
        let inspecting = InspectorOptions { batch_max: 8, clock };
        let (inspector, b) = InspectorHandle::start(&self.around, self.store.clone(), inspecting);
        let (revoker, c) = RevokerHandle::start(&self.around, self.store.clone(), RevokerOptions { batch_max: 8 });
        let (_, a, b, c) = tokio::join!(story(minter, inspector, revoker), a, b, c);
        assert_eq!((a, b, c), (Ok(()), Ok(()), Ok(())));
    }

    fn trips(&self) -> Vec<(&'static str, usize)> {
        std::mem::take(&mut *self.store.trips.borrow_mut())
    }
}

fn by() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(1))
}

fn grant(client: &str) -> Arc<Grant> {
    Grant::new(GrantParts {
        audience: vec![],
        claims: serde_json::Map::new(),
        client_id: ClientId::new(client),
        scope: Scope::default(),
        subject: client.into(),
    })
}

const HOUR: Lifetime = Lifetime::from_seconds(3600);

#[tokio::test(start_paused = true)]
async fn what_waits_is_minted_in_one_trip_and_is_in_the_store_when_answered() {
    let house = House::new();
    house
        .within(async |minter, _, _| {
            let mint = || minter.mint(by(), grant("a"), HOUR, None);
            let (a, b, c) = tokio::join!(mint(), mint(), mint());
            for minted in [a, b, c] {
                let minted = minted.unwrap();
                let now = Timestamp::from_unix_seconds(NOW_SECONDS);
                let checked = Token::check(minted.token.expose(), "jt", &house.keys.load(), now);
                assert_eq!(checked, Ok(minted.address));
                assert!(house.store.records.borrow().contains_key(&minted.address));
            }
        })
        .await;
    assert_eq!(house.trips(), [("save", 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_store_is_never_a_token_and_never_an_answer() {
    let house = House::new();
    house.store.fault.set(Some(StoreError::Full));
    house
        .within(async |minter, inspector, revoker| {
            let fault = ActorError::Store(StoreError::Full);
            assert_eq!(minter.mint(by(), grant("a"), HOUR, None).await.unwrap_err(), fault);

            house.store.fault.set(None);
            let address = minter.mint(by(), grant("a"), HOUR, None).await.unwrap().address;
            house.store.fault.set(Some(StoreError::TimedOut));
            let fault = ActorError::Store(StoreError::TimedOut);
            assert_eq!(inspector.inspect(by(), address).await, Err(fault));
            assert_eq!(revoker.revoke(by(), address, ClientId::new("a")).await, Err(fault));

            house.store.fault.set(None);
            house.store.delete_fault.set(Some(StoreError::Broken));
            let fault = ActorError::Store(StoreError::Broken);
            assert_eq!(revoker.revoke(by(), address, ClientId::new("a")).await, Err(fault));
            assert!(matches!(inspector.inspect(by(), address).await, Ok(Inspection::Live(_))));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_mint_that_nobody_waits_for_is_not_made() {
    let house = House::new();
    house
        .within(async |minter, _, _| {
            let hung_up = minter.mint(by(), grant("a"), HOUR, None);
            tokio::select! { biased; _ = hung_up => unreachable!(), () = std::future::ready(()) => () }
            minter.mint(by(), grant("b"), HOUR, None).await.unwrap();
        })
        .await;
    assert_eq!(house.trips(), [("save", 1)]);
}

#[tokio::test(start_paused = true)]
async fn equal_questions_are_asked_once_and_a_token_ends_at_its_second() {
    let house = House::new();
    house
        .within(async |minter, inspector, _| {
            let address = minter.mint(by(), grant("a"), HOUR, None).await.unwrap().address;
            let other = minter.mint(by(), grant("a"), HOUR, None).await.unwrap().address;
            house.trips();
            let ask = |address| inspector.inspect(by(), address);
            let (a, b, c) = tokio::join!(ask(address), ask(other), ask(address));
            assert_eq!(a, c);
            assert!(matches!((a, b), (Ok(Inspection::Live(_)), Ok(Inspection::Live(_)))));
            assert_eq!(house.trips(), [("find", 2)]);

            house.clock.advance(3600 * 1000 - 251);
            assert!(matches!(ask(address).await, Ok(Inspection::Live(_))));
            house.clock.advance(1);
            assert_eq!(ask(address).await, Ok(Inspection::Inactive(Reason::Expired)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn only_its_own_client_takes_a_token_back() {
    let house = House::new();
    house
        .within(async |minter, inspector, revoker| {
            let address = minter.mint(by(), grant("a"), HOUR, None).await.unwrap().address;
            let revoke = |client: &str| revoker.revoke(by(), address, ClientId::new(client));
            assert_eq!(revoke("b").await, Ok(Revocation::NotOwner));
            assert!(matches!(inspector.inspect(by(), address).await, Ok(Inspection::Live(_))));
            assert_eq!(revoke("a").await, Ok(Revocation::Revoked));
            assert_eq!(inspector.inspect(by(), address).await, Ok(Inspection::Inactive(Reason::NotFound)));

            // The second try is sent as well: the first may still be under way.
            house.trips();
            assert_eq!(revoke("a").await, Ok(Revocation::NotFound));
            assert_eq!(house.trips(), [("find", 1), ("delete", 1)]);
        })
        .await;
}

/// A panic in the middle of a batch: those in it are told that nobody knows, those behind it are answered, at once.
#[tokio::test(start_paused = true)]
async fn f23_a_panic_costs_the_batch_in_hand() {
    let house = House::new();
    let begun = Instant::now();
    house
        .within(async |minter, inspector, revoker| {
            let mint = || minter.mint(by(), grant("a"), HOUR, None);
            let address = mint().await.unwrap().address;
            let inspect = || inspector.inspect(by(), address);

            on_this_thread::arm(FailPoint::Minter);
            let (a, b) = tokio::join!(mint(), mint());
            assert_eq!((a.unwrap_err(), b.unwrap_err()), (ActorError::Lost, ActorError::Lost));
            mint().await.unwrap();

            on_this_thread::arm(FailPoint::Inspector);
            assert_eq!(tokio::join!(inspect(), inspect()), (Err(ActorError::Lost), Err(ActorError::Lost)));
            assert!(matches!(inspect().await, Ok(Inspection::Live(_))));

            on_this_thread::arm(FailPoint::Revoker);
            let revoke = |client| revoker.revoke(by(), address, ClientId::new(client));
            // Whose answer was given before is not asked again.
            assert_eq!(tokio::join!(revoke("a"), revoke("b")), (Err(ActorError::Lost), Ok(Revocation::NotOwner)));
            assert_eq!(revoke("a").await, Ok(Revocation::NotFound));
        })
        .await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited for a new actor");
}

/// Who asks an actor that hangs is told in time, though what tells him died before.
#[tokio::test(start_paused = true)]
async fn f23_the_sweep_of_overdue_asks_goes_on_after_a_panic() {
    let deadlines = Deadlines::default();
    let capacity = Capacity { messages_max: 10, reserved: 0, wait_max: Duration::from_secs(1) };
    let (mailbox, inbox) = super::mailbox::mailbox(capacity, deadlines.clone(), MailboxMetrics::none());
    on_this_thread::arm(FailPoint::Deadlines);
    let sweep = super::supervisor::keep_alive("sweep", async || deadlines.sweep_for_ever().await);
    tokio::select! {
        _ = sweep => unreachable!(),
        answer = mailbox.ask(by(), |reply: super::mailbox::Reply<()>| reply) => {
            assert_eq!(answer, Err(ActorError::TimedOut));
        }
    }
    drop(inbox);
}
