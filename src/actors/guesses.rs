//! Counts what proved nothing, by the client that was named and the source that named it: row A22.
//!
//! "Since this client authentication method involves a password, the authorization server MUST protect any endpoint utilizing it against
//! brute force attacks" (RFC 6749 section 2.3.1).
//!
//! Invariants: one table for the process, whose size nothing that is sent can change; a name is counted whether it is registered or not,
//! so that a refusal tells nothing; whoever is counted here is refused what is wrong, never what is known to be right.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::oauth::source::Source;

/// What a pair may get wrong in one minute, where nothing else is said.
const PER_MINUTE: u8 = 20;
/// From a pair's first mistake on.
const MINUTE_SECONDS: u64 = 60;

/// Slots among which a pair finds its own: 16,384 in all, of eight bytes each.
const WAYS: usize = 8;
const SETS: usize = 2048;

/// A slot holds a keyed fingerprint of its pair (28 bits), the second of its first failure (28), and how many there were (8).
const COUNT_BITS: u32 = 8;
const SECOND_BITS: u32 = 28;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SECOND_MASK: u64 = (1 << SECOND_BITS) - 1;
const FINGERPRINT_MASK: u64 = (1 << 28) - 1;

/// How often a slot that others write to is tried again; then the failure goes uncounted.
const TRIES: usize = 8;

/// The table. Workers share it.
#[derive(Debug)]
pub struct Guesses {
    slots: Box<[AtomicU64]>,
    /// With a key of the process's own, so that nobody can choose whose slot to take.
    hasher: RandomState,
    per_minute: u64,
    begun: Instant,
}

/// Who is said to ask, and from where; `None` on a unix socket.
pub(crate) type Pair<'a> = (&'a [u8], Option<Source>);

/// The pair has been wrong too often: it is told when it may be again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) retry_after_seconds: u32,
}

/// A slot, taken apart.
#[derive(Clone, Copy)]
struct Slot {
    fingerprint: u64,
    second: u64,
    count: u64,
}

impl Guesses {
    /// An empty table, for so many mistakes of a pair.
    pub fn new(per_minute: u8) -> Self {
        let slots = (0..WAYS * SETS).map(|_| AtomicU64::new(0)).collect();
        Self { slots, hasher: RandomState::new(), per_minute: per_minute.into(), begun: Instant::now() }
    }

