//! What the embedded store promises beyond the contract: its bound, the end of what has expired, and few grants.

use super::super::contract::{self, deletions, grant, new_record};
use super::*;
use proptest::prelude::*;

use crate::oauth::grant::{Grant, GrantParts};
use crate::oauth::keys::KeyId;

const HOUR: Lifetime = Lifetime::from_seconds(3600);

fn store(tokens_max: u64) -> (MemoryStore, Clock) {
    let clock = Clock::simulated(Clock::System.unix_millis());
    (MemoryStore::new(tokens_max, clock.clone(), Random::system()), clock)
}

async fn save(
    handle: &MemoryHandle,
    count: usize,
    lifetime: Lifetime,
) -> (Vec<TokenAddress>, Vec<Result<(), StoreError>>) {
    let grant = grant("billing");
    let batch: Vec<_> = (0..count).map(|_| new_record(handle, lifetime, &grant)).collect();
    (batch.iter().map(|new| new.address).collect(), handle.save(batch).await)
}

async fn live(handle: &MemoryHandle, addresses: &[TokenAddress]) -> usize {
    let found = handle.find(addresses.to_vec()).await;
    found.iter().filter(|lookup| matches!(lookup, Ok(Lookup::Found(_)))).count()
}

#[tokio::test]
async fn the_contract_holds() {
    contract::holds(async || {
        let store = MemoryStore::new(10_000, Clock::System, Random::system());
        (store.handle(), store.handle())
    })
    .await;
}

#[tokio::test]
async fn a_full_store_refuses_new_tokens_and_ends_none() {
    let (store, _) = store(50);
    let (handle, other) = (store.handle(), store.handle());
    let (first, saved) = save(&handle, 40, HOUR).await;
    assert!(saved.iter().all(Result::is_ok));
    let (second, saved) = save(&other, 20, HOUR).await;
    assert_eq!(saved, [vec![Ok(()); 10], vec![Err(StoreError::Full); 10]].concat());
    assert_eq!((store.len(), store.tokens_max()), (50, 50));
    assert_eq!((live(&other, &first).await, live(&handle, &second).await), (40, 10));

    other.delete(deletions(&first[..3])).await;
    other.delete(deletions(&first[..3])).await;
    assert_eq!(store.len(), 47);
    let (_, saved) = save(&handle, 4, HOUR).await;
    assert_eq!(saved, [Ok(()), Ok(()), Ok(()), Err(StoreError::Full)]);
}

#[tokio::test]
async fn what_has_expired_makes_room_though_nobody_sweeps() {
    let (store, clock) = store(100);
    let handle = store.handle();
    save(&handle, 100, Lifetime::from_seconds(10)).await;
    clock.advance(9_000);
    assert_eq!(save(&handle, 1, HOUR).await.1, [Err(StoreError::Full)]);
    clock.advance(2_000);
    let (long, saved) = save(&handle, 100, HOUR).await;
    assert!(saved.iter().all(Result::is_ok));
    assert_eq!((store.len(), live(&handle, &long).await), (100, 100));
}

#[tokio::test]
async fn a_full_store_sweeps_for_a_flood_of_refusals_only_now_and_then() {
    let (store, clock) = store(10);
    let handle = store.handle();
    save(&handle, 10, HOUR).await;
    let sweeps = || store.0.swept_at.load(Ordering::Relaxed);
    assert_eq!(sweeps(), 0, "there was room");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        clock.advance(1);
        assert_eq!(save(&handle, 1, HOUR).await.1, [Err(StoreError::Full)]);
        seen.insert(sweeps());
    }
    assert_eq!(seen.len(), 10, "in a second");
}

#[tokio::test]
async fn saving_alone_lets_go_of_what_is_dead() {
    let (store, clock) = store(u64::MAX);
    let handle = store.handle();
    save(&handle, 5_000, Lifetime::from_seconds(1)).await;
    clock.advance(60_000);
    save(&handle, 20_000, HOUR).await;
    assert!(store.len() < 20_500, "{}", store.len());
}

