//! The commands that the store sends, written into trips.
//!
//! Keys are `<prefix>p:<page>` and `<prefix>g:<grant>`, both base64url; a page is a hash of records by field, a grant a string. A use is
//! `<prefix>jti:<digest>` or `<prefix>dpop:<digest>`, a string beside `<prefix>epoch`; a count `<prefix>n:<digest>`. In a cluster they are `<prefix>{hh}p:…`,
//! `<prefix>{hh}g:…` and so on, see [`Tag`], and there a command, or a transaction, names one key; one that notes uses names them and their epoch.
//!
//! Invariants: every key that is written gets a TTL in the same transaction or the same command; no lookup and no deletion stands
//! in a transaction, where a full Redis refuses all commands alike.

mod counts;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use data_encoding::BASE64URL_NOPAD;
use redis::Cmd;

use super::grant_seal::GrantId;
use super::slot_map::Tag;
use super::trip::{Expected, Trip};
use crate::oauth::replay::UseKind;
use crate::oauth::token::{Page, TokenAddress};
use crate::store::Claim;

/// Trips whose memory is kept for the next ones.
const SPARE_TRIPS_MAX: usize = 8;
/// A trip that grew beyond this is not kept.
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// Which of a cluster's slots the journal's stream lies in.
pub(super) const STREAM_TAG: Tag = Tag(0);

/// Writes commands; one a worker, so that nothing is allocated for a command.
pub(super) struct Commands {
    prefix: Box<str>,
    tagged: bool,
    command: Cmd,
    key: Vec<u8>,
    numbers: Rc<Cell<u64>>,
    spare: Vec<Trip>,
}

impl Commands {
    /// Commands on keys with this prefix, in trips numbered on from `numbers`, which all who write to one connection share.
    pub(super) fn new(prefix: &str, numbers: Rc<Cell<u64>>) -> Self {
        let (prefix, command, key, spare) = (prefix.into(), Cmd::new(), Vec::new(), Vec::new());
        Self { prefix, tagged: false, command, key, numbers, spare }
    }

    /// The same on the keys of a cluster.
    pub(super) fn tagged(self) -> Self {
        Self { tagged: true, ..self }
    }

    /// An empty trip.
    pub(super) fn begin(&mut self) -> Trip {
        self.spare.pop().unwrap_or_default()
    }

    /// Closes a trip with its number; nothing may be added behind it.
    pub(super) fn finish(&mut self, trip: &mut Trip) {
        trip.number = self.numbers.get() + 1;
        self.numbers.set(trip.number);
        self.start("ECHO").number(trip.number);
        self.command.write_packed_command(&mut trip.request);
    }

    /// Takes a trip's memory back.
    pub(super) fn recycle(&mut self, mut trip: Trip) {
        trip.clear();
        if self.spare.len() < SPARE_TRIPS_MAX && trip.request.capacity() <= SPARE_BYTES_MAX {
            self.spare.push(trip);
        }
    }

    /// Asks for the record at an address: bytes or nil.
    pub(super) fn find_record(&mut self, trip: &mut Trip, address: &TokenAddress) {
        self.page_key(address.page);
        self.start("HGET").key().bytes(&address.field());
        self.write(trip, Expected::BytesOrNil);
    }

    /// Deletes the record at an address: 1, or 0 where there was none.
    pub(super) fn delete_record(&mut self, trip: &mut Trip, address: &TokenAddress) {
        self.page_key(address.page);
        self.start("HDEL").key().bytes(&address.field());
        self.write(trip, Expected::Number(1));
    }

