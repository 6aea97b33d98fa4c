//! The whole service but for its sockets, against a Redis, a network and clocks that are drawn from a seed: hours of faults in a moment,
//! and each of them again from its seed.
//!
//! A [`run`] is two or three nodes with clients and one Redis. While the clients work, [`faults`] happen; then all is put right and
//! stock is taken. The [`judge`] holds every answer against what Redis really had, and [`proofs`] are used once. Two runs of a seed are the same to the byte.
//!
//! `make simulate SEEDS=10000` runs many, `make simulate SEED=123` runs one and prints what happened.

mod clients;
mod dice;
mod faults;
#[allow(dead_code, reason = "the tests with real processes use more of it")]
#[path = "../tests/it/harness/history.rs"]
mod history;
mod judge;
mod ledger;
mod node;
mod proofs;
mod redis;
mod registry;
mod run;
mod stage;
mod wire;

use std::thread;

use self::faults::Fault;
use self::run::{Run, Tally, run, run_with};
use crate::store::redis::sabotage::{self, Sabotage};

/// How many lives a mistake may take to be found, where only the faults happen in which it shows.
const FOUND_WITHIN: u64 = 40;
/// Seeds of runs that were asked for begin here, so that they are others than those of every run.
const FIRST_ASKED_FOR: u64 = 1000;

/// Runs seeds; fails with the first that breaks a promise, and says how to see it again.
fn run_all(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut told = Tally::default();
    for seed in seeds {
        let Run { breaches, told: more, .. } = run(seed);
        assert!(breaches.is_empty(), "seed {seed} (see it: make simulate SEED={seed})\n{}", breaches.join("\n"));
        told.add(more);
    }
    told
}

#[test]
fn no_promise_is_broken_in_any_of_100_lives() {
    let told = run_all(0..100);
    // A simulation in which nothing works, or nothing breaks, shows nothing.
    assert!(told.issued > 1000 && told.active > 1000 && told.inactive > 500 && told.revoked > 500, "{told:?}");
    assert!(told.unavailable > 500 && told.bound > 100 && told.refused > 100, "{told:?}");
}

#[test]
fn who_asked_a_node_that_dies_learns_nothing() {
    let lives = (0..FOUND_WITHIN).map(|seed| run_with(seed, &[Fault::NodeCrashes]));
    assert!(lives.map(|life| life.told.nothing).sum::<usize>() > 0);
}

#[test]
fn nor_in_100_others() {
    run_all(100..200);
}

#[test]
fn a_seed_is_the_same_life_to_the_byte() {
    for seed in [1, 2, 3] {
        assert_eq!(run(seed).record, run(seed).record, "seed {seed}");
    }
    assert_ne!(run(1).record, run(2).record);
}

/// A simulation that finds nothing may be one that can find nothing.
fn finds(mistake: Sabotage, faults: &[Fault], said: &str) {
    let found = (0..FOUND_WITHIN).find_map(|seed| {
        let breaches = sabotage::with(mistake, || run_with(seed, faults)).breaches.join("\n");
        (!breaches.is_empty()).then_some((seed, breaches))
    });
    let (seed, breaches) = found.unwrap_or_else(|| panic!("{mistake:?} is not found in {FOUND_WITHIN} lives"));
    println!("{mistake:?} is found by seed {seed}");
    assert!(breaches.contains(said), "{mistake:?} is found by seed {seed}, but: {breaches}");
    assert_eq!(run_with(seed, faults).breaches, Vec::<String>::new(), "without it all is well");
}

#[test]
fn it_finds_a_mint_that_is_sent_again() {
    finds(Sabotage::MintSentAgain, &[Fault::ConnectionHangs], "stored again after it was deleted");
}

#[test]
fn it_finds_a_broken_connection_that_is_taken_for_an_answer() {
    finds(Sabotage::BrokenIsNotFound, &[Fault::ConnectionsBreak], "inactive, and Redis had it all the while");
}

#[test]
fn it_finds_grants_that_are_not_counted() {
    finds(Sabotage::GrantsNotCounted, &[Fault::RedisIsFlushed, Fault::NodeCrashes], "though all is put right");
}

#[test]
fn it_finds_replies_whose_number_is_not_checked() {
    finds(Sabotage::NumberNotChecked, &[Fault::RepliesAreMangled], "inactive, and Redis had it all the while");
}

#[test]
fn it_finds_an_epoch_that_is_not_asked() {
    finds(Sabotage::EpochNotAsked, &[Fault::RedisIsFlushed], "broken: WinsOnce");
}

/// `make simulate`: one life with its record, or many on all cores.
#[test]
#[ignore = "as many as are asked for"]
#[expect(clippy::disallowed_methods, reason = "a test that is told by its environment what to run")]
fn as_asked_for() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = asked("SEED") {
        let Run { record, breaches, told } = run(seed);
        println!("{record}\n{told:?}");
        return assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }
    let seeds = asked("SEEDS").unwrap_or(10_000);
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let part = |thread| {
        let seeds = (FIRST_ASKED_FOR + thread..FIRST_ASKED_FOR + seeds).step_by(usize::try_from(threads).unwrap());
        let broken = seeds.filter_map(|seed| {
            let breaches = run(seed).breaches;
            (!breaches.is_empty()).then(|| println!("seed {seed}\n{}", breaches.join("\n")))?;
            Some(seed)
        });
        broken.collect::<Vec<u64>>()
    };
    let broken: Vec<u64> = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(broken.is_empty(), "{} of {seeds} seeds break a promise: {broken:?}", broken.len());
    println!("no promise is broken in any of {seeds} lives");
}
