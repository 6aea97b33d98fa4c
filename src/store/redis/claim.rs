//! A batch of uses: one transaction that asks who the server is and since when it remembers, and notes each use unless it is noted.
//!
//! # Invariants
//! - **Each use is noted by one atomic write**, which holds the try's own random name and is read back: what was sent twice is one try, and
//!   a try that was executed and not answered is nobody else's first.
//! - **The server is believed by the epoch that it had at that very moment.** Without one of its own, and for what was made before it,
//!   nobody knows whether it was used: that is a fault, never an answer about a client.

use redis::Value;
use tokio::time::{Duration, Instant};

use super::epoch::{self, Epoch};
#[cfg(test)]
use super::sabotage::{self, Sabotage};
use super::save::error_meaning;
use super::server_info::ServerId;
use super::slot_map::Tag;
use super::trip::Trip;
use super::{Inner, Links};
use crate::oauth::replay::{Claimed, REMEMBERED_SECONDS};
use crate::oauth::time::Timestamp;
use crate::store::{Claim, StoreError};

/// How long a use is noted, by a TTL, whatever clock Redis has.
pub(super) const USE_TTL_MILLIS: u64 = REMEMBERED_SECONDS * 1000;
/// How often an epoch's life is lengthened: many times in a life.
const RENEW_EVERY: Duration = Duration::from_secs(3600);
/// After what went wrong.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the replies to a transaction of uses say.
pub(super) struct Judged {
    pub(super) answers: Vec<Result<Claimed, StoreError>>,
    /// Whether the server had no epoch of its own.
    pub(super) without_epoch: bool,
}

/// When the epochs are to be looked at again, and of which servers they were.
pub(super) struct EpochsKept<T> {
    of: Option<T>,
    next: Instant,
}

impl Inner<Links> {
    /// Notes a batch of uses.
    pub(super) async fn claim(&self, batch: &[Claim], asked_at: Instant) -> Vec<Result<Claimed, StoreError>> {
        if batch.is_empty() {
            return vec![];
        }
        let deadline = self.write_deadline(asked_at);
        self.retries.earn();
        let answer = match self.ways.writes.exchange(self.encode_claims(batch), deadline).await {
            Err(StoreError::Broken) if self.retries.spend() => {
                self.ways.writes.exchange(self.encode_claims(batch), deadline).await
            }
            other => other,
        };
        let mut trip = match answer {
            Ok(trip) => trip,
            Err(error) => return vec![Err(error); batch.len()],
        };
        let replicated = self.take_replicated(&mut trip);
        let judged = self.judge_claims(Tag::default(), batch.iter(), &mut trip.replies);
        self.commands.borrow_mut().recycle(trip);
        if judged.without_epoch {
            // What they are told is the same, whether there is one for the next or not.
            let _ = self.keep_epoch().await;
        }
        judged.answers.into_iter().map(|answer| replicated.and(answer)).collect()
    }

    fn encode_claims(&self, batch: &[Claim]) -> Trip {
        let mut commands = self.commands.borrow_mut();
        let mut trip = commands.begin();
        commands.begin_transaction(&mut trip);
        commands.find_epoch(&mut trip, Tag::default());
        batch.iter().for_each(|claim| commands.claim(&mut trip, Tag::default(), claim, USE_TTL_MILLIS));
        commands.execute_claims(&mut trip, u32::try_from(batch.len()).unwrap_or(u32::MAX));
        self.write_wait(&mut commands, &mut trip);
        commands.finish(&mut trip);
        trip
    }

    /// Keeps the epoch of the server that serves, where that is due.
    pub(super) async fn keep_epoch_if_due(&self, kept: &mut EpochsKept<ServerId>) {
        let Some(server) = self.ways.writes.state().server() else { return };
        if kept.is_due(&server) {
            let done = self.keep_epoch().await;
            kept.note(server, done);
        }
    }

