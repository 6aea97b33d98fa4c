//! Fetches the keys that clients and trusted issuers publish at URLs: at start, anew while they are in use, and when an assertion names a
//! key that is not among them. Row W14.
//!
//! Invariants: no request is what a fetch waits for, and a request waits for one no longer than its deadline; keys stay in use while they
//! cannot be fetched anew, for a day; what strangers send begins at most one fetch of a place in 30 seconds, and few are under way at once.
//!
//! One for the process, on the main thread: workers see what it brought without asking, and ask it only for what is not there.

mod schedule;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use self::schedule::Schedule;
use super::{ActorError, Deadline};
use crate::clock::Clock;
use crate::oauth::client::Clients;
use crate::oauth::jws::jwk_set::JwkSet;
use crate::oauth::key_place::KeyPlace;
use crate::oauth::remote_keys::{FLOOR, Prospect, RemoteKeys};
use crate::random::Random;
use crate::telemetry::labels::{FetchOutcome, Label, ReloadSubject};
use crate::telemetry::metrics::Metrics;

/// Row W14: all of a fetch, from the question for the address to the last byte.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// Fetches under way at once.
const FETCHES_MAX: usize = 4;
/// What workers may have asked for and is not yet looked at. Of one place there is rarely more than one.
const ERRANDS_MAX: usize = 256;

/// How long keys are fresh whose server does not say.
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// What a server may say: less would make a busy client of us, more would let a key count for long that was taken back.
const FRESH_FOR_RANGE: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(24 * 3600));

/// Where nothing was ever fetched somebody waits: the first attempts follow soon.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Gets the keys at a place.
pub trait FetchKeys: Clone + 'static {
    /// Asks for them once.
    ///
    /// # Errors
    /// [`FetchError`].
    fn fetch(&self, place: &KeyPlace) -> impl Future<Output = Result<FetchedKeys, FetchError>>;
}

/// What was found at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedKeys {
    /// Those that verify signatures.
    pub keys: JwkSet,
    /// For how long the server says that they are fresh.
    pub max_age: Option<Duration>,
}

/// Why nothing was fetched: for the metric, and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// In one word.
    pub outcome: FetchOutcome,
    /// In a sentence.
    pub what: String,
}

/// Asks for keys that are not there. Cheap to clone; from any thread.
#[derive(Clone, Debug)]
pub struct CourierHandle {
    errands: mpsc::Sender<Errand>,
    /// How many fetches have ended, of any place.
    ended: watch::Receiver<u64>,
}

/// Keys without which an assertion cannot be judged.
#[derive(Clone, Debug)]
pub struct WantedKeys {
    /// Those at one place.
    pub keys: Arc<RemoteKeys>,
    /// Fetches of them that had ended when it was found out.
    pub fetches: u64,
}

#[derive(Debug)]
enum Errand {
    /// Other clients may be registered.
    Reloaded,
    /// All are to be fetched, since an operator says so.
    All,
    /// These are wanted.
    Wanted(Arc<RemoteKeys>),
}

/// The courier itself.
pub struct Courier<F> {
    fetch: F,
    clients: Arc<ArcSwap<Clients>>,
    errands: mpsc::Receiver<Errand>,
    ended: watch::Sender<u64>,
    schedule: Schedule,
    metrics: Arc<Metrics>,
    clock: Clock,
    random: Random,
}

/// A courier, and how it is reached.
pub fn courier<F: FetchKeys>(
    fetch: F,
    clients: Arc<ArcSwap<Clients>>,
    metrics: Arc<Metrics>,
    clock: Clock,
    random: Random,
) -> (CourierHandle, Courier<F>) {
    let (sender, errands) = mpsc::channel(ERRANDS_MAX);
    let (ended, seen) = watch::channel(0);
    let schedule = Schedule::default();
    (
        CourierHandle { errands: sender, ended: seen },
        Courier { fetch, clients, errands, ended, schedule, metrics, clock, random },
    )
}

impl CourierHandle {
    /// Nobody's: what it is asked for never comes.
    pub fn nobodys() -> Self {
        Self { errands: mpsc::channel(1).0, ended: watch::channel(0).1 }
    }

    /// Waits until keys have been fetched again, or could not be.
    ///
    /// # Errors
    /// [`ActorError::KeysUnknown`] where that will not be tried for a while, else as any actor.
    pub async fn fetched(&self, by: Deadline, wanted: &WantedKeys) -> Result<(), ActorError> {
        let mut ended = self.ended.clone();
        loop {
            // Before the look: what ends after it is seen below.
            ended.borrow_and_update();
            match wanted.keys.prospect(wanted.fetches, Instant::now().into_std()) {
                Prospect::Came => return Ok(()),
                Prospect::NotBefore { seconds } => {
                    return Err(ActorError::KeysUnknown { retry_after_seconds: seconds });
                }
                Prospect::MayBegin => self.ask_for(wanted)?,
                Prospect::UnderWay => match timeout_at(by.instant(), ended.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(ActorError::Lost),
                    Err(_) => return Err(ActorError::TimedOut),
                },
            }
        }
    }

    fn ask_for(&self, wanted: &WantedKeys) -> Result<(), ActorError> {
        let now = Instant::now().into_std();
        if !wanted.keys.claim(wanted.fetches, now) {
            return Ok(());
        }
        self.errands.try_send(Errand::Wanted(wanted.keys.clone())).map_err(|_| {
            wanted.keys.give_up(now);
            ActorError::Overloaded
        })
    }

