//! What a request costs in process: an ask of an actor and its batch, and the whole way from a connection's bytes to the embedded
//! store and back, with hyper and without a socket.

#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

#[path = "service/house.rs"]
mod house;

use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::future::join_all;
use house::{InProcess, deadline, grant};
use jeton::oauth::time::Lifetime;
use tokio::runtime::LocalRuntime;

/// Requests under way at once.
const AT_ONCE: [usize; 3] = [1, 16, 64];
const LIFETIME: Lifetime = Lifetime::from_seconds(3600);

fn main() {
    divan::main();
}

fn runtime() -> LocalRuntime {
    jeton::worker::runtime().unwrap()
}

#[divan::bench(args = AT_ONCE)]
fn ask_for_a_token(bencher: Bencher<'_, '_>, at_once: usize) {
    let runtime = runtime();
    let house = runtime.block_on(InProcess::open(0));
    let (minter, grant) = (&house.house.services.minter, grant());
    bencher.counter(ItemsCount::new(at_once)).bench_local(|| {
        let asks = (0..at_once).map(|_| minter.mint(deadline(), grant.clone(), LIFETIME, None));
        assert!(runtime.block_on(join_all(asks)).iter().all(Result::is_ok));
    });
}

#[divan::bench(args = AT_ONCE)]
fn ask_about_a_token(bencher: Bencher<'_, '_>, at_once: usize) {
    let runtime = runtime();
    let house = runtime.block_on(InProcess::open(0));
    let services = &house.house.services;
    let mint = |_| services.minter.mint(deadline(), grant(), LIFETIME, None);
    let minted = runtime.block_on(join_all((0..at_once).map(mint)));
    let addresses: Vec<_> = minted.into_iter().map(|minted| minted.unwrap().address).collect();
    bencher.counter(ItemsCount::new(at_once)).bench_local(|| {
        let asks = addresses.iter().map(|address| services.inspector.inspect(deadline(), *address));
        assert!(runtime.block_on(join_all(asks)).iter().all(Result::is_ok));
    });
}

#[divan::bench(args = AT_ONCE)]
fn token_request(bencher: Bencher<'_, '_>, at_once: usize) {
    let runtime = runtime();
    let mut house = runtime.block_on(InProcess::open(at_once));
    let request = house::token_request();
    bencher
        .counter(ItemsCount::new(at_once))
        .bench_local(|| runtime.block_on(house.pipes.exchange(|_| request.as_bytes(), "\"access_token\"")));
}

#[divan::bench(args = AT_ONCE)]
fn introspection(bencher: Bencher<'_, '_>, at_once: usize) {
    let runtime = runtime();
    let mut house = runtime.block_on(InProcess::open(at_once));
    let mint = |_| house.house.services.minter.mint(deadline(), grant(), LIFETIME, None);
    let minted = runtime.block_on(join_all((0..at_once).map(mint)));
    let requests: Vec<_> =
        minted.into_iter().map(|minted| house::introspection_request(minted.unwrap().token.expose())).collect();
    bencher
        .counter(ItemsCount::new(at_once))
        .bench_local(|| runtime.block_on(house.pipes.exchange(|index| requests[index].as_bytes(), "\"active\":true")));
}

/// The same way as far as the token's tag: no actor but the one who knows the clients is asked.
#[divan::bench(args = AT_ONCE)]
fn introspection_of_a_forged_token(bencher: Bencher<'_, '_>, at_once: usize) {
    let runtime = runtime();
    let mut house = runtime.block_on(InProcess::open(at_once));
    let request = house::introspection_request(&format!("jt_{}", "A".repeat(56)));
    bencher
        .counter(ItemsCount::new(at_once))
        .bench_local(|| runtime.block_on(house.pipes.exchange(|_| request.as_bytes(), "\"active\":false")));
}