    /// Lengthens the life of the server's epoch, and makes one if it has none.
    async fn keep_epoch(&self) -> Result<(), StoreError> {
        let Some(_making) = self.options.epochs.begin() else { return Ok(()) };
        let trip = {
            let mut commands = self.commands.borrow_mut();
            let mut trip = commands.begin();
            commands.begin_transaction(&mut trip);
            commands.find_epoch(&mut trip, Tag::default());
            commands.execute_claims(&mut trip, 0);
            commands.keep_epoch(&mut trip, Tag::default(), epoch::TTL_MILLIS);
            commands.finish(&mut trip);
            trip
        };
        let mut trip = self.exchange_writes(trip).await?;
        trip.replies.pop();
        let server = self.server_without_epoch(Tag::default(), &mut trip.replies);
        self.commands.borrow_mut().recycle(trip);
        let Some(server) = server? else { return Ok(()) };
        let sealed = self.new_epoch(Tag::default(), server).ok_or(StoreError::Internal)?;
        let trip = {
            let mut commands = self.commands.borrow_mut();
            let mut trip = commands.begin();
            commands.write_epoch(&mut trip, Tag::default(), &sealed, epoch::TTL_MILLIS);
            commands.finish(&mut trip);
            trip
        };
        let trip = self.exchange_writes(trip).await?;
        trip.replies.iter().find_map(error_meaning).map_or(Ok(()), Err)?;
        self.commands.borrow_mut().recycle(trip);
        self.observer.forgot_uses();
        Ok(())
    }

    async fn exchange_writes(&self, trip: Trip) -> Result<Trip, StoreError> {
        self.ways.writes.exchange(trip, self.write_deadline(Instant::now())).await
    }
}

/// What noting takes, wherever the uses go.
impl<W> Inner<W> {
    /// Judges the replies to a transaction that noted these.
    pub(super) fn judge_claims<'a>(
        &self,
        tag: Tag,
        claims: impl ExactSizeIterator<Item = &'a Claim>,
        replies: &mut [Value],
    ) -> Judged {
        let all = |error, without_epoch| Judged { answers: vec![Err(error); claims.len()], without_epoch };
        if let Some(error) = replies.iter().find_map(error_meaning) {
            return all(error, false);
        }
        let Some(Value::Array(executed)) = replies.last_mut() else { return all(StoreError::Broken, false) };
        let [info, epoch, notes @ ..] = executed.as_mut_slice() else { return all(StoreError::Broken, false) };
        let Some(floor) = self.floor(tag, info, epoch) else { return all(StoreError::ReplayFloor, true) };
        let judge = |(claim, note): (&Claim, &[Value; 2])| match note {
            [Value::ServerError(error), _] | [_, Value::ServerError(error)] => Err(super::errors::meaning(error)),
            _ if claim.single_use.made_at < floor => Err(StoreError::ReplayFloor),
            [_, Value::BulkString(by)] => Ok(if *by == claim.by { Claimed::First } else { Claimed::Used }),
            _ => Err(StoreError::Broken),
        };
        let answers = claims.zip(notes.as_chunks::<2>().0).map(judge).collect();
        Judged { answers, without_epoch: false }
    }

    /// The server that answered, if it has no epoch of its own.
    pub(super) fn server_without_epoch(&self, tag: Tag, replies: &mut [Value]) -> Result<Option<ServerId>, StoreError> {
        replies.iter().find_map(error_meaning).map_or(Ok(()), Err)?;
        let Some(Value::Array(executed)) = replies.last_mut() else { return Err(StoreError::Broken) };
        let [info, epoch] = executed.as_mut_slice() else { return Err(StoreError::Broken) };
        let server = epoch::server_in(info);
        Ok(if self.floor(tag, info, epoch).is_some() { None } else { Some(server) })
    }

    /// An epoch that begins now on this server, as it is stored.
    pub(super) fn new_epoch(&self, tag: Tag, server: ServerId) -> Option<Vec<u8>> {
        let made_at = Timestamp::from_unix_millis(self.clock.unix_millis());
        let nonce = self.random.bytes().ok()?;
        Epoch { made_at, server }.seal(self.keys.load().maker(made_at), tag, nonce)
    }

    /// From when on the server remembers what was used; `None` where it has no epoch of its own.
    fn floor(&self, tag: Tag, info: &Value, epoch: &mut Value) -> Option<Timestamp> {
        #[cfg(test)]
        if sabotage::is(Sabotage::EpochNotAsked) {
            return Some(Timestamp::from_unix_seconds(0));
        }
        let Value::BulkString(stored) = epoch else { return None };
        let epoch = Epoch::open(&self.keys.load(), tag, stored)?;
        (epoch.server == epoch::server_in(info)).then(|| epoch.floor())
    }
}

impl<T: PartialEq> EpochsKept<T> {
    pub(super) fn new() -> Self {
        Self { of: None, next: Instant::now() }
    }

    /// Whether they are others, or it is time.
    pub(super) fn is_due(&self, of: &T) -> bool {
        self.of.as_ref() != Some(of) || self.next <= Instant::now()
    }

    /// They were looked at.
    pub(super) fn note(&mut self, of: T, done: Result<(), StoreError>) {
        self.next = Instant::now() + if done.is_ok() { RENEW_EVERY } else { TRY_AGAIN_AFTER };
        self.of = Some(of);
    }
}
