//! A batch of questions: one `HGET` each, and for grants not seen before a second trip.

use std::sync::Arc;

use redis::Value;
use tokio::time::Instant;

use super::grant_seal::{self, GrantId, Unreadable};
#[cfg(test)]
use super::sabotage::{self, Sabotage};
use super::seal::{self, OpenedRecord};
use super::slot_map::Tag;
use super::trip::Trip;
use super::{Inner, Links, errors};
use crate::oauth::grant::Grant;
use crate::oauth::keys::KeyId;
use crate::oauth::token::{TokenAddress, TokenRecord};
use crate::store::{Lookup, StoreError};
use crate::telemetry::labels::RecordRefusal;

/// A record at its place in the batch whose grant is still to be read.
#[derive(Debug)]
struct Waiting {
    place: usize,
    key_id: KeyId,
    record: OpenedRecord,
}

/// What a record's bytes gave.
pub(super) enum Opened {
    Answer(Lookup),
    NeedsGrant(OpenedRecord),
}

impl Inner<Links> {
    pub(super) async fn find(&self, batch: &[TokenAddress], asked_at: Instant) -> Vec<Result<Lookup, StoreError>> {
        if batch.is_empty() {
            return vec![];
        }
        let deadline = asked_at + self.options.operation_timeout;
        let asked = match self.ask(batch, deadline).await {
            // Asked only then, since the server may have changed on the way; and that another is settled says nothing of this one's replies.
            Ok(trip) => {
                let state = self.ways.reads.state();
                let connection = state.connection();
                let settled = self.until_settled(state, deadline).await;
                let settled = settled
                    .and_then(|()| if state.connection() == connection { Ok(()) } else { Err(StoreError::NotServing) });
                settled.map(|()| trip)
            }
            Err(error) => Err(error),
        };
        let mut trip = match asked {
            Ok(trip) => trip,
            #[cfg(test)]
            Err(StoreError::Broken) if sabotage::is(Sabotage::BrokenIsNotFound) => {
                return vec![Ok(Lookup::NotFound); batch.len()];
            }
            Err(error) => return batch.iter().map(|_| Err(error)).collect(),
        };
        self.sub_keys.borrow_mut().follow(&self.keys.load());
        let mut waiting = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for (place, (address, reply)) in batch.iter().zip(&mut trip.replies).enumerate() {
            answers.push(match self.open(address, reply) {
                Ok(Opened::Answer(lookup)) => Ok(lookup),
                Ok(Opened::NeedsGrant(record)) => {
                    waiting.push(Waiting { place, key_id: address.key_id, record });
                    Err(StoreError::GrantMissing)
                }
                Err(error) => Err(error),
            });
        }
        self.commands.borrow_mut().recycle(trip);
        if !waiting.is_empty() {
            self.find_grants(&waiting, &mut answers).await;
        }
        self.overrule(batch, &mut answers);
        answers
    }

    /// One trip of `HGET`s, sent again once if the connection broke under it.
    async fn ask(&self, batch: &[TokenAddress], deadline: Instant) -> Result<Trip, StoreError> {
        self.retries.earn();
        match self.ways.reads.exchange(self.encode_find(batch), deadline).await {
            #[cfg(test)]
            Err(StoreError::Broken) if sabotage::is(Sabotage::BrokenIsNotFound) => Err(StoreError::Broken),
            Err(StoreError::Broken) if self.retries.spend() => {
                self.ways.reads.exchange(self.encode_find(batch), deadline).await
            }
            other => other,
        }
    }

    fn encode_find(&self, batch: &[TokenAddress]) -> Trip {
        let mut commands = self.commands.borrow_mut();
        let mut trip = commands.begin();
        for address in batch {
            commands.find_record(&mut trip, address);
        }
        commands.finish(&mut trip);
        trip
    }

