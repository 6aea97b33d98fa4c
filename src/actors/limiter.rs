//! Counts tokens of clients that have a quota, which all nodes count together, in batches: a client comes in, how it stands goes out.
//!
//! Invariant: no token is allowed that the store has not counted; a fault of the store is never "no more", and never "one more".

use std::collections::HashMap;
use std::sync::Arc;

use super::mailbox::{Inbox, Mailbox, Reply};
use super::supervisor::{Actor, Supervised};
use super::{ActorError, Deadline, Surroundings};
use crate::clock::Clock;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::quota::{Quota, Share, Window};
use crate::oauth::standing::Standing;
use crate::oauth::time::Timestamp;
use crate::store::{Count, StoreError, TokenStore};
use crate::telemetry::labels::ActorName;

/// Shares that are held at once before those of past windows are let go.
const SHARES_USUAL: usize = 1024;
/// The name lives on for so long after its window: a node's clock may be behind.
const KEPT_LONGER_SECONDS: u32 = 300;

/// Asks for one more token. Cheap to clone; after the last drop the limiter empties its inbox and stops.
#[derive(Clone, Debug)]
pub struct LimiterHandle(Mailbox<Message, Allowed>);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It may have one more. How it stands then, by each of its quotas.
    Within(Vec<Standing>),
    /// It has had all of this one.
    Over(Standing),
}

/// What a limiter is told.
#[derive(Clone, Debug)]
pub struct LimiterOptions {
    /// Tokens that are asked for at once.
    pub batch_max: usize,
    /// Where time comes from.
    pub clock: Clock,
}

enum Message {
    Take(Take),
    /// A token was not made after all. When its place was taken.
    GiveBack(Arc<Client>, Timestamp),
}

struct Take {
    client: Arc<Client>,
    reply: Reply<Allowed>,
}

type Key = (ClientId, Window);

struct Limiter<S> {
    store: S,
    options: LimiterOptions,
    shares: HashMap<Key, Share>,
}

impl LimiterHandle {
    /// A limiter in these surroundings, and the task that it is.
    pub(crate) fn start<S: TokenStore + Clone>(
        around: &Surroundings,
        store: S,
        options: LimiterOptions,
    ) -> (Self, Supervised) {
        let make = move || Limiter { store: store.clone(), options: options.clone(), shares: HashMap::new() };
        let (mailbox, task) = around.start(ActorName::Limiter, make);
        (Self(mailbox), task)
    }

    /// Takes one token of each of the client's quotas.
    ///
    /// # Errors
    /// [`ActorError`]: nobody knows whether there is one more.
    pub fn take(&self, by: Deadline, client: Arc<Client>) -> impl Future<Output = Result<Allowed, ActorError>> {
        self.0.ask(by, |reply| Message::Take(Take { client, reply }))
    }

    /// Gives back a token's place of each quota, which was taken at `taken` or a little later: no token came of it. Where the mailbox is full it is lost.
    pub fn give_back(&self, by: Deadline, client: Arc<Client>, taken: Timestamp) {
        drop(self.0.ask_reserved(by, |_| Message::GiveBack(client, taken)));
    }
}

impl<S: TokenStore> Actor<Message> for Limiter<S> {
    async fn run(mut self, inbox: &mut Inbox<Message>) {
        while let Some(messages) = inbox.next_batch(self.options.batch_max).await {
            let now = Timestamp::from_unix_millis(self.options.clock.unix_millis());
            let mut batch = Vec::with_capacity(messages.len());
            for message in messages {
                match message {
                    Message::Take(take) => batch.push(take),
                    Message::GiveBack(client, taken) => self.take_back(&client, taken),
                }
            }
            let faults = self.gather(&batch, now).await;
            for Take { client, reply } in batch {
                reply.send(self.give(&client, &faults, now));
            }
        }
    }
}