    /// Deletes records of one page: how many there were.
    pub(super) fn delete_fields<'a>(&mut self, trip: &mut Trip, page: Page, fields: impl Iterator<Item = &'a [u8; 8]>) {
        self.page_key(page);
        self.start("HDEL").key();
        let mut asked = 0;
        for field in fields {
            self.command.arg(field.as_slice());
            asked += 1;
        }
        self.write(trip, Expected::Number(asked));
    }

    /// Waits until so many replicas have what was written up to the command before, by whomever: how many have.
    pub(super) fn wait(&mut self, trip: &mut Trip, replicas: u32, millis: u64) {
        self.start("WAIT").number(u64::from(replicas)).number(millis);
        self.write(trip, Expected::Number(u32::MAX));
    }

    /// Reads at most so many elements of the journal's stream from this place on.
    pub(super) fn read_stream(&mut self, trip: &mut Trip, from: &str, max: u32) {
        self.stream_key();
        self.start("XRANGE").key().bytes(from.as_bytes()).bytes(b"+").bytes(b"COUNT").number(u64::from(max));
        self.write(trip, Expected::Elements);
    }

    /// Appends an element to the stream, and lets it forget those older than `oldest`. A command of a transaction.
    pub(super) fn append_to_stream(&mut self, trip: &mut Trip, oldest_millis: u64, entries: &[u8]) {
        self.stream_key();
        let appending = self.start("XADD").key().bytes(b"MINID").bytes(b"~").number(oldest_millis);
        appending.bytes(b"*").bytes(b"e").bytes(entries);
        self.write(trip, Expected::Queued);
    }

    /// Bounds the stream in length and in time. Two commands of a transaction.
    pub(super) fn limit_stream(&mut self, trip: &mut Trip, elements_max: u64, ttl_millis: u64) {
        self.stream_key();
        self.start("XTRIM").key().bytes(b"MAXLEN").bytes(b"~").number(elements_max);
        self.write(trip, Expected::Queued);
        self.start("PEXPIRE").key().number(ttl_millis);
        self.write(trip, Expected::Queued);
    }

    /// Executes a transaction that appended so many elements and limited the stream.
    pub(super) fn execute_append(&mut self, trip: &mut Trip, elements: u32) {
        self.start("EXEC");
        self.write(trip, Expected::Appended(elements));
    }

    /// Asks for a grant: bytes or nil.
    pub(super) fn find_grant(&mut self, trip: &mut Trip, tag: Tag, id: GrantId) {
        self.grant_key(tag, id);
        self.start("GET").key();
        self.write(trip, Expected::BytesOrNil);
    }

    /// Writes a grant unless it is there, and lengthens its TTL to this one where it ends earlier: two replies.
    pub(super) fn write_grant(&mut self, trip: &mut Trip, tag: Tag, id: GrantId, sealed: &[u8], ttl_millis: u64) {
        self.set_grant(trip, tag, id, sealed, ttl_millis, [Expected::OkayOrNil, Expected::Number(1)]);
    }

    /// The same in a transaction, which one `ASKING` stands before: four replies.
    pub(super) fn write_grant_whole(&mut self, trip: &mut Trip, tag: Tag, id: GrantId, sealed: &[u8], ttl_millis: u64) {
        self.begin_transaction(trip);
        self.set_grant(trip, tag, id, sealed, ttl_millis, [Expected::Queued; 2]);
        self.start("EXEC");
        self.write(trip, Expected::GrantWritten);
    }

    fn set_grant(
        &mut self,
        trip: &mut Trip,
        tag: Tag,
        id: GrantId,
        sealed: &[u8],
        ttl_millis: u64,
        [set, lengthened]: [Expected; 2],
    ) {
        self.grant_key(tag, id);
        self.start("SET").key().bytes(sealed).bytes(b"NX").bytes(b"PX").number(ttl_millis);
        self.write(trip, set);
        self.start("PEXPIRE").key().number(ttl_millis).bytes(b"GT");
        self.write(trip, lengthened);
    }

    /// Whether a grant is there: 1 or 0.
    pub(super) fn count_grant(&mut self, trip: &mut Trip, tag: Tag, id: GrantId) {
        self.grant_key(tag, id);
        self.start("EXISTS").key();
        self.write(trip, Expected::Number(1));
    }

    /// Counts which of these grants are there. Not in a cluster.
    pub(super) fn count_grants(&mut self, trip: &mut Trip, ids: impl Iterator<Item = GrantId>) {
        self.start("EXISTS");
        let mut asked = 0;
        for id in ids {
            self.grant_key(Tag::default(), id);
            self.command.arg(self.key.as_slice());
            asked += 1;
        }
        self.write(trip, Expected::Number(asked));
    }

    /// Asks which life of which server this is, and which epoch it has. Two commands of a transaction.
    pub(super) fn find_epoch(&mut self, trip: &mut Trip, tag: Tag) {
        self.other(trip, &[b"INFO", b"server", b"replication"], Expected::Queued);
        self.epoch_key(tag);
        self.start("GET").key();
        self.write(trip, Expected::Queued);
    }

    /// Notes a use unless it is noted, and asks whose it is. Two commands of a transaction.
    pub(super) fn claim(&mut self, trip: &mut Trip, tag: Tag, Claim { single_use, by }: &Claim, ttl_millis: u64) {
        let mut name = [0; 43];
        BASE64URL_NOPAD.encode_mut(&single_use.digest, &mut name);
        let kind = match single_use.kind {
            UseKind::Assertion => b"jti:".as_slice(),
            UseKind::Proof => b"dpop:".as_slice(),
        };
        self.name_key(tag, kind, &name);
        self.start("SET").key().bytes(by).bytes(b"NX").bytes(b"PX").number(ttl_millis);
        self.write(trip, Expected::Queued);
        self.start("GET").key();
        self.write(trip, Expected::Queued);
    }

    /// Executes a transaction that asked for an epoch and noted so many uses.
    pub(super) fn execute_claims(&mut self, trip: &mut Trip, uses: u32) {
        self.start("EXEC");
        self.write(trip, Expected::Claims(uses));
    }

    /// Lets an epoch live on, if there is one.
    pub(super) fn keep_epoch(&mut self, trip: &mut Trip, tag: Tag, ttl_millis: u64) {
        self.epoch_key(tag);
        self.start("PEXPIRE").key().number(ttl_millis);
        self.write(trip, Expected::Number(1));
    }

    /// Writes an epoch over the one there is.
    pub(super) fn write_epoch(&mut self, trip: &mut Trip, tag: Tag, sealed: &[u8], ttl_millis: u64) {
        self.epoch_key(tag);
        self.start("SET").key().bytes(sealed).bytes(b"PX").number(ttl_millis);
        self.write(trip, Expected::Okay);
    }

    /// Opens a transaction.
    pub(super) fn begin_transaction(&mut self, trip: &mut Trip) {
        self.start("MULTI");
        self.write(trip, Expected::Okay);
    }

    /// Writes records into a page and sets its TTL, not only the first time: a page that revocations emptied, or that Redis
    /// lost, would otherwise come back without one. Two commands of a transaction.
    pub(super) fn write_page<'a>(
        &mut self,
        trip: &mut Trip,
        page: Page,
        records: impl Iterator<Item = (&'a [u8; 8], &'a [u8])>,
        ttl_millis: u64,
    ) {
        self.page_key(page);
        self.start("HSET").key();
        for (field, record) in records {
            self.command.arg(field.as_slice()).arg(record);
        }
        self.write(trip, Expected::Queued);
        self.start("PEXPIRE").key().number(ttl_millis);
        self.write(trip, Expected::Queued);
    }

    /// Executes a transaction that wrote so many pages.
    pub(super) fn execute(&mut self, trip: &mut Trip, pages: u32) {
        self.start("EXEC");
        self.write(trip, Expected::Transaction(2 * pages));
    }

    /// Lets a node of a cluster answer the next command, or transaction, although its slot is still on the way there.
    pub(super) fn asking(&mut self, trip: &mut Trip) {
        self.start("ASKING");
        self.write(trip, Expected::Okay);
    }

    /// Any other command.
    pub(super) fn other(&mut self, trip: &mut Trip, words: &[&[u8]], expected: Expected) {
        self.command.clear();
        for word in words {
            self.command.arg(*word);
        }
        self.write(trip, expected);
    }

    /// A look-up like a batch's, of a page that never is: whether the server serves, and serves us.
    pub(super) fn probe(&mut self, trip: &mut Trip) {
        self.page_key(Page { dead_second: 0, number: 0 });
        self.start("HGET").key().bytes(&[0; 8]);
        self.write(trip, Expected::BytesOrNil);
    }

    fn page_key(&mut self, page: Page) {
        let mut name = [0; 12];
        BASE64URL_NOPAD.encode_mut(&page.to_bytes(), &mut name);
        self.name_key(Tag::of(page), b"p:", &name);
    }

    fn stream_key(&mut self) {
        self.name_key(STREAM_TAG, b"journal", b"");
    }

    fn epoch_key(&mut self, tag: Tag) {
        self.name_key(tag, b"epoch", b"");
    }

    fn grant_key(&mut self, tag: Tag, id: GrantId) {
        let mut name = [0; 16];
        BASE64URL_NOPAD.encode_mut(&id.0, &mut name);
        self.name_key(tag, b"g:", &name);
    }

    fn name_key(&mut self, tag: Tag, kind: &[u8], name: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(self.prefix.as_bytes());
        if self.tagged {
            let [high, low] = tag.to_hex();
            self.key.extend_from_slice(&[b'{', high, low, b'}']);
        }
        self.key.extend_from_slice(kind);
        self.key.extend_from_slice(name);
    }

    fn start(&mut self, name: &str) -> Arguments<'_> {
        self.command.clear();
        self.command.arg(name);
        Arguments { command: &mut self.command, key: &self.key }
    }

    fn write(&mut self, trip: &mut Trip, expected: Expected) {
        self.command.write_packed_command(&mut trip.request);
        trip.expected.push(expected);
    }
}

