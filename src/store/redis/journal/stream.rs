//! The stream by which nodes tell each other what they revoked: `<prefix>journal`, trimmed to what still matters, with a TTL.
//!
//! An element has one field, `e`, with one or more entries behind each other. Reading is polling: nothing is promised of how soon another node knows, and
//! a blocking read would need a connection of its own.

use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::atomic::Ordering;

use redis::Value;
use tokio::time::Instant;

use super::super::trip::Trip;
use super::super::{Inner, errors};
use crate::store::StoreError;
use crate::store::journal::ADDRESSES_MAX;
use crate::store::journal::entry::SealedEntry;

/// Entries of one element: as many as keep a node of the stream within its usual 4 KiB.
const ENTRIES_OF_AN_ELEMENT: usize = 32;
/// Entries sent in one trip.
const ENTRIES_SENT_MAX: usize = 1024;
/// Elements read in one trip: half a megabyte.
const ELEMENTS_READ_MAX: u32 = 256;

/// The place of an element: milliseconds of the server's clock, and a number among those of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId {
    millis: u64,
    number: u64,
}

impl Inner {
    /// Sends what waits, then reads what is new. What fails is tried again at the next tick.
    pub(super) async fn send_and_follow(&self) -> Result<(), StoreError> {
        let journal = &self.options.journal;
        let Some(server) = self.reads.state().server() else { return Ok(()) };
        let reading = journal.readings.load(Ordering::Relaxed);
        let to = self.read_stream(journal.read_to(&server), reading).await?;
        if self.reads.state().server().as_ref() == Some(&server) {
            journal.has_read(&server, to);
        }
        while self.send_pending(to).await? {}
        Ok(())
    }

    /// Reads the stream behind an element to its end, and returns the last.
    pub(super) async fn read_stream(&self, mut after: StreamId, reading: u32) -> Result<StreamId, StoreError> {
        loop {
            let trip = {
                let mut commands = self.commands.borrow_mut();
                let mut trip = commands.begin();
                commands.read_stream(&mut trip, &after.behind(), ELEMENTS_READ_MAX);
                commands.finish(&mut trip);
                trip
            };
            let trip = self.reads.exchange(trip, Instant::now() + self.options.operation_timeout).await?;
            let elements = match trip.replies.first() {
                Some(Value::Array(elements)) => elements.as_slice(),
                Some(Value::ServerError(error)) => return Err(errors::meaning(error)),
                _ => return Err(StoreError::Broken),
            };
            let keys = self.keys.load_full();
            for element in elements {
                let (id, entries) = element_of(element).ok_or(StoreError::Broken)?;
                self.options.journal.entries.learn(&keys, entries, reading);
                after = id;
            }
            let more = u32::try_from(elements.len()) == Ok(ELEMENTS_READ_MAX);
            self.commands.borrow_mut().recycle(trip);
            if !more {
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
        let trip = self.encode_pending(&pending, last);
        let trip = self.reads.exchange(trip, Instant::now() + self.options.operation_timeout).await?;
        let executed = match trip.replies.last() {
            // A refusal of any of them, also within.
            Some(Value::Array(executed)) => executed.iter().find_map(refusal).map_or(Ok(()), Err),
            Some(Value::ServerError(error)) => Err(errors::meaning(error)),
            _ => Err(StoreError::Broken),
        };
        self.commands.borrow_mut().recycle(trip);
        executed?;
        entries.sent(pending.len());
        Ok(pending.len() == ENTRIES_SENT_MAX)
    }

    fn encode_pending(&self, pending: &[SealedEntry], last: StreamId) -> Trip {
        let age_max = self.options.journal.entries.age_max();
        let age_max = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
        // By the server's own clock, as far as it is known: ours may differ.
        let oldest = last.millis.saturating_sub(age_max);
        let mut commands = self.commands.borrow_mut();
        let mut trip = commands.begin();
        commands.begin_transaction(&mut trip);
        let mut elements = 0;
        for entries in pending.chunks(ENTRIES_OF_AN_ELEMENT) {
            commands.append_to_stream(&mut trip, oldest, entries.as_flattened());
            elements += 1;
        }
        commands.limit_stream(&mut trip, ADDRESSES_MAX as u64, age_max);
        commands.execute_append(&mut trip, elements);
        commands.finish(&mut trip);
        trip
    }
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