    /// Says that other clients may be registered.
    pub fn reloaded(&self) {
        // Full: it is about to look anyway.
        let _ = self.errands.try_send(Errand::Reloaded);
    }

    /// Says that all keys are to be fetched again.
    pub fn fetch_all(&self) {
        // Full, it would be lost, and another hang-up can say it again.
        let _ = self.errands.try_send(Errand::All);
    }
}

impl WantedKeys {
    /// That they are still not known, after they were waited for.
    pub fn unknown(&self) -> ActorError {
        ActorError::KeysUnknown { retry_after_seconds: self.keys.retry_after_seconds(Instant::now().into_std()) }
    }
}

impl<F: FetchKeys> Courier<F> {
    /// Fetches for ever, or until the last handle is gone.
    pub async fn run(&mut self) {
        // After a panic nothing of what was under way is left.
        self.schedule.nothing_is_under_way(Instant::now());
        self.tell();
        let mut under_way = FuturesUnordered::new();
        loop {
            self.schedule.follow(&self.clients.load_full(), Instant::now());
            while under_way.len() < FETCHES_MAX
                && let now = Instant::now()
                && let Some(keys) = self.schedule.take_due(now)
            {
                under_way.push(fetch(self.fetch.clone(), keys, now));
            }
            let next = self.schedule.next().filter(|_| under_way.len() < FETCHES_MAX);
            let due = async move {
                match next {
                    Some(moment) => sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // What has ended makes room.
                Some((keys, begun, fetched)) = under_way.next() => self.land(&keys, begun, fetched),
                errand = self.errands.recv() => match errand {
                    Some(Errand::Reloaded) => {}
                    Some(Errand::All) => self.schedule.all(Instant::now()),
                    Some(Errand::Wanted(keys)) => self.schedule.wanted(&keys, Instant::now()),
                    None => return,
                },
                () = due => {}
            }
        }
    }

    fn land(&mut self, keys: &Arc<RemoteKeys>, begun: Instant, fetched: Result<FetchedKeys, FetchError>) {
        let now = Instant::now();
        let failed_before = self.schedule.failures(keys);
        match fetched {
            Ok(FetchedKeys { keys: set, max_age }) => {
                let (least, most) = FRESH_FOR_RANGE;
                let fresh_for = max_age.unwrap_or(FRESH_FOR).clamp(least, most);
                let count = set.len();
                // Nodes that started together do not ask together.
                let next = now + fresh_for.mul_f64(0.9 + 0.1 * self.chance());
                let differ = keys.came(set, now.into_std(), fresh_for, (begun + FLOOR).into_std());
                self.schedule.came(keys, begun, next);
                self.metrics.keys_fetched(FetchOutcome::Success);
                self.tell();
                if differ || failed_before > 0 {
                    let (subject, place) = (ReloadSubject::Jwks.as_str(), keys.place());
                    tracing::info!(event = "reloaded", subject, %place, keys = count, "keys were fetched");
                }
            }
            Err(FetchError { outcome, what }) => {
                let delay = self.retry_after(keys, failed_before);
                let again = (begun + delay).max(now);
                // Whoever needs them may bring that forward to the floor: the publisher may be back long before the next try.
                keys.failed(again.min(begun + FLOOR).max(now).into_std());
                self.schedule.failed(keys, begun, again);
                self.metrics.keys_fetched(outcome);
                self.tell();
                // Once, until it is mended: a log is no place for a counter.
                if failed_before == 0 {
                    let (subject, place, known) =
                        (ReloadSubject::Jwks.as_str(), keys.place(), keys.are_known(now.into_std()));
                    tracing::error!(event = "reload_failed", subject, %place, known, "keys cannot be fetched: {what}");
                }
            }
        }
        // Last: whoever wakes finds all of it.
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// Twice as long each time, and never the same on two nodes. Nobody waits where there are keys: then the floor is the least.
    fn retry_after(&self, keys: &RemoteKeys, failed_before: u32) -> Duration {
        let first = if keys.keys().is_some() { FLOOR } else { FIRST_RETRY };
        let delay = first.saturating_mul(1 << failed_before.min(16)).min(RETRY_MAX);
        delay.mul_f64(1.0 + 0.5 * self.chance())
    }

    fn chance(&self) -> f64 {
        self.random.bytes::<1>().map_or(0.5, |[byte]| f64::from(byte) / 256.0)
    }

    fn tell(&self) {
        let all_are_well = self.schedule.all_are_well();
        self.metrics.reloaded(ReloadSubject::Jwks, all_are_well, self.clock.unix_millis() / 1000);
    }
}

async fn fetch(
    fetch: impl FetchKeys,
    keys: Arc<RemoteKeys>,
    begun: Instant,
) -> (Arc<RemoteKeys>, Instant, Result<FetchedKeys, FetchError>) {
    keys.begin();
    let fetched = timeout(FETCH_TIMEOUT, fetch.fetch(keys.place())).await;
    let fetched = fetched.unwrap_or_else(|_| {
        let what = format!("nothing whole came within {FETCH_TIMEOUT:?}");
        Err(FetchError { outcome: FetchOutcome::Timeout, what })
    });
    (keys, begun, fetched)
}

impl<F> fmt::Debug for Courier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for FetchError {}

#[cfg(test)]
mod tests;
