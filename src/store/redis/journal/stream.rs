//! The stream by which nodes tell each other what they revoked: `<prefix>journal`, trimmed to what still matters, with a TTL.
//!
//! An element has one field, `e`, with one or more entries behind each other. Reading is polling: nothing is promised of how soon another node knows, and
//! a blocking read would need a connection of its own.

use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::super::commands::Commands;
use super::super::server_info::ServerId;
use super::super::trip::Trip;
use super::super::{Inner, Links, errors};
use crate::store::StoreError;
use crate::store::journal::ADDRESSES_MAX;
use crate::store::journal::entry::SealedEntry;

/// Entries of one element: as many as keep a node of the stream within its usual 4 KiB.
const ENTRIES_OF_AN_ELEMENT: usize = 32;
/// Entries sent in one trip.
const ENTRIES_SENT_MAX: usize = 1024;
/// Elements read in one trip: half a megabyte.
const ELEMENTS_READ_MAX: u32 = 256;
/// Elements that are kept: about a gigabyte, were all of them full.
const ELEMENTS_MAX: u64 = ADDRESSES_MAX as u64 / 8;
/// What is revoked within this goes out together, so that elements are few.
pub(super) const GATHERING: Duration = Duration::from_millis(20);

/// The place of an element: milliseconds of the server's clock, and a number among those of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::redis) struct StreamId {
    millis: u64,
    number: u64,
}

/// The way to the server on which the stream lies.
pub(in crate::store::redis) trait ToStream {
    /// That server, as far as it is known.
    fn keeper(&self) -> Option<ServerId>;

    /// Sends it what `write` writes, on one key, and returns its replies.
    async fn ask_keeper(&self, write: impl Fn(&mut Commands, &mut Trip)) -> Result<Vec<Value>, StoreError>;
}

impl ToStream for Inner<Links> {
    fn keeper(&self) -> Option<ServerId> {
        self.ways.reads.state().server()
    }

    async fn ask_keeper(&self, write: impl Fn(&mut Commands, &mut Trip)) -> Result<Vec<Value>, StoreError> {
        let trip = {
            let mut commands = self.commands.borrow_mut();
            let mut trip = commands.begin();
            write(&mut commands, &mut trip);
            commands.finish(&mut trip);
            trip
        };
        let mut trip = self.ways.reads.exchange(trip, Instant::now() + self.options.operation_timeout).await?;
        let replies = std::mem::take(&mut trip.replies);
        self.commands.borrow_mut().recycle(trip);
        Ok(replies)
    }
}

impl<W> Inner<W>
where
    Self: ToStream,
{
    /// Sends what waits, then reads what is new. What fails is tried again at the next tick.
    pub(in crate::store::redis) async fn send_and_follow(&self) -> Result<(), StoreError> {
        let journal = &self.options.journal;
        let Some(server) = self.keeper() else { return Ok(()) };
        let reading = journal.readings.load(Ordering::Relaxed);
        let to = self.read_stream(journal.read_to(&server), reading).await?;
        if self.keeper().as_ref() == Some(&server) {
            journal.has_read(server, to);
            journal.entries.send_more_unlisted(&self.keys.load_full(), reading);
        }
        while self.send_pending(to).await? {}
        Ok(())
    }

    /// Reads the stream behind an element to its end, and returns the last.
    pub(in crate::store::redis) async fn read_stream(
        &self,
        mut after: StreamId,
        reading: u32,
    ) -> Result<StreamId, StoreError> {
        loop {
            let from = after.behind();
            let replies =
                self.ask_keeper(|commands, trip| commands.read_stream(trip, &from, ELEMENTS_READ_MAX)).await?;
            let elements = match replies.first() {
                Some(Value::Array(elements)) => elements.as_slice(),
                Some(Value::ServerError(error)) => return Err(errors::meaning(error)),
                _ => return Err(StoreError::Broken),
            };
            let keys = self.keys.load_full();
            for element in elements {
                let (id, entries) = element_of(element).ok_or(StoreError::Broken)?;
                self.options.journal.entries.learn(&keys, entries, reading);
                after = id;
                // So many signatures are milliseconds, and requests are served by the same thread.
                yield_now().await;
            }
            if u32::try_from(elements.len()) != Ok(ELEMENTS_READ_MAX) {
                return Ok(after);
            }
        }
    }

    /// Sends entries that wait; whether more may wait. `last`: an element that is there, which tells the server's time.
    async fn send_pending(&self, last: StreamId) -> Result<bool, StoreError> {
        let entries = &self.options.journal.entries;
        let pending = entries.pending(ENTRIES_SENT_MAX);
        if pending.is_empty() {
            return Ok(false);
        }
        let age_max = u64::try_from(entries.age_max().as_millis()).unwrap_or(u64::MAX);
        // By the server's own clock, as far as it is known: ours may differ.
        let oldest = last.millis.saturating_sub(age_max);
        let replies =
            self.ask_keeper(|commands, trip| write_pending(commands, trip, &pending, oldest, age_max)).await?;
        match replies.last() {
            // A refusal of any of them, also within.
            Some(Value::Array(executed)) => executed.iter().find_map(refusal).map_or(Ok(()), Err)?,
            Some(Value::ServerError(error)) => return Err(errors::meaning(error)),
            _ => return Err(StoreError::Broken),
        }
        entries.sent(pending.len());
        Ok(pending.len() == ENTRIES_SENT_MAX)
    }
}

fn write_pending(commands: &mut Commands, trip: &mut Trip, pending: &[SealedEntry], oldest: u64, age_max: u64) {
    commands.begin_transaction(trip);
    let mut elements = 0;
    for entries in pending.chunks(ENTRIES_OF_AN_ELEMENT) {
        commands.append_to_stream(trip, oldest, entries.as_flattened());
        elements += 1;
    }
    commands.limit_stream(trip, ELEMENTS_MAX, age_max);
    commands.execute_append(trip, elements);
}

fn refusal(reply: &Value) -> Option<StoreError> {
    match reply {
        Value::ServerError(error) => Some(errors::meaning(error)),
        _ => None,
    }
}

/// An element's id and entries; what is no element of ours has none.
fn element_of(element: &Value) -> Option<(StreamId, &[u8])> {
    let Value::Array(parts) = element else { return None };
    let [Value::BulkString(id), Value::Array(fields)] = parts.as_slice() else { return None };
    let id = std::str::from_utf8(id).ok()?.parse().ok()?;
    Some(match fields.as_slice() {
        [Value::BulkString(name), Value::BulkString(entries)] if name == b"e" => (id, entries),
        // Whoever else writes there: one byte too few for an entry, so that it is counted.
        _ => (id, &[0]),
    })
}

impl StreamId {
    /// The beginning of a range that begins behind it.
    fn behind(self) -> String {
        if self == Self::default() { "-".into() } else { format!("({}-{}", self.millis, self.number) }
    }
}

impl FromStr for StreamId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (millis, number) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Self { millis: millis.parse()?, number: number.parse()? })
    }
}
