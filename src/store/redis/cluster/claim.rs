//! A batch of uses in a cluster: those with one tag are one transaction beside their epoch.
//!
//! While a slot is on its way to another node such a transaction may find its keys on either side, and is refused; the epoch came from
//! another server then, so what was made before its new one would be refused all the same.

use redis::Value;
use tokio::time::Instant;

use super::nodes::Nodes;
use super::rounds::{Operation, Purpose};
use crate::oauth::replay::Claimed;
use crate::store::redis::Inner;
use crate::store::redis::claim::{EpochsKept, USE_TTL_MILLIS};
use crate::store::redis::commands::Commands;
use crate::store::redis::endpoint::Address;
use crate::store::redis::epoch;
use crate::store::redis::save::error_meaning;
use crate::store::redis::server_info::ServerId;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;
use crate::store::{Claim, StoreError};

/// What is done to one tag, and the replies to it.
pub(super) struct OfTag<W> {
    tag: Tag,
    write: W,
    pub(super) replies: Result<Vec<Value>, StoreError>,
}

impl<W: Fn(&mut Commands, &mut Trip)> OfTag<W> {
    pub(super) fn new(tag: Tag, write: W) -> Self {
        Self { tag, write, replies: Err(StoreError::Unavailable) }
    }
}

impl<W: Fn(&mut Commands, &mut Trip)> Operation for OfTag<W> {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        (self.write)(commands, trip);
    }

    fn answer(&mut self, replies: &mut [Value], replicated: Result<(), StoreError>) {
        self.replies = replicated.map(|()| replies.iter_mut().map(std::mem::take).collect());
    }

    fn fail(&mut self, error: StoreError) {
        self.replies = Err(error);
    }
}

impl Inner<Nodes> {
    /// Notes a batch of uses.
    pub(super) async fn claim(&self, batch: &[Claim], asked_at: Instant) -> Vec<Result<Claimed, StoreError>> {
        let mut order: Vec<usize> = (0..batch.len()).collect();
        let tag_of = |at: &usize| Tag::of_use(&batch[*at].single_use.digest);
        order.sort_by_key(tag_of);
        let places: Vec<&[usize]> = order.chunk_by(|a, b| tag_of(a) == tag_of(b)).collect();
        let note = |places: &&[usize]| {
            let (places, tag) = (places.to_vec(), tag_of(&places[0]));
            OfTag::new(tag, move |commands: &mut Commands, trip: &mut Trip| {
                commands.begin_transaction(trip);
                commands.find_epoch(trip, tag);
                places.iter().for_each(|at| commands.claim(trip, tag, &batch[*at], USE_TTL_MILLIS));
                commands.execute_claims(trip, u32::try_from(places.len()).unwrap_or(u32::MAX));
            })
        };
        let mut notes: Vec<_> = places.iter().map(note).collect();
        self.perform(Purpose::Claim, &mut notes, self.write_deadline(asked_at)).await;

        let mut answers = vec![Err(StoreError::Unavailable); batch.len()];
        let mut without_epoch = Vec::new();
        for (places, note) in places.iter().zip(notes) {
            let judged = match note.replies {
                Ok(mut replies) => {
                    let judged = self.judge_claims(note.tag, places.iter().map(|at| &batch[*at]), &mut replies);
                    without_epoch.extend(judged.without_epoch.then_some(note.tag));
                    judged.answers
                }
                Err(error) => vec![Err(error); places.len()],
            };
            for (at, answer) in places.iter().zip(judged) {
                answers[*at] = answer;
            }
        }
        if !without_epoch.is_empty() {
            // What they are told is the same, whether there is one for the next or not.
            let _ = self.keep_epochs(without_epoch.into_iter()).await;
        }
        answers
    }

    /// Keeps the epochs of all tags, where that is due: when a primary is another, and in time.
    pub(super) async fn keep_epochs_if_due(&self, kept: &mut EpochsKept<Vec<(Address, Option<ServerId>)>>) {
        let servers: Vec<_> =
            self.ways.all().iter().map(|node| (node.address.clone(), node.reads.state().server())).collect();
        if !servers.is_empty() && kept.is_due(&servers) {
            let done = self.keep_epochs(Tag::all()).await;
            kept.note(servers, done);
        }
    }

    /// Lengthens the lives of these tags' epochs, and makes those that their servers do not have.
    async fn keep_epochs(&self, tags: impl Iterator<Item = Tag>) -> Result<(), StoreError> {
        let Some(_making) = self.options.epochs.begin() else { return Ok(()) };
        let look = |tag| {
            OfTag::new(tag, move |commands: &mut Commands, trip: &mut Trip| {
                commands.begin_transaction(trip);
                commands.find_epoch(trip, tag);
                commands.execute_claims(trip, 0);
            })
        };
        let mut looks: Vec<_> = tags.map(look).collect();
        self.perform(Purpose::Settle, &mut looks, self.write_deadline(Instant::now())).await;
        let mut trouble = Ok(());
        let (mut renewals, mut epochs) = (Vec::new(), Vec::new());
        for look in looks {
            let tag = look.tag;
            match look.replies.and_then(|mut replies| self.server_without_epoch(tag, &mut replies)) {
                Ok(None) => renewals.push(OfTag::new(tag, move |commands: &mut Commands, trip: &mut Trip| {
                    commands.keep_epoch(trip, tag, epoch::TTL_MILLIS);
                })),
                Ok(Some(server)) => match self.new_epoch(tag, server) {
                    None => trouble = Err(StoreError::Internal),
                    Some(sealed) => {
                        epochs.push(OfTag::new(tag, move |commands: &mut Commands, trip: &mut Trip| {
                            commands.write_epoch(trip, tag, &sealed, epoch::TTL_MILLIS);
                        }));
                    }
                },
                Err(error) => trouble = Err(error),
            }
        }
        self.perform(Purpose::Settle, &mut renewals, self.write_deadline(Instant::now())).await;
        self.perform(Purpose::Settle, &mut epochs, self.write_deadline(Instant::now())).await;
        let done = |replies: Result<Vec<Value>, StoreError>| {
            replies.and_then(|replies| replies.iter().find_map(error_meaning).map_or(Ok(()), Err))
        };
        let any_made = !epochs.is_empty();
        let replies = renewals.into_iter().map(|one| one.replies).chain(epochs.into_iter().map(|one| one.replies));
        trouble = replies.map(done).fold(trouble, Result::and);
        if any_made {
            self.observer.forgot_uses();
        }
        trouble
    }
}