    /// Reads the grants that records wait for, each once, in a trip with a deadline of its own: on a far Redis two trips take
    /// longer than one may.
    async fn find_grants(&self, waiting: &[Waiting], answers: &mut [Result<Lookup, StoreError>]) {
        let mut names: Vec<(KeyId, GrantId)> = waiting.iter().map(|w| (w.key_id, w.record.grant_id)).collect();
        names.sort_unstable();
        names.dedup();
        let trip = {
            let mut commands = self.commands.borrow_mut();
            let mut trip = commands.begin();
            names.iter().for_each(|(_, id)| commands.find_grant(&mut trip, Tag::default(), *id));
            commands.finish(&mut trip);
            trip
        };
        let grants: Vec<Result<Arc<Grant>, StoreError>> =
            match self.ways.reads.exchange(trip, Instant::now() + self.options.operation_timeout).await {
                Err(error) => vec![Err(error); names.len()],
                Ok(mut trip) => {
                    let replies = names.iter().zip(&mut trip.replies);
                    let grants = replies.map(|((key_id, id), reply)| self.open_grant(*key_id, *id, reply)).collect();
                    self.commands.borrow_mut().recycle(trip);
                    grants
                }
            };
        for Waiting { place, key_id, record } in waiting {
            if let Ok(at) = names.binary_search(&(*key_id, record.grant_id)) {
                if let Err(error) = grants[at] {
                    self.report_refused_grant(error);
                }
                answers[*place] = grants[at].clone().map(|grant| found(record, grant));
            }
        }
    }
}

/// What reading takes, wherever it comes from.
impl<W> Inner<W> {
    /// What the reply to a look-up says of a record.
    pub(super) fn open(&self, address: &TokenAddress, reply: &mut Value) -> Result<Opened, StoreError> {
        let stored = match reply {
            Value::BulkString(stored) => stored,
            Value::ServerError(error) => return Err(errors::meaning(error)),
            _ => return Ok(Opened::Answer(Lookup::NotFound)),
        };
        let mut sub_keys = self.sub_keys.borrow_mut();
        // A key that was removed has ended its tokens.
        let Some(key) = sub_keys.record(address.key_id, address.page.dead_second) else {
            return Ok(Opened::Answer(Lookup::NotFound));
        };
        match seal::open(key, address, stored) {
            Ok(record) => Ok(match self.grants.borrow_mut().seen(address.key_id, record.grant_id) {
                Some(grant) => Opened::Answer(found(&record, grant)),
                None => Opened::NeedsGrant(record),
            }),
            Err(Unreadable::SealBroken) => {
                self.observer.refused(RecordRefusal::Seal);
                Ok(Opened::Answer(Lookup::SealBroken))
            }
            Err(Unreadable::UnknownVersion) => {
                self.observer.refused(RecordRefusal::Version);
                Err(StoreError::UnknownVersion)
            }
        }
    }

    /// What the reply to a question for a grant says.
    pub(super) fn open_grant(&self, key_id: KeyId, id: GrantId, reply: &mut Value) -> Result<Arc<Grant>, StoreError> {
        let stored = match reply {
            Value::BulkString(stored) => stored,
            Value::ServerError(error) => return Err(errors::meaning(error)),
            _ => return Err(StoreError::GrantMissing),
        };
        let mut sub_keys = self.sub_keys.borrow_mut();
        let keys = sub_keys.grant(key_id).ok_or(StoreError::GrantMissing)?;
        let canonical = grant_seal::open(&keys.sealing, key_id, id, stored).map_err(|unreadable| match unreadable {
            Unreadable::SealBroken => StoreError::GrantSealBroken,
            Unreadable::UnknownVersion => StoreError::UnknownVersion,
        })?;
        let grant = Grant::from_canonical(canonical).map_err(|_| StoreError::GrantSealBroken)?;
        self.grants.borrow_mut().see(key_id, id, Arc::clone(&grant));
        Ok(grant)
    }

    pub(super) fn report_refused_grant(&self, error: StoreError) {
        match error {
            StoreError::GrantMissing => self.observer.refused(RecordRefusal::GrantMissing),
            StoreError::GrantSealBroken => self.observer.refused(RecordRefusal::GrantSeal),
            StoreError::UnknownVersion => self.observer.refused(RecordRefusal::Version),
            _ => {}
        }
    }
}

pub(super) fn found(record: &OpenedRecord, grant: Arc<Grant>) -> Lookup {
    Lookup::Found(TokenRecord {
        issued_at: record.issued_at,
        lifetime: record.lifetime,
        grant,
        confirmation: record.confirmation,
    })
}
