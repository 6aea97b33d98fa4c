//! What a batch costs in the embedded store, through the trait that every store implements.

#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use divan::counter::ItemsCount;
use jeton::clock::Clock;
use jeton::oauth::client_id::ClientId;
use jeton::oauth::grant::{Grant, GrantParts};
use jeton::oauth::keys::{KeyId, ServiceKey};
use jeton::oauth::scope::Scope;
use jeton::oauth::time::{Lifetime, Timestamp};
use jeton::oauth::token::{RANDOM_BYTES, Token, TokenAddress, TokenRecord};
use jeton::random::Random;
use jeton::store::memory::{MemoryHandle, MemoryStore};
use jeton::store::{NewRecord, TokenStore};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LIFETIME: Lifetime = Lifetime::from_seconds(3600);
const BATCHES: [usize; 3] = [1, 16, 128];
const LIVE_TOKENS: usize = 100_000;

fn main() {
    divan::main();
}

/// The embedded store answers at once: its futures never wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the embedded store waited"),
    }
}

fn store() -> MemoryHandle {
    MemoryStore::new(u64::MAX, Clock::simulated(NOW.unix_millis()), Random::seeded(1)).handle()
}

fn records(store: &MemoryHandle, count: usize) -> Vec<NewRecord> {
    let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
    let random = Random::system();
    let grant = Grant::new(GrantParts {
        audience: vec!["https://api.example.com".to_owned()],
        claims: serde_json::Map::new(),
        client_id: ClientId::new("billing-worker"),
        scope: Scope::parse("invoices:read invoices:write").unwrap(),
        subject: "billing-worker".to_owned(),
    });
    let record = || {
        let page = store.open_page(NOW, LIFETIME, false).unwrap();
        let (_, address) = Token::make("jt", &key, page, &random.bytes::<RANDOM_BYTES>().unwrap());
        let grant = Arc::clone(&grant);
        NewRecord { address, record: TokenRecord { issued_at: NOW, lifetime: LIFETIME, grant, confirmation: None } }
    };
    std::iter::repeat_with(record).take(count).collect()
}

/// A store with [`LIVE_TOKENS`] and where they lie.
fn filled() -> (MemoryHandle, Vec<TokenAddress>) {
    let store = store();
    let records = records(&store, LIVE_TOKENS);
    let addresses = records.iter().map(|new| new.address).collect();
    assert!(ready(store.save(records)).iter().all(Result::is_ok));
    (store, addresses)
}

#[divan::bench(args = BATCHES)]
fn save(bencher: Bencher<'_, '_>, batch: usize) {
    let store = store();
    let items = ItemsCount::new(batch);
    bencher.counter(items).with_inputs(|| records(&store, batch)).bench_local_values(|batch| ready(store.save(batch)));
}

#[divan::bench(args = BATCHES)]
fn find(bencher: Bencher<'_, '_>, batch: usize) {
    let (store, addresses) = filled();
    let mut batches = addresses.chunks_exact(batch).cycle();
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| batches.next().unwrap().to_vec())
        .bench_local_values(|batch| ready(store.find(batch)));
}

#[divan::bench(args = BATCHES)]
fn find_what_is_not_there(bencher: Bencher<'_, '_>, batch: usize) {
    let (store, addresses) = (store(), filled().1);
    let mut batches = addresses.chunks_exact(batch).cycle();
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| batches.next().unwrap().to_vec())
        .bench_local_values(|batch| ready(store.find(batch)));
}