impl<S: TokenStore> Limiter<S> {
    /// Takes shares of what this batch wants and is not there, in one trip. The quotas of which nobody knows.
    async fn gather(&mut self, batch: &[Take], now: Timestamp) -> HashMap<Key, StoreError> {
        if self.shares.len() > SHARES_USUAL {
            self.shares.retain(|(_, window), share| share.is_in(*window, now));
        }
        let mut wanted: HashMap<Key, (Quota, u32)> = HashMap::new();
        for take in batch.iter().filter(|take| take.reply.is_awaited()) {
            for quota in &take.client.registration().quotas {
                let key = (take.client.id().clone(), quota.window);
                wanted.entry(key).or_insert((*quota, 0)).1 += 1;
            }
        }
        let (mut keys, mut counts) = (Vec::new(), Vec::new());
        for (key, (quota, asked)) in wanted {
            let share = self.shares.entry(key.clone()).or_insert_with(|| Share::of(quota, now));
            if !share.is_of(&quota, now) {
                *share = Share::of(quota, now);
            }
            let add = share.wanting(asked);
            if add > 0 {
                let ttl_seconds = quota.window.rest_seconds(now) + KEPT_LONGER_SECONDS;
                counts.push(Count { name: quota.name(key.0.as_str(), now), add, ttl_seconds });
                keys.push((key, add));
            }
        }
        if counts.is_empty() {
            return HashMap::new();
        }
        let mut faults = HashMap::new();
        for ((key, add), total) in keys.into_iter().zip(self.store.count(counts).await) {
            match (total, self.shares.get_mut(&key)) {
                (Ok(total), Some(share)) => share.add(add, total),
                (Err(error), _) => drop(faults.insert(key, error)),
                (Ok(_), None) => {}
            }
        }
        faults
    }

    fn take_back(&mut self, client: &Arc<Client>, taken: Timestamp) {
        for quota in &client.registration().quotas {
            if let Some(share) = self.shares.get_mut(&(client.id().clone(), quota.window)) {
                share.take_back(taken);
            }
        }
    }