#[tokio::test]
async fn a_sweep_leaves_nothing_dead_and_takes_nothing_alive() {
    let (store, clock) = store(u64::MAX);
    let handle = store.handle();
    save(&handle, 500, Lifetime::from_seconds(1)).await;
    let (long, _) = save(&handle, 500, HOUR).await;
    clock.advance(60_000);
    store.sweep(Timestamp::from_unix_millis(clock.unix_millis()));
    assert_eq!((store.len(), live(&handle, &long).await), (500, 500));
    clock.advance(4_000_000);
    store.sweep(Timestamp::from_unix_millis(clock.unix_millis()));
    assert!(store.is_empty());
}

#[tokio::test]
async fn equal_grants_are_kept_once_and_forgotten_when_unused() {
    let (store, clock) = store(u64::MAX);
    let handle = store.handle();
    for client in ["billing", "orders", "billing", "orders"] {
        let new = new_record(&handle, HOUR, &grant(client));
        handle.save(vec![new]).await;
    }
    assert_eq!(lock(&store.0.grants).len(), 2);
    clock.advance(4_000_000);
    for _ in 0..60 {
        store.sweep(Timestamp::from_unix_millis(clock.unix_millis()));
    }
    assert_eq!(lock(&store.0.grants).len(), 0);
}

#[tokio::test]
async fn a_record_of_another_key_is_another_record() {
    let (store, _) = store(10);
    let handle = store.handle();
    let (addresses, _) = save(&handle, 1, HOUR).await;
    let mut foreign = addresses[0];
    foreign.key_id = KeyId(1);
    handle.delete(deletions(&[foreign])).await;
    assert_eq!((live(&handle, &[foreign]).await, live(&handle, &addresses).await), (0, 1));
}

#[tokio::test]
async fn a_page_that_revocations_emptied_is_gone() {
    let (store, _) = store(100);
    let handle = store.handle();
    let (addresses, _) = save(&handle, 34, HOUR).await;
    handle.delete(deletions(&addresses)).await;
    assert!(store.is_empty() && store.0.shards.iter().all(|shard| lock(shard).is_empty()));
}

#[test]
fn workers_at_work_at_once_keep_the_bound_and_lose_nothing() {
    let (store, _) = store(3_000);
    let work = |store: MemoryStore| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let handle = store.handle();
            let (mut kept, mut refused) = (0, 0);
            for _ in 0..100 {
                let (addresses, saved) = save(&handle, 20, HOUR).await;
                let good: Vec<_> = addresses.iter().zip(&saved).filter(|(_, s)| s.is_ok()).map(|(a, _)| *a).collect();
                assert_eq!(live(&handle, &good).await, good.len());
                handle.delete(deletions(&good[..good.len().min(1)])).await;
                kept += good.len().saturating_sub(1) as u64;
                refused += (20 - good.len()) as u64;
            }
            (kept, refused)
        })
    };
    let workers: Vec<_> = (0..4).map(|_| store.clone()).map(|store| std::thread::spawn(move || work(store))).collect();
    let done: Vec<(u64, u64)> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    let (kept, refused) = done.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(store.len(), kept);
    assert!(refused > 0 && store.len() <= 3_000);
}

fn store_with_limits(tokens_max: u64, of_client_max: u64) -> (MemoryStore, Clock) {
    let clock = Clock::simulated(Clock::System.unix_millis());
    (MemoryStore::with_limits(tokens_max, of_client_max, clock.clone(), Random::system()), clock)
}