/// The arguments of a command that was started, beside the key that was named last.
struct Arguments<'a> {
    command: &'a mut Cmd,
    key: &'a [u8],
}

/// Not for whatever the crate takes as an argument: of an array of bytes it makes as many arguments.
impl Arguments<'_> {
    fn key(self) -> Self {
        self.command.arg(self.key);
        self
    }

    fn bytes(self, argument: &[u8]) -> Self {
        self.command.arg(argument);
        self
    }

    fn number(self, argument: u64) -> Self {
        self.command.arg(argument);
        self
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_cluster_all_keys_of_a_page_have_its_tag() {
        let mut commands = Commands::new("jeton:", Rc::default()).tagged();
        let page = Page { dead_second: 1, number: 0x0102_03AB };
        commands.page_key(page);
        assert_eq!(commands.key, b"jeton:{ab}p:AAAAAAEBAgOr".as_slice());
        commands.grant_key(Tag::of(page), GrantId([0; 12]));
        assert_eq!(commands.key, b"jeton:{ab}g:AAAAAAAAAAAAAAAA".as_slice());
        commands.stream_key();
        assert_eq!(commands.key, b"jeton:{00}journal".as_slice());
    }

    #[test]
    fn keys_stay_within_30_characters_and_each_trip_has_its_number() {
        let mut commands = Commands::new("sixteen-letters:", Rc::default());
        let mut trip = commands.begin();
        commands.find_grant(&mut trip, Tag(1), GrantId([0xFF; 12]));
        assert_eq!(commands.key, b"sixteen-letters:g:________________".as_slice());
        commands.probe(&mut trip);
        assert_eq!(commands.key, b"sixteen-letters:p:AAAAAAAAAAAA".as_slice());
        assert!(commands.key.len() <= 30);
        commands.finish(&mut trip);
        assert!(trip.request.ends_with(b"*2\r\n$4\r\nECHO\r\n$1\r\n1\r\n"));
        commands.recycle(trip);
        let mut trip = commands.begin();
        commands.finish(&mut trip);
        assert_eq!(trip.request, b"*2\r\n$4\r\nECHO\r\n$1\r\n2\r\n");
    }
}
