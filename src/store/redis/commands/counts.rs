//! Commands that count.

use data_encoding::BASE64URL_NOPAD;

use super::{Commands, Expected, Tag, Trip};
use crate::store::Count;

impl Commands {
    /// Adds to a count and lets it live on. Two commands of a transaction.
    pub(in crate::store::redis) fn count(&mut self, trip: &mut Trip, tag: Tag, count: &Count) {
        let mut name = [0; 43];
        BASE64URL_NOPAD.encode_mut(&count.name, &mut name);
        self.name_key(tag, b"n:", &name);
        self.start("INCRBY").key().number(count.add.into());
        self.write(trip, Expected::Queued);
        self.start("PEXPIRE").key().number(u64::from(count.ttl_seconds) * 1000);
        self.write(trip, Expected::Queued);
    }
}