#[tokio::test]
async fn one_client_has_its_part_whatever_its_grants_and_others_have_theirs() {
    let (store, clock) = store_with_limits(10, 5);
    let (handle, other) = (store.handle(), store.handle());
    let own = grant("billing");
    let narrow = Grant::new(GrantParts {
        audience: vec![],
        claims: serde_json::Map::new(),
        client_id: own.client_id().clone(),
        scope: own.scope().clone(),
        subject: "svc".into(),
    });
    let save = async |handle: &MemoryHandle, grant: &Arc<Grant>, lifetime| {
        let new = new_record(handle, lifetime, grant);
        (new.address, handle.save(vec![new]).await[0])
    };
    let mut kept = Vec::new();
    for number in 0..5 {
        let (address, saved) =
            save(if number % 2 == 0 { &handle } else { &other }, if number < 3 { &own } else { &narrow }, HOUR).await;
        assert_eq!(saved, Ok(()));
        kept.push(address);
    }
    for grant in [&own, &narrow] {
        assert_eq!(save(&handle, grant, HOUR).await.1, Err(StoreError::ClientFull));
    }
    assert_eq!((store.len(), live(&handle, &kept).await), (5, 5), "what was refused holds no room");
    for _ in 0..5 {
        assert_eq!(save(&other, &grant("orders"), HOUR).await.1, Ok(()));
    }
    // Full for all is said before full for one.
    assert_eq!(save(&handle, &own, HOUR).await.1, Err(StoreError::Full));
    handle.delete(deletions(&kept[..1])).await;
    assert_eq!(save(&handle, &narrow, Lifetime::from_seconds(10)).await.1, Ok(()));
    handle.delete(deletions(&kept[1..2])).await;
    assert_eq!(save(&handle, &own, HOUR).await.1, Ok(()));
    assert_eq!(save(&handle, &own, HOUR).await.1, Err(StoreError::Full));
    // What has expired makes room, though nobody sweeps.
    clock.advance(12_000);
    assert_eq!(save(&handle, &own, HOUR).await.1, Ok(()));
    assert_eq!(store.len(), 10);
    assert_eq!(lock(&store.0.grants).tokens_of("billing"), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Against a list of who has which tokens: never one more than it may have, and never fewer than that refused.
    #[test]
    fn a_clients_count_is_that_of_its_tokens(steps in proptest::collection::vec((0..3_usize, 0..4_u8, 0..8_usize), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, clock) = store_with_limits(1000, 4);
            let handle = store.handle();
            let grants = ["a", "b", "c"].map(grant);
            let begun = clock.unix_millis();
            let mut tokens: Vec<(usize, TokenAddress)> = Vec::new();
            for (client, step, pick) in steps {
                match step {
                    // One that lives shortly, one that lives long.
                    0 | 1 => {
                        // A record is issued at the machine's time, which stood still meanwhile.
                        let passed = u32::try_from((clock.unix_millis() - begun) / 1000).unwrap();
                        let lifetime = Lifetime::from_seconds(passed + if step == 0 { 5 } else { 36_000 });
                        let new = new_record(&handle, lifetime, &grants[client]);
                        let address = new.address;
                        let saved = handle.save(vec![new]).await[0];
                        let alive = tokens.iter().filter(|(whose, _)| *whose == client).count();
                        prop_assert!(alive <= 4);
                        if saved.is_ok() {
                            prop_assert!(alive < 4);
                            tokens.push((client, address));
                        } else {
                            prop_assert_eq!((saved, alive), (Err(StoreError::ClientFull), 4));
                        }
                    }
                    2 => {
                        if !tokens.is_empty() {
                            let (_, address) = tokens.remove(pick % tokens.len());
                            handle.delete(deletions(&[address])).await;
                        }
                    }
                    // Whatever lives shortly is dead, and swept.
                    _ => {
                        clock.advance(60_000);
                        store.sweep(Timestamp::from_unix_millis(clock.unix_millis()));
                        tokens.retain(|(_, address)| address.page.dead_second * 1000 > clock.unix_millis());
                    }
                }
                prop_assert_eq!(store.len(), tokens.len() as u64);
            }
            for (index, id) in ["a", "b", "c"].into_iter().enumerate() {
                let alive = tokens.iter().filter(|(whose, _)| *whose == index).count() as u64;
                prop_assert_eq!(lock(&store.0.grants).tokens_of(id), alive);
            }
            Ok(())
        })?;
    }
}
