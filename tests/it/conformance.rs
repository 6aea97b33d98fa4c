//! The standards, row by row: what a request must be answered, whatever the store and the version of HTTP.
//!
//! A row that is one request is data, in [`rows`]; one that takes several steps is a function of its own, in [`scenarios`]. Both
//! carry the ids under which the project lists what the RFCs ask (and what it chose where they leave a choice), and
//! [`every_row_is_there`] knows all of these ids.

mod bench;
mod row;
mod rows;
mod run;
mod scenarios;

use std::collections::BTreeSet;

use crate::harness::Http;
use bench::{Bench, Channel, Store};

#[tokio::test]
async fn in_memory_over_http1() {
    run::all(&Bench::start(Store::Memory, Http::One, Channel::Plain).await).await;
}

#[tokio::test]
async fn in_memory_over_http2() {
    run::all(&Bench::start(Store::Memory, Http::Two, Channel::Plain).await).await;
}

#[tokio::test]
async fn in_memory_over_http1_and_tls() {
    run::all(&Bench::start(Store::Memory, Http::One, Channel::Tls).await).await;
}

#[tokio::test]
async fn in_memory_over_http2_and_tls() {
    run::all(&Bench::start(Store::Memory, Http::Two, Channel::Tls).await).await;
}

#[tokio::test]
async fn in_redis_over_http1() {
    run::all(&Bench::start(Store::Redis, Http::One, Channel::Plain).await).await;
}

#[tokio::test]
async fn in_redis_over_http2() {
    run::all(&Bench::start(Store::Redis, Http::Two, Channel::Plain).await).await;
}

/// No row is silently missing, and none has an id that the list does not know.
#[test]
fn every_row_is_there() {
    let wanted: BTreeSet<String> = [
        ids("H", 1..=22, &[]),
        ids("P", 1..=13, &[]),
        ids("A", 1..=22, &[]),
        ids("K", 1..=16, &[]),
        ids("I", 1..=16, &[10]), // no I10 is listed
        ids("V", 1..=11, &[10]), // V10 comes with a cache
        ids("M", 1..=9, &[]),
        ids("R", 1..=5, &[]),
        ids("D", 1..=6, &[]), // D07 stands with the rows of certificates
    ]
    .concat()
    .into_iter()
    .collect();
    let rows = rows::all().into_iter().map(|row| row.id.to_owned());
    let scenarios = scenarios::all().into_iter().map(|scenario| scenario.id.to_owned());
    assert_eq!(rows.chain(scenarios).collect::<BTreeSet<String>>(), wanted);
}

fn ids(section: &str, numbers: std::ops::RangeInclusive<u32>, but: &[u32]) -> Vec<String> {
    numbers.filter(|number| !but.contains(number)).map(|number| format!("{section}{number:02}")).collect()
}