    /// The pair was wrong at `now`.
    ///
    /// # Errors
    /// [`TooMany`], and nothing is counted.
    pub(crate) fn count(&self, pair: Pair<'_>, now: Instant) -> Result<(), TooMany> {
        let (set, fingerprint) = self.place(pair);
        let second = self.second(now);
        for _ in 0..TRIES {
            let (slot, word) = find(set, fingerprint, second);
            let found = Slot::of(word);
            let next = if found.is_of(fingerprint, second) {
                self.judge(found, second)?;
                Slot { count: found.count + 1, ..found }
            } else {
                Slot { fingerprint, second, count: 1 }
            };
            if slot.compare_exchange(word, next.word(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Whether the pair has been wrong too often, where it is not yet known whether it is wrong again; nothing is counted.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn check(&self, pair: Pair<'_>, now: Instant) -> Result<(), TooMany> {
        let (set, fingerprint) = self.place(pair);
        let second = self.second(now);
        let found = Slot::of(find(set, fingerprint, second).1);
        if found.is_of(fingerprint, second) { self.judge(found, second) } else { Ok(()) }
    }

    fn judge(&self, found: Slot, second: u64) -> Result<(), TooMany> {
        if found.count < self.per_minute {
            return Ok(());
        }
        let left = MINUTE_SECONDS - found.age(second);
        Err(TooMany { retry_after_seconds: u32::try_from(left).unwrap_or(1) })
    }

    fn place(&self, pair: Pair<'_>) -> (&[AtomicU64], u64) {
        let hash = self.hasher.hash_one(pair);
        let first = (hash >> 32) as usize % SETS * WAYS;
        (&self.slots[first..first + WAYS], hash & FINGERPRINT_MASK)
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs() & SECOND_MASK
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self::new(PER_MINUTE)
    }
}

/// The pair's slot; else one whose minute is over; else the one with the fewest failures, which a newcomer takes and never adds to.
fn find(set: &[AtomicU64], fingerprint: u64, second: u64) -> (&AtomicU64, u64) {
    let rank = |word: u64| {
        let slot = Slot::of(word);
        if slot.is_of(fingerprint, second) {
            return (0, 0);
        }
        if slot.is_over(second) { (1, 0) } else { (2, slot.count) }
    };
    let mut best = (&set[0], set[0].load(Ordering::Relaxed));
    for slot in &set[1..] {
        let word = slot.load(Ordering::Relaxed);
        if rank(word) < rank(best.1) {
            best = (slot, word);
        }
    }
    best
}

impl Slot {
    fn of(word: u64) -> Self {
        Self {
            fingerprint: word >> (COUNT_BITS + SECOND_BITS),
            second: word >> COUNT_BITS & SECOND_MASK,
            count: word & COUNT_MASK,
        }
    }

    fn word(self) -> u64 {
        self.fingerprint << (COUNT_BITS + SECOND_BITS) | self.second << COUNT_BITS | self.count
    }

    /// Seconds since its first failure; workers that look at the clock a moment apart may be a second apart.
    fn age(self, second: u64) -> u64 {
        let age = second.wrapping_sub(self.second) & SECOND_MASK;
        if age > SECOND_MASK - MINUTE_SECONDS { 0 } else { age }
    }

    fn is_over(self, second: u64) -> bool {
        self.count == 0 || self.age(second) >= MINUTE_SECONDS
    }

    fn is_of(self, fingerprint: u64, second: u64) -> bool {
        self.fingerprint == fingerprint && !self.is_over(second)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: Option<Source> = Some(Source::V4(1));
    const THERE: Option<Source> = Some(Source::V4(2));

    fn wrong(guesses: &Guesses, pair: Pair<'_>, after_seconds: u64) -> Result<(), u32> {
        let now = guesses.begun + Duration::from_secs(after_seconds);
        guesses.count(pair, now).map_err(|error| error.retry_after_seconds)
    }

    #[test]
    fn a22_a_pair_is_told_to_wait_until_its_minute_is_over_and_no_other_is() {
        let guesses = Guesses::default();
        for at in 0..u64::from(PER_MINUTE) {
            assert_eq!(wrong(&guesses, (b"a", HERE), 100 + at), Ok(()));
        }
        assert_eq!(wrong(&guesses, (b"a", HERE), 120), Err(40));
        let at = |seconds| guesses.begun + Duration::from_secs(seconds);
        assert_eq!(guesses.check((b"a", HERE), at(120)), Err(TooMany { retry_after_seconds: 40 }));
        assert_eq!([guesses.check((b"a", HERE), at(160)), guesses.check((b"a", THERE), at(120))], [Ok(()); 2]);
        // A worker whose clock is a moment behind.
        assert_eq!(wrong(&guesses, (b"a", HERE), 99), Err(60));
        assert_eq!(wrong(&guesses, (b"a", HERE), 159), Err(1));
        for pair in [(&b"a"[..], THERE), (b"a", None), (b"b", HERE), (b"", HERE)] {
            assert_eq!(wrong(&guesses, pair, 159), Ok(()));
        }
        assert_eq!(wrong(&guesses, (b"a", HERE), 160), Ok(()));
    }

    #[test]
    fn a22_a_flood_of_names_neither_grows_the_table_nor_frees_whom_it_refuses() {
        let guesses = Guesses::default();
        for _ in 0..u64::from(PER_MINUTE) {
            wrong(&guesses, (b"a", HERE), 0).unwrap();
        }
        for number in 0..200_000_u32 {
            wrong(&guesses, (&number.to_be_bytes(), HERE), 0).unwrap();
        }
        assert_eq!(wrong(&guesses, (b"a", HERE), 0), Err(60));
        assert_eq!(guesses.slots.len() * size_of::<AtomicU64>(), 128 * 1024);
    }

    #[test]
    fn workers_count_together() {
        let guesses = Guesses::default();
        let let_through: usize = std::thread::scope(|scope| {
            let work = || (0..1000).filter(|_| wrong(&guesses, (b"a", HERE), 0).is_ok()).count();
            let workers = [scope.spawn(work), scope.spawn(work)];
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        // Two that find the slot empty, or written to by the other, may count once for both.
        assert!((20..=28).contains(&let_through), "{let_through}");
    }
}
