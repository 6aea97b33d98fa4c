//! How many different grants a client was given today: each is a record in the store, and one client must not fill it with all the
//! sets of scopes and audiences that it can think of.
//!
//! Invariant: bounded; the prepared grant, which almost all requests get, is not looked at.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use super::scope::Scope;
use super::time::Timestamp;

/// Different ones in a day.
pub(super) const GRANTS_A_DAY_MAX: usize = 1000;
const DAY_SECONDS: u64 = 86_400;

/// Those of one client, on one node.
#[derive(Debug, Default)]
pub(super) struct GrantsSeen(Mutex<Option<Day>>);

#[derive(Clone, Debug)]
struct Day {
    number: u64,
    /// By a hash that nobody outside can foresee. Two with one hash count once.
    seen: HashSet<u64>,
    hashes: RandomState,
}

impl GrantsSeen {
    /// Whether the client may have this grant today.
    ///
    /// # Errors
    /// Whole seconds until tomorrow, in UTC.
    pub(super) fn admit(&self, scope: &Scope, audience: &[String], now: Timestamp) -> Result<(), u32> {
        let (number, second) = (now.unix_seconds() / DAY_SECONDS, now.unix_seconds() % DAY_SECONDS);
        // What a panic left is whole.
        let mut day = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Day { number, seen: HashSet::new(), hashes: RandomState::new() };
        let day = day.get_or_insert_with(fresh);
        if day.number != number {
            *day = fresh();
        }
        let hash = day.hashes.hash_one((scope.as_str(), audience));
        if day.seen.len() >= GRANTS_A_DAY_MAX && !day.seen.contains(&hash) {
            return Err(u32::try_from(DAY_SECONDS - second).unwrap_or(1));
        }
        day.seen.insert(hash);
        Ok(())
    }

    /// Goes on from what another saw, as after a reload. The few that were let in here since are let in once more.
    pub(super) fn inherit(&self, before: &Self) {
        let before = before.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if before.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_different_ones_a_day_and_each_as_often_as_it_likes() {
        let seen = GrantsSeen::default();
        let scope = Scope::parse("a").unwrap();
        let at = |seconds| Timestamp::from_unix_seconds(20_000 * DAY_SECONDS + seconds);
        let admit = |number: usize, seconds| seen.admit(&scope, &[number.to_string()], at(seconds));
        for number in 0..GRANTS_A_DAY_MAX {
            assert_eq!(admit(number, 0), Ok(()));
            assert_eq!(admit(number, 0), Ok(()));
        }
        assert_eq!(admit(GRANTS_A_DAY_MAX, 86_390), Err(10));
        assert_eq!(admit(7, 86_399), Ok(()));
        let after = GrantsSeen::default();
        after.inherit(&seen);
        assert_eq!(after.admit(&scope, &["more".to_owned()], at(86_399)), Err(1), "a reload is no new day");
        after.inherit(&GrantsSeen::default());
        assert_eq!(after.admit(&scope, &["7".to_owned()], at(86_399)), Ok(()));
        assert_eq!(admit(GRANTS_A_DAY_MAX, 86_400), Ok(()), "another day");
    }
}