    fn give(
        &mut self,
        client: &Arc<Client>,
        faults: &HashMap<Key, StoreError>,
        now: Timestamp,
    ) -> Result<Allowed, ActorError> {
        let quotas = &client.registration().quotas;
        let key = |quota: &Quota| (client.id().clone(), quota.window);
        for quota in quotas {
            match self.shares.get(&key(quota)) {
                Some(share) if share.has_one() => {}
                share => {
                    if let Some(error) = faults.get(&key(quota)) {
                        return Err((*error).into());
                    }
                    let standing = share.map(|share| share.standing(now, true));
                    return Ok(Allowed::Over(standing.unwrap_or_else(|| Share::of(*quota, now).standing(now, true))));
                }
            }
        }
        let mut standings = Vec::with_capacity(quotas.len());
        for quota in quotas {
            if let Some(share) = self.shares.get_mut(&key(quota)) {
                share.take();
                standings.push(share.standing(now, false));
            }
        }
        Ok(Allowed::Within(standings))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::Instant;

    use super::*;
    use crate::actors::testing::{Actors, Fault};
    use crate::oauth::client::{Clients, Registration};
    use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
    use crate::telemetry::exporter::Exporter;

    /// A minute before an hour is over.
    const NOW_SECONDS: u64 = 1_800_000_000 + 59 * 60;

    fn client(id: &str, quotas: &[(Window, u32)]) -> Arc<Client> {
        let quota = |(window, tokens): &(Window, u32)| Quota { window: *window, tokens: *tokens, report_only: false };
        let quotas = quotas.iter().map(quota).collect();
        Arc::new(Client::new(Registration { quotas, ..Registration::new(ClientId::new(id)) }))
    }

    async fn with_actors(story: impl AsyncFnOnce(&Actors, &Clock)) {
        let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
        let keys = Arc::new(ArcSwap::from_pointee(ServiceKeys::new(vec![key]).unwrap()));
        let metrics = Arc::new(Exporter::new("0", "0").register(1));
        let clock = Clock::simulated(NOW_SECONDS * 1000);
        let clients = Arc::new(ArcSwap::from_pointee(Clients::default()));
        let mut actors = Actors::new(clients, keys, clock.clone(), metrics);
        let tasks = std::mem::take(&mut actors.tasks);
        LocalSet::new()
            .run_until(async {
                tasks.into_iter().for_each(|task| drop(spawn_local(task)));
                story(&actors, &clock).await;
            })
            .await;
    }

    async fn take(actors: &Actors, client: &Arc<Client>) -> Result<Allowed, ActorError> {
        actors.limiter.take(Deadline::after(Instant::now(), Duration::from_secs(5)), client.clone()).await
    }

    #[tokio::test]
    async fn a_quota_is_given_to_the_last_token_in_few_trips_and_anew_in_the_next_window() {
        with_actors(async |actors, clock| {
            let client = client("a", &[(Window::Hour, 1000)]);
            for given in 1..=1000 {
                let Ok(Allowed::Within(standings)) = take(actors, &client).await else { panic!("{given}") };
                assert_eq!((standings[0].remaining, standings[0].reset_seconds), (1000 - given, 60));
            }
            let trips = actors.store.batches.get();
            assert!(trips < 200, "{trips}");
            for _ in 0..10 {
                let Ok(Allowed::Over(standing)) = take(actors, &client).await else { panic!("more than the quota") };
                assert_eq!((standing.remaining, standing.retry_after_seconds), (0, Some(60)));
            }
            assert_eq!(actors.store.batches.get(), trips, "nobody is asked when there are no more");
            clock.advance(60_000);
            assert!(matches!(take(actors, &client).await, Ok(Allowed::Within(_))));
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_had_again_in_its_window_alone() {
        with_actors(async |actors, clock| {
            let client = client("a", &[(Window::Hour, 2)]);
            let now = || Timestamp::from_unix_millis(clock.unix_millis());
            let by = Deadline::after(Instant::now(), Duration::from_secs(5));
            for _ in 0..10 {
                assert!(matches!(take(actors, &client).await, Ok(Allowed::Within(_))));
                actors.limiter.give_back(by, client.clone(), now());
            }
            let before = now();
            clock.advance(60_000);
            assert!(matches!(take(actors, &client).await, Ok(Allowed::Within(_))));
            actors.limiter.give_back(by, client.clone(), before);
            assert!(matches!(take(actors, &client).await, Ok(Allowed::Within(_))));
            assert!(
                matches!(take(actors, &client).await, Ok(Allowed::Over(_))),
                "the last hour's is no good in this one"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn many_at_once_share_a_trip_and_none_is_given_twice() {
        with_actors(async |actors, _| {
            let (a, b) = (client("a", &[(Window::Hour, 5), (Window::Day, 4)]), client("b", &[(Window::Day, 2)]));
            let asks = (0..8).map(|number| take(actors, if number < 5 { &a } else { &b }));
            let answers = futures_util::future::join_all(asks).await;
            assert_eq!(actors.store.batches.get(), 1);
            let within = |answers: &[Result<Allowed, ActorError>]| {
                answers.iter().filter(|answer| matches!(answer, Ok(Allowed::Within(_)))).count()
            };
            assert_eq!((within(&answers[..5]), within(&answers[5..])), (4, 2));
            let Ok(Allowed::Over(standing)) = &answers[4] else { panic!("{:?}", answers[4]) };
            assert_eq!((standing.name, standing.quota), ("day", 4));
        })
        .await;
    }

    #[tokio::test]
    async fn a_fault_is_neither_one_more_nor_no_more() {
        with_actors(async |actors, _| {
            let client = client("a", &[(Window::Hour, 3)]);
            actors.store.fault.set(Some(Fault::Says(StoreError::TimedOut)));
            assert_eq!(take(actors, &client).await, Err(ActorError::Store(StoreError::TimedOut)));
            actors.store.fault.set(None);
            for _ in 0..3 {
                assert!(matches!(take(actors, &client).await, Ok(Allowed::Within(_))));
            }
            actors.store.fault.set(Some(Fault::Says(StoreError::Unavailable)));
            assert!(matches!(take(actors, &client).await, Ok(Allowed::Over(_))), "that is known");
        })
        .await;
    }

    #[tokio::test]
    async fn another_quota_counts_from_the_next_token_on() {
        with_actors(async |actors, _| {
            let (small, large) = (client("a", &[(Window::Hour, 1)]), client("a", &[(Window::Hour, 3)]));
            assert!(matches!(take(actors, &small).await, Ok(Allowed::Within(_))));
            assert!(matches!(take(actors, &small).await, Ok(Allowed::Over(_))));
            for _ in 0..2 {
                assert!(matches!(take(actors, &large).await, Ok(Allowed::Within(_))), "what was had counts on");
            }
            assert!(matches!(take(actors, &large).await, Ok(Allowed::Over(_))));
        })
        .await;
    }
}
