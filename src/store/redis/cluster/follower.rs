//! Follows the cluster: asks some of its nodes, each time others, which primary keeps which slots.
//!
//! Invariant: what is older is not believed. Each failover and each slot that moves raises the epoch of the cluster; a node that was
//! cut off from it and still names the primaries of before is passed over, unless most of those who should know say no more.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use tokio::time::{sleep, timeout};

use crate::store::redis::endpoint::{Address, Endpoint};
use crate::store::redis::errors;
use crate::store::redis::inquiry::Inquiry;
use crate::store::redis::lookout::Lookout;
use crate::store::redis::options::RedisOptions;
use crate::store::redis::slot_map::SlotMap;

const ASK_EVERY: Duration = Duration::from_secs(5);
/// Between two rounds, however often a node is missed.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Nodes asked at once.
const ASKED_AT_ONCE: usize = 3;

/// Follows for ever, for all who have this lookout.
pub(super) async fn follow(options: &RedisOptions, lookout: &Lookout<SlotMap>) {
    let Endpoint::Cluster { seeds, tls } = &options.endpoint else { return };
    let mut missed = lookout.missed();
    let mut follower = Follower { options, lookout, seeds, tls: *tls, turn: 0, older_in_a_row: 0 };
    loop {
        missed.mark_unchanged();
        follower.ask_some().await;
        sleep(PAUSE_MIN).await;
        let _ = timeout(ASK_EVERY, missed.changed()).await;
    }
}

struct Follower<'a> {
    options: &'a RedisOptions,
    lookout: &'a Lookout<SlotMap>,
    seeds: &'a [Address],
    tls: bool,
    /// Whose turn it is.
    turn: usize,
    /// Answers since the last that was not older than what is known.
    older_in_a_row: usize,
}

impl Follower<'_> {
    /// Asks those whose turn it is and tells what they know that is new.
    async fn ask_some(&mut self) {
        let known = self.lookout.known().borrow().clone();
        let mut places: Vec<&Address> = known.iter().flat_map(|known| &known.primaries).chain(self.seeds).collect();
        places.sort_unstable();
        places.dedup();
        let first = self.turn % places.len();
        places.rotate_left(first);
        self.turn += ASKED_AT_ONCE;
        let (options, tls) = (self.options, self.tls);
        let asked = places.iter().take(ASKED_AT_ONCE).map(|place| ask(options, place, tls));
        let mut answers: FuturesUnordered<_> = asked.collect();
        let (mut troubles, mut believed) = (Vec::new(), false);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(map) => believed |= self.hear(map, places.len()),
                Err(trouble) => troubles.push(trouble),
            }
        }
        if believed {
            self.lookout.confirm();
        }
        if self.lookout.known().borrow().is_none() {
            self.lookout.set_trouble(troubles.join("; "));
        }
    }

    /// Takes up what one of so many says, and whether that is believed.
    fn hear(&mut self, map: SlotMap, places: usize) -> bool {
        let known = self.lookout.known().borrow().clone();
        let is_older = known.as_ref().is_some_and(|known| map.epoch < known.epoch);
        self.older_in_a_row = if is_older { self.older_in_a_row + 1 } else { 0 };
        // A cluster that was made anew begins to count anew.
        let believed = !is_older || 2 * self.older_in_a_row > places;
        if believed && known.as_deref() != Some(&map) {
            self.lookout.tell(map);
        }
        believed
    }
}

async fn ask(options: &RedisOptions, place: &Address, tls: bool) -> Result<SlotMap, String> {
    let endpoint = Endpoint::one(place, tls);
    let asking = async {
        let mut node = Inquiry::open(endpoint.clone(), &options.access).await?;
        let replies = node.ask(&[&[b"CLUSTER", b"SLOTS"], &[b"CLUSTER", b"INFO"]]).await?;
        match replies.as_slice() {
            [Value::ServerError(error), _] => Err(errors::text(error)),
            [slots, info] => SlotMap::read(slots, info, place),
            _ => Err("its answer is none".into()),
        }
    };
    asking.await.map_err(|trouble: String| format!("{endpoint}: {trouble}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::slot_map;

    fn map(epoch: u64) -> SlotMap {
        slot_map::tests::read("*1\r\n*3\r\n:0\r\n:9\r\n*2\r\n$1\r\na\r\n:1\r\n", &epoch.to_string()).unwrap()
    }

    #[test]
    fn who_missed_a_change_is_not_believed_but_most_are() {
        let options = RedisOptions::parse_url("redis+cluster://a:1").unwrap();
        let lookout = Lookout::new();
        let mut follower =
            Follower { options: &options, lookout: &lookout, seeds: &[], tls: false, turn: 0, older_in_a_row: 0 };
        let mut epoch_after = |epoch| {
            follower.hear(map(epoch), 3);
            lookout.known().borrow().as_ref().unwrap().epoch
        };
        assert_eq!([1, 3, 2, 3, 2, 2].map(&mut epoch_after), [1, 3, 3, 3, 3, 2]);
    }
}
