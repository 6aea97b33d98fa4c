//! A batch of mints: seal, name the grants, one trip.
//!
//! In the trip, in this order: the grants that are not known to be there, a transaction that writes every page with its TTL, and one
//! `EXISTS` of all grants that the batch names. A Redis that lost its last writes, or everything, without breaking the connection
//! shows in that count: then the batch's grants are written before it is answered, and no other counts as written.

use std::sync::Arc;

use redis::Value;
use tokio::time::Instant;

use super::grant_seal::{self, GrantId};
use super::grants::Home;
#[cfg(test)]
use super::sabotage::{self, Sabotage};
use super::seal::{self, OpenedRecord, SealedRecord};
use super::slot_map::Tag;
use super::trip::Trip;
use super::{Inner, Links, errors, pages};
use crate::oauth::grant::Grant;
use crate::oauth::keys::KeyId;
use crate::oauth::time::Timestamp;
use crate::oauth::token::Page;
use crate::store::{NewRecord, StoreError};

/// A batch, ready to be written.
#[derive(Debug, Default)]
struct Prepared {
    /// Sorted by page.
    records: Vec<PlacedRecord>,
    /// Distinct.
    grants: Vec<NamedGrant>,
    /// The connection for which grants count as written.
    connection: u64,
}

#[derive(Debug)]
struct PlacedRecord {
    /// Its place in the batch.
    place: usize,
    page: Page,
    field: [u8; 8],
    sealed: SealedRecord,
}

#[derive(Debug)]
struct NamedGrant {
    key_id: KeyId,
    id: GrantId,
    grant: Arc<Grant>,
    /// Whether the store is known to have it.
    written: bool,
}

impl Inner<Links> {
    /// Saves a batch; a place that could not be sealed is [`StoreError::Internal`].
    pub(super) async fn save(&self, batch: &[NewRecord], asked_at: Instant) -> Vec<Result<(), StoreError>> {
        let mut answers = vec![Err(StoreError::Internal); batch.len()];
        let prepared = self.prepare(batch, asked_at);
        if prepared.records.is_empty() {
            return answers;
        }
        let trip = self.encode_save(&prepared);
        let exchanged = self.ways.writes.exchange(trip, self.write_deadline(asked_at)).await;
        #[cfg(test)]
        let exchanged = match exchanged {
            Err(StoreError::TimedOut) if sabotage::is(Sabotage::MintSentAgain) => {
                // There is another connection by then.
                tokio::time::sleep(self.options.operation_timeout / 4).await;
                let deadline = Instant::now() + self.options.operation_timeout;
                self.ways.writes.exchange(self.encode_save(&prepared), deadline).await
            }
            other => other,
        };
        let verdicts = match exchanged {
            Err(error) => vec![Err(error); count_pages(&prepared.records)],
            Ok(trip) => self.judge_save(&prepared, trip, asked_at).await,
        };
        for (page, verdict) in prepared.records.chunk_by(same_page).zip(verdicts) {
            for record in page {
                answers[record.place] = verdict;
            }
        }
        answers
    }

    fn prepare(&self, batch: &[NewRecord], now: Instant) -> Prepared {
        let connection = self.ways.writes.state().connection();
        let mut prepared = Prepared { records: Vec::with_capacity(batch.len()), connection, ..Prepared::default() };
        self.sub_keys.borrow_mut().follow(&self.keys.load());
        for (place, new) in batch.iter().enumerate() {
            let NewRecord { address, record } = new;
            let Some(grant_id) = self.name_grant(&mut prepared, address.key_id, &record.grant, now) else { continue };
            if let Some(sealed) = self.seal(new, grant_id) {
                prepared.records.push(PlacedRecord { place, page: address.page, field: address.field(), sealed });
            }
        }
        prepared.records.sort_by_key(|record| record.page);
        prepared
    }

