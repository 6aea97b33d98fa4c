//! What was used of what is good for one use, for as long as it must be remembered.
//!
//! Invariants: bounded, and full means refused, never forgotten; what is remembered is forgotten in the order in which it came, at the
//! cost of what is forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::oauth::replay::{Claimed, REMEMBERED_SECONDS, SKEW_SECONDS, UseKind};
use crate::oauth::time::Timestamp;
use crate::store::{Claim, StoreError, TRY_BYTES};

/// Uses remembered at once, of 10 minutes: some 1,700 a second, in 150 MB.
const USES_MAX: usize = 1 << 20;
/// Workers meet in a shard in one of so many cases.
const SHARDS: usize = 16;

type Name = (UseKind, [u8; 32]);

/// The uses of the process.
pub(super) struct Uses {
    shards: Vec<Mutex<Shard>>,
    /// What was made before may have been used in an earlier life of this process, of which nothing is left.
    floor: Timestamp,
    uses_max: usize,
}

#[derive(Default)]
struct Shard {
    tries: HashMap<Name, [u8; TRY_BYTES]>,
    /// In the order of their coming, which by a clock that was set back is not that of their times.
    order: VecDeque<(u64, Name)>,
}

impl Uses {
    /// Nothing was used since `began`.
    pub(super) fn new(began: Timestamp) -> Self {
        Self::with_room_for(USES_MAX, began)
    }

    fn with_room_for(uses_max: usize, began: Timestamp) -> Self {
        let floor = Timestamp::from_unix_millis(began.unix_millis().saturating_add(SKEW_SECONDS * 1000));
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), floor, uses_max }
    }

    /// Notes a use.
    pub(super) fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed, StoreError> {
        if claim.single_use.made_at < self.floor {
            return Err(StoreError::ReplayFloor);
        }
        let name = (claim.single_use.kind, claim.single_use.digest);
        let mut shard = self.shard(name.1);
        shard.forget(now);
        if let Some(by) = shard.tries.get(&name) {
            return Ok(if *by == claim.by { Claimed::First } else { Claimed::Used });
        }
        if shard.tries.len() >= self.uses_max / SHARDS {
            return Err(StoreError::Full);
        }
        shard.tries.insert(name, claim.by);
        shard.order.push_back((now.unix_millis(), name));
        Ok(Claimed::First)
    }

    fn shard(&self, digest: [u8; 32]) -> MutexGuard<'_, Shard> {
        // What a panic left is whole but for one use that is never forgotten.
        self.shards[usize::from(digest[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn forget(&mut self, now: Timestamp) {
        let remembered = |at: u64| at.saturating_add(REMEMBERED_SECONDS * 1000) > now.unix_millis();
        while let Some((_, name)) = self.order.pop_front_if(|(at, _)| !remembered(*at)) {
            self.tries.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::replay::SingleUse;

    const BEGAN: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(BEGAN + seconds)
    }

    fn claim(name: u32, made_at: Timestamp) -> Claim {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&name.to_le_bytes());
        Claim { single_use: SingleUse { kind: UseKind::Assertion, digest, made_at }, by: [7; TRY_BYTES] }
    }

    #[test]
    fn a_use_is_remembered_for_ten_minutes_and_no_longer() {
        let uses = Uses::new(at(0));
        let again = |now| uses.claim(&Claim { by: [8; TRY_BYTES], ..claim(1, at(10)) }, now);
        assert_eq!(uses.claim(&claim(1, at(10)), at(10)), Ok(Claimed::First));
        assert_eq!((again(at(10)), again(at(609))), (Ok(Claimed::Used), Ok(Claimed::Used)));
        assert_eq!(uses.claim(&claim(17, at(10)), at(610)), Ok(Claimed::First));
        assert_eq!(uses.shard([1; 32]).tries.len(), 1, "what is forgotten is gone");
        assert_eq!(again(at(610)), Ok(Claimed::First));
    }

    #[test]
    fn what_an_earlier_life_may_have_seen_is_not_judged() {
        let uses = Uses::new(at(0));
        let made = Timestamp::from_unix_millis(at(5).unix_millis() - 1);
        assert_eq!(uses.claim(&claim(1, made), at(1)), Err(StoreError::ReplayFloor));
        assert_eq!(uses.claim(&claim(1, at(5)), at(1)), Ok(Claimed::First));
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let uses = Uses::with_room_for(32, at(0));
        let same_shard = |n: u32| claim(n * 256, at(10));
        assert_eq!(
            [0, 1, 2].map(|n| uses.claim(&same_shard(n), at(10))),
            [Ok(Claimed::First), Ok(Claimed::First), Err(StoreError::Full)]
        );
        let other = Claim { by: [8; TRY_BYTES], ..same_shard(0) };
        assert_eq!(uses.claim(&other, at(609)), Ok(Claimed::Used));
        assert_eq!(uses.claim(&same_shard(2), at(610)), Ok(Claimed::First), "room is made by time alone");
    }
}
