//! A batch of mints in a cluster: on each node the grants that are not known to be there, a transaction a page, and a look whether all
//! grants are there.
//!
//! As on one Redis, a token is acknowledged only once its page was written and its grant was seen behind that. The two may lie on different
//! sides of a slot that is on its way to another node, so each of them follows its own redirects.

use std::sync::Arc;

use redis::Value;
use tokio::time::Instant;

use super::nodes::Nodes;
use super::rounds::{Operation, Purpose};
use crate::oauth::grant::Grant;
use crate::oauth::keys::KeyId;
use crate::oauth::time::Timestamp;
use crate::oauth::token::Page;
use crate::store::redis::commands::Commands;
use crate::store::redis::grant_seal::GrantId;
use crate::store::redis::grants::Home;
use crate::store::redis::save::{error_meaning, judge_transaction};
use crate::store::redis::seal::SealedRecord;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;
use crate::store::redis::{Inner, pages};
use crate::store::{NewRecord, StoreError};

/// A batch, ready to be written.
#[derive(Default)]
struct Prepared {
    /// Sorted by page.
    records: Vec<PlacedRecord>,
    /// Distinct.
    grants: Vec<NamedGrant>,
}

struct PlacedRecord {
    /// Its place in the batch.
    place: usize,
    page: Page,
    field: [u8; 8],
    sealed: SealedRecord,
    /// The place of its grant in the batch.
    grant: usize,
}

struct NamedGrant {
    key_id: KeyId,
    id: GrantId,
    grant: Arc<Grant>,
    home: Home,
    /// Whether the cluster is known to have it.
    written: bool,
}

/// One of the operations of a batch.
struct Write<'a> {
    tag: Tag,
    what: What<'a>,
    /// Whether it was done; of [`What::Count`] whether the grant is there.
    done: Result<bool, StoreError>,
}

enum What<'a> {
    Grant { id: GrantId, sealed: Vec<u8>, ttl_millis: u64 },
    Page { page: Page, records: &'a [PlacedRecord], ttl_millis: u64 },
    Count { id: GrantId },
}

impl<'a> Write<'a> {
    fn new(tag: Tag, what: What<'a>) -> Self {
        Self { tag, what, done: Err(StoreError::Unavailable) }
    }
}

impl Operation for Write<'_> {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        match &self.what {
            What::Grant { id, sealed, ttl_millis } => {
                commands.write_grant_whole(trip, self.tag, *id, sealed, *ttl_millis);
            }
            What::Page { page, records, ttl_millis } => {
                commands.begin_transaction(trip);
                let records = records.iter().map(|record| (&record.field, record.sealed.as_bytes()));
                commands.write_page(trip, *page, records, *ttl_millis);
                commands.execute(trip, 1);
            }
            What::Count { id } => commands.count_grant(trip, self.tag, *id),
        }
    }

    fn answer(&mut self, replies: &mut [Value], replicated: Result<(), StoreError>) {
        let done = match &self.what {
            What::Grant { .. } => {
                let within = |reply: &Value| match reply {
                    Value::Array(executed) => executed.iter().find_map(error_meaning),
                    reply => error_meaning(reply),
                };
                replies.iter().find_map(within).map_or(Ok(true), Err)
            }
            What::Page { .. } => judge_transaction(replies, 1).remove(0).map(|()| true),
            What::Count { .. } => match &replies[0] {
                Value::Int(there) => Ok(*there == 1),
                reply => Err(error_meaning(reply).unwrap_or(StoreError::Broken)),
            },
        };
        self.done = done.and_then(|done| replicated.map(|()| done));
    }

    fn fail(&mut self, error: StoreError) {
        self.done = Err(error);
    }
}

impl Inner<Nodes> {
    /// Saves a batch; a place that could not be sealed is [`StoreError::Internal`].
    pub(super) async fn save(&self, batch: &[NewRecord], asked_at: Instant) -> Vec<Result<(), StoreError>> {
        let mut answers = vec![Err(StoreError::Internal); batch.len()];
        let prepared = self.prepare(batch, asked_at);
        let now = Timestamp::from_unix_millis(self.clock.unix_millis());
        let pages: Vec<&[PlacedRecord]> = prepared.records.chunk_by(|a, b| a.page == b.page).collect();
        let unwritten = || prepared.grants.iter().filter(|named| !named.written);
        let mut writes: Vec<Write<'_>> = unwritten().filter_map(|named| self.grant_write(named)).collect();
        let first_page = writes.len();
        for records in &pages {
            let page = records[0].page;
            let ttl_millis = pages::ttl_millis(page, now);
            writes.push(Write::new(Tag::of(page), What::Page { page, records, ttl_millis }));
        }
        writes.extend(prepared.grants.iter().map(count));
        self.perform(Purpose::Mint, &mut writes, self.write_deadline(asked_at)).await;

        let counts = writes.split_off(first_page + pages.len());
        let mut there: Vec<Result<bool, StoreError>> = counts.into_iter().map(|count| count.done).collect();
        let written = writes.split_off(first_page);
        if written.iter().any(|page| page.done.is_ok()) {
            self.note_written(&prepared, &there, asked_at);
            self.restore_grants(&prepared, &mut there).await;
        }
        for (records, page) in pages.iter().zip(written) {
            for record in *records {
                let grant_there =
                    there[record.grant].and_then(|there| there.then_some(()).ok_or(StoreError::GrantMissing));
                answers[record.place] = page.done.and(grant_there);
            }
        }
        answers
    }