    /// The grant's id, and its place among those of the batch; `None` where its key is gone.
    fn name_grant(&self, batch: &mut Prepared, key_id: KeyId, grant: &Arc<Grant>, now: Instant) -> Option<GrantId> {
        let same = |named: &&NamedGrant| named.key_id == key_id && Arc::ptr_eq(&named.grant, grant);
        if let Some(named) = batch.grants.last().filter(same) {
            return Some(named.id);
        }
        let mut sub_keys = self.sub_keys.borrow_mut();
        let naming = &sub_keys.grant(key_id)?.naming;
        let home = Home { connection: batch.connection, tag: Tag::default() };
        let (id, written) = self.grants.borrow_mut().name(naming, key_id, grant, home, now);
        if !batch.grants.iter().any(|named| named.id == id && named.key_id == key_id) {
            batch.grants.push(NamedGrant { key_id, id, grant: Arc::clone(grant), written });
        }
        Some(id)
    }

    fn encode_save(&self, prepared: &Prepared) -> Trip {
        let now = Timestamp::from_unix_millis(self.clock.unix_millis());
        let mut trip = self.commands.borrow_mut().begin();
        self.encode_grants(&mut trip, prepared.grants.iter().filter(|grant| !grant.written));
        let mut commands = self.commands.borrow_mut();
        commands.begin_transaction(&mut trip);
        let mut pages_written = 0;
        for page in prepared.records.chunk_by(same_page) {
            let records = page.iter().map(|record| (&record.field, record.sealed.as_bytes()));
            commands.write_page(&mut trip, page[0].page, records, pages::ttl_millis(page[0].page, now));
            pages_written += 1;
        }
        commands.execute(&mut trip, pages_written);
        commands.count_grants(&mut trip, prepared.grants.iter().map(|grant| grant.id));
        self.write_wait(&mut commands, &mut trip);
        commands.finish(&mut trip);
        trip
    }

    fn encode_grants<'a>(&self, trip: &mut Trip, grants: impl Iterator<Item = &'a NamedGrant>) {
        let mut commands = self.commands.borrow_mut();
        for NamedGrant { key_id, id, grant, .. } in grants {
            // A key that went a moment ago: its tokens are dead, and the count at the end says that the grant is not there.
            if let Some(sealed) = self.seal_grant(*key_id, *id, grant) {
                commands.write_grant(trip, Tag::default(), *id, &sealed, self.grant_ttl_millis());
            }
        }
    }

    /// What became of each page, once the grants are known to be there.
    async fn judge_save(&self, prepared: &Prepared, mut trip: Trip, asked_at: Instant) -> Vec<Result<(), StoreError>> {
        let replicated = self.take_replicated(&mut trip);
        let pages = count_pages(&prepared.records);
        let written_now = trip.replies.len() - (1 + 2 * pages + 1 + 1);
        let (transaction, count) = trip.replies[written_now..].split_at(1 + 2 * pages + 1);
        let mut verdicts = judge_transaction(transaction, pages);
        let grants_there = match count {
            [Value::Int(there)] => Ok(usize::try_from(*there) == Ok(prepared.grants.len())),
            [Value::ServerError(error)] => Err(errors::meaning(error)),
            _ => Err(StoreError::Broken),
        };
        #[cfg(test)]
        let grants_there = if sabotage::is(Sabotage::GrantsNotCounted) { Ok(true) } else { grants_there };
        self.commands.borrow_mut().recycle(trip);
        if verdicts.iter().all(Result::is_err) {
            return verdicts;
        }
        let grants_there = match grants_there {
            Ok(true) => {
                self.note_written(prepared, |named| !named.written, asked_at);
                Ok(())
            }
            Ok(false) => self.restore_grants(prepared).await,
            Err(error) => Err(error),
        };
        for verdict in &mut verdicts {
            *verdict = verdict.and(grants_there).and(replicated);
        }
        verdicts
    }

    /// Writes the grants of a batch that the store did not have, although it should.
    async fn restore_grants(&self, prepared: &Prepared) -> Result<(), StoreError> {
        self.grants.borrow_mut().distrust();
        let asked_at = Instant::now();
        let mut trip = self.commands.borrow_mut().begin();
        self.encode_grants(&mut trip, prepared.grants.iter());
        {
            let mut commands = self.commands.borrow_mut();
            commands.count_grants(&mut trip, prepared.grants.iter().map(|grant| grant.id));
            self.write_wait(&mut commands, &mut trip);
            commands.finish(&mut trip);
        }
        let mut trip = self.ways.writes.exchange(trip, self.write_deadline(asked_at)).await?;
        let replicated = self.take_replicated(&mut trip);
        let refusal = trip.replies.iter().find_map(error_meaning);
        let there = matches!(trip.replies.last(), Some(Value::Int(there)) if usize::try_from(*there) == Ok(prepared.grants.len()));
        self.commands.borrow_mut().recycle(trip);
        if let Some(error) = refusal {
            return Err(error);
        }
        if !there {
            return Err(StoreError::GrantMissing);
        }
        self.note_written(prepared, |_| true, asked_at);
        replicated
    }

    fn note_written(&self, prepared: &Prepared, which: impl Fn(&NamedGrant) -> bool, at: Instant) {
        let mut grants = self.grants.borrow_mut();
        let home = Home { connection: prepared.connection, tag: Tag::default() };
        for named in prepared.grants.iter().filter(|named| which(named)) {
            grants.wrote(named.key_id, named.id, &named.grant, home, at);
        }
    }
}

