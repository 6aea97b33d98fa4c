//! How many different grants a client was given today: each is a record in the store, and one client must not fill it with all the
//! sets of scopes and audiences that it can think of.
//!
//! Those it asks for again and again are kept, ready made.
//!
//! Invariant: bounded; the prepared grant, which almost all requests get, is not looked at.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use super::grant::Grant;
use super::scope::Scope;
use super::time::Timestamp;

/// Different ones in a day.
pub(super) const GRANTS_A_DAY_MAX: usize = 1000;
const DAY_SECONDS: u64 = 86_400;

/// Made grants that are kept of one client: most ask for a few, again and again.
const KEPT_MAX: usize = 32;

/// Those of one client, on one node.
#[derive(Debug, Default)]
pub(super) struct GrantsSeen {
    day: Mutex<Option<Day>>,
    made: Mutex<Vec<Arc<Grant>>>,
}

#[derive(Clone, Debug)]
struct Day {
    number: u64,
    /// By a hash that nobody outside can foresee. Two with one hash count once.
    seen: HashSet<u64>,
    hashes: RandomState,
}

impl GrantsSeen {
    /// The grant that the client asks for, if it may have it today: made by `make` where it is not kept.
    ///
    /// # Errors
    /// Whole seconds until tomorrow, in UTC.
    pub(super) fn get(
        &self,
        scope: Scope,
        audience: Vec<String>,
        now: Timestamp,
        make: impl FnOnce(Scope, Vec<String>) -> Arc<Grant>,
    ) -> Result<Arc<Grant>, u32> {
        self.admit(&scope, &audience, now)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |grant: &&Arc<Grant>| *grant.scope() == scope && grant.audience() == audience;
        if let Some(known) = made.iter().find(is_it) {
            return Ok(Arc::clone(known));
        }
        let grant = make(scope, audience);
        if made.len() == KEPT_MAX {
            made.remove(0);
        }
        made.push(Arc::clone(&grant));
        Ok(grant)
    }

    fn admit(&self, scope: &Scope, audience: &[String], now: Timestamp) -> Result<(), u32> {
        let (number, second) = (now.unix_seconds() / DAY_SECONDS, now.unix_seconds() % DAY_SECONDS);
        // What a panic left is whole.
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
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
        let before = before.day.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if before.is_some() {
            *self.day.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::client::ClientId;
    use super::super::grant::GrantParts;
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

    #[test]
    fn what_is_asked_for_again_is_made_once_and_no_other_is_given() {
        let seen = GrantsSeen::default();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let get = |scope: &str, audience: usize| {
            let make = |scope, audience| {
                let (client_id, subject) = (ClientId::new("a"), "a".into());
                Grant::new(GrantParts { audience, claims: Map::new(), client_id, scope, subject })
            };
            seen.get(Scope::parse(scope).unwrap(), vec![audience.to_string()], now, make).unwrap()
        };
        let first = get("a", 0);
        for number in 0..KEPT_MAX {
            assert!(Arc::ptr_eq(&get("a", number), &get("a", number)));
            assert_eq!(
                (get("b", number).scope().as_str(), get("b", number).audience()),
                ("b", &[number.to_string()][..])
            );
        }
        assert!(*get("a", 0) == *first && !Arc::ptr_eq(&get("a", 0), &first), "others took its place");
        assert_eq!(seen.made.lock().unwrap().len(), KEPT_MAX);
    }
}