    fn prepare(&self, batch: &[NewRecord], now: Instant) -> Prepared {
        let mut prepared = Prepared::default();
        self.sub_keys.borrow_mut().follow(&self.keys.load());
        for (place, new) in batch.iter().enumerate() {
            let (key_id, page) = (new.address.key_id, new.address.page);
            let Some(grant) = self.name_grant(&mut prepared, key_id, Tag::of(page), &new.record.grant, now) else {
                continue;
            };
            if let Some(sealed) = self.seal(new, prepared.grants[grant].id) {
                prepared.records.push(PlacedRecord { place, page, field: new.address.field(), sealed, grant });
            }
        }
        prepared.records.sort_by_key(|record| record.page);
        prepared
    }

    /// The grant's place among those of the batch; `None` where its key is gone.
    fn name_grant(
        &self,
        batch: &mut Prepared,
        key_id: KeyId,
        tag: Tag,
        grant: &Arc<Grant>,
        now: Instant,
    ) -> Option<usize> {
        let same =
            |named: &NamedGrant| named.key_id == key_id && named.home.tag == tag && Arc::ptr_eq(&named.grant, grant);
        if let Some(at) = batch.grants.iter().rposition(same) {
            return Some(at);
        }
        let connection = self.ways.owner(tag).map_or(0, |node| node.connection());
        let home = Home { connection, tag };
        let mut sub_keys = self.sub_keys.borrow_mut();
        let naming = &sub_keys.grant(key_id)?.naming;
        let (id, written) = self.grants.borrow_mut().name(naming, key_id, grant, home, now);
        let named = NamedGrant { key_id, id, grant: Arc::clone(grant), home, written };
        let equal = |other: &NamedGrant| (other.id, other.key_id, other.home.tag) == (id, key_id, tag);
        Some(batch.grants.iter().position(equal).unwrap_or_else(|| {
            batch.grants.push(named);
            batch.grants.len() - 1
        }))
    }

    /// A key that went a moment ago: its tokens are dead, and the count says that the grant is not there.
    fn grant_write<'a>(&self, named: &NamedGrant) -> Option<Write<'a>> {
        let sealed = self.seal_grant(named.key_id, named.id, &named.grant)?;
        Some(Write::new(named.home.tag, What::Grant { id: named.id, sealed, ttl_millis: self.grant_ttl_millis() }))
    }

    /// Writes the grants that are not there, although they should.
    async fn restore_grants(&self, prepared: &Prepared, there: &mut [Result<bool, StoreError>]) {
        let missing: Vec<usize> = (0..there.len()).filter(|at| there[*at] == Ok(false)).collect();
        if missing.is_empty() {
            return;
        }
        self.grants.borrow_mut().distrust();
        let asked_at = Instant::now();
        let named = || missing.iter().map(|at| &prepared.grants[*at]);
        let mut writes: Vec<Write<'_>> = named().filter_map(|named| self.grant_write(named)).collect();
        let refusals = writes.len();
        writes.extend(named().map(count));
        self.perform(Purpose::Mint, &mut writes, self.write_deadline(asked_at)).await;
        let counts = writes.split_off(refusals);
        for (at, count) in missing.into_iter().zip(counts) {
            let id = prepared.grants[at].id;
            let refused = writes
                .iter()
                .find(|write| matches!(write.what, What::Grant { id: of, .. } if of == id) && write.tag == count.tag);
            there[at] = refused.map_or(Ok(true), |write| write.done).and(count.done);
        }
        self.note_written(prepared, there, asked_at);
    }

    fn note_written(&self, prepared: &Prepared, there: &[Result<bool, StoreError>], at: Instant) {
        let mut grants = self.grants.borrow_mut();
        let seen = prepared.grants.iter().zip(there).filter(|(named, there)| !named.written && **there == Ok(true));
        for (named, _) in seen {
            grants.wrote(named.key_id, named.id, &named.grant, named.home, at);
        }
    }
}

fn count<'a>(named: &NamedGrant) -> Write<'a> {
    Write::new(named.home.tag, What::Count { id: named.id })
}