/// What writing takes, wherever it goes.
impl<W> Inner<W> {
    /// A record as it is stored; `None` where its key is gone.
    pub(super) fn seal(&self, new: &NewRecord, grant_id: GrantId) -> Option<SealedRecord> {
        let NewRecord { address, record } = new;
        let opened = OpenedRecord {
            issued_at: record.issued_at,
            lifetime: record.lifetime,
            grant_id,
            confirmation: record.confirmation,
        };
        let mut sub_keys = self.sub_keys.borrow_mut();
        let key = sub_keys.record(address.key_id, address.page.dead_second)?;
        seal::seal(key, address, &opened)
    }

    /// A grant as it is stored; `None` where its key is gone.
    pub(super) fn seal_grant(&self, key_id: KeyId, id: GrantId, grant: &Grant) -> Option<Vec<u8>> {
        let mut sub_keys = self.sub_keys.borrow_mut();
        grant_seal::seal(&sub_keys.grant(key_id)?.sealing, key_id, id, grant.canonical())
    }

    /// How long a grant is kept: twice as long as any token that names it, and an hour.
    pub(super) fn grant_ttl_millis(&self) -> u64 {
        (2 * u64::from(self.options.ttl_seconds_max) + 3600) * 1000
    }
}

/// `MULTI`, two commands a page, `EXEC`: what became of each page. A refusal to queue discards all.
pub(super) fn judge_transaction(replies: &[Value], pages: usize) -> Vec<Result<(), StoreError>> {
    if let Some(error) = replies.iter().find_map(error_meaning) {
        return vec![Err(error); pages];
    }
    let Some(Value::Array(executed)) = replies.last() else { return vec![Err(StoreError::Broken); pages] };
    let verdict = |commands: &[Value; 2]| match commands {
        [Value::ServerError(error), _] | [_, Value::ServerError(error)] => Err(errors::meaning(error)),
        [_, Value::Int(1)] => Ok(()),
        _ => Err(StoreError::Broken),
    };
    executed.as_chunks::<2>().0.iter().map(verdict).collect()
}

pub(super) fn error_meaning(reply: &Value) -> Option<StoreError> {
    match reply {
        Value::ServerError(error) => Some(errors::meaning(error)),
        _ => None,
    }
}

fn same_page(a: &PlacedRecord, b: &PlacedRecord) -> bool {
    a.page == b.page
}

fn count_pages(records: &[PlacedRecord]) -> usize {
    records.chunk_by(same_page).count()
}
