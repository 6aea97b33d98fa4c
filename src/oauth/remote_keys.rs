//! Keys that their owner publishes at a URL, as they were last fetched, and what can be said of an assertion by them.
//!
//! Invariant: that keys could not be fetched is never a statement about a client. Nobody is refused for a key that is not there before
//! somebody has looked there since it could have come (row W14).

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::client_assertion::{AssertionFault, ClientAssertion};
use super::jws::jwk::Jwk;
use super::jws::jwk_set::JwkSet;
use super::key_place::KeyPlace;

/// Row W14: "at most one refetch per client per 30 s".
pub const FLOOR: Duration = Duration::from_secs(30);
/// How long keys count that should have been fetched anew and could not be.
pub const STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// What somebody is told to wait who would have to wait longer.
const RETRY_AFTER_SECONDS_MAX: u64 = 30;

/// The keys at one place: one for the process, whatever is registered with them.
#[derive(Debug)]
pub struct RemoteKeys {
    place: KeyPlace,
    known: ArcSwap<Known>,
}

/// What is known of them.
#[derive(Clone, Debug)]
struct Known {
    held: Option<Held>,
    /// Fetches that ended.
    fetches: u64,
    standing: Standing,
}

#[derive(Clone, Debug)]
struct Held {
    keys: Arc<JwkSet>,
    good_until: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    /// A fetch is under way, or will be at once.
    UnderWay,
    /// The last one ended; another may begin then.
    Ended { again_from: Instant, failed: bool },
}

/// Why an assertion is not proven by keys that were fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It does not prove it.
    Fault(AssertionFault),
    /// Nobody can tell before they are fetched (again): so many fetches had ended when it was judged.
    Unknown {
        /// Those.
        fetches: u64,
    },
}

/// Whether a fetch can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// One has ended since.
    Came,
    /// One is under way.
    UnderWay,
    /// One may begin now.
    MayBegin,
    /// Not before so many seconds.
    NotBefore {
        /// At least 1.
        seconds: u32,
    },
}

impl RemoteKeys {
    /// Those at a place from which nothing was fetched yet.
    pub fn new(place: KeyPlace) -> Self {
        let known = Known { held: None, fetches: 0, standing: Standing::UnderWay };
        Self { place, known: ArcSwap::from_pointee(known) }
    }

    /// Where.
    pub fn place(&self) -> &KeyPlace {
        &self.place
    }

    /// What somebody else should settle before an assertion's signature is judged: see [`ClientAssertion::slow_keys`].
    pub fn slow_keys(&self, assertion: &ClientAssertion, now: Instant) -> Option<Vec<Jwk>> {
        let known = self.known.load();
        assertion.slow_keys(&known.held.as_ref().filter(|held| now < held.good_until)?.keys)
    }

    /// Judges an assertion's signature at `now`.
    ///
    /// # Errors
    /// [`Doubt`].
    pub fn verify(&self, assertion: &ClientAssertion, now: Instant) -> Result<(), Doubt> {
        let known = self.known.load();
        let unknown = Doubt::Unknown { fetches: known.fetches };
        let Some(held) = known.held.as_ref().filter(|held| now < held.good_until) else { return Err(unknown) };
        let Err(fault) = assertion.verify(&held.keys) else { return Ok(()) };
        let may_be_newer = fault == AssertionFault::Key || !assertion.names_its_key();
        let is_up_to_date = match known.standing {
            Standing::UnderWay => false,
            Standing::Ended { again_from, failed } => now < again_from && !failed,
        };
        Err(if may_be_newer && !is_up_to_date { unknown } else { Doubt::Fault(fault) })
    }

    /// What somebody can wait for who was told [`Doubt::Unknown`].
    pub fn prospect(&self, fetches: u64, now: Instant) -> Prospect {
        let known = self.known.load();
        match known.standing {
            _ if known.fetches > fetches => Prospect::Came,
            Standing::UnderWay => Prospect::UnderWay,
            Standing::Ended { again_from, .. } if again_from <= now => Prospect::MayBegin,
            Standing::Ended { again_from, .. } => Prospect::NotBefore { seconds: seconds_until(again_from, now) },
        }
    }

    /// In how many seconds it is worth while to ask again.
    pub fn retry_after_seconds(&self, now: Instant) -> u32 {
        match self.known.load().standing {
            Standing::UnderWay => 1,
            Standing::Ended { again_from, .. } => seconds_until(again_from, now),
        }
    }

    /// Claims the fetch that may begin at `now`, as [`RemoteKeys::prospect`] has it. Whether it is the caller's to ask for: of many who
    /// want the same keys one does.
    pub fn claim(&self, fetches: u64, now: Instant) -> bool {
        let mut claimed = false;
        self.known.rcu(|known| {
            claimed = known.fetches <= fetches
                && matches!(known.standing, Standing::Ended { again_from, .. } if again_from <= now);
            let standing = if claimed { Standing::UnderWay } else { known.standing };
            Known { standing, ..Known::clone(known) }
        });
        claimed
    }

    /// What was claimed cannot be asked for now.
    pub fn give_up(&self, now: Instant) {
        self.change(|known| known.standing = Standing::Ended { again_from: now, failed: true });
    }

    /// A fetch begins.
    pub fn begin(&self) {
        self.change(|known| known.standing = Standing::UnderWay);
    }

    /// A fetch ended with these keys, that are fresh for so long; the next may begin from `again_from` on. Whether they are others than
    /// before.
    pub fn came(&self, keys: JwkSet, now: Instant, fresh_for: Duration, again_from: Instant) -> bool {
        let differ = self.keys().is_none_or(|before| *before != keys);
        let held = Held { keys: Arc::new(keys), good_until: now + fresh_for + STALE_MAX };
        self.change(|known| {
            known.held = Some(held.clone());
            known.fetches += 1;
            known.standing = Standing::Ended { again_from, failed: false };
        });
        differ
    }

    /// A fetch failed; the next may begin from `again_from` on.
    pub fn failed(&self, again_from: Instant) {
        self.change(|known| {
            known.fetches += 1;
            known.standing = Standing::Ended { again_from, failed: true };
        });
    }

    /// The keys that were last fetched, however long ago.
    pub fn keys(&self) -> Option<Arc<JwkSet>> {
        self.known.load().held.as_ref().map(|held| held.keys.clone())
    }

    /// Whether there are keys that count at `now`.
    pub fn are_known(&self, now: Instant) -> bool {
        self.known.load().held.as_ref().is_some_and(|held| now < held.good_until)
    }

    fn change(&self, change: impl Fn(&mut Known)) {
        self.known.rcu(|known| {
            let mut known = Known::clone(known);
            change(&mut known);
            known
        });
    }
}

fn seconds_until(moment: Instant, now: Instant) -> u32 {
    let millis = moment.saturating_duration_since(now).as_millis();
    let seconds = u64::try_from(millis.div_ceil(1000)).unwrap_or(RETRY_AFTER_SECONDS_MAX);
    u32::try_from(seconds.clamp(1, RETRY_AFTER_SECONDS_MAX)).unwrap_or(1)
}

#[cfg(test)]
mod tests;
