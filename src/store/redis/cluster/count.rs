//! A batch of counts in a cluster: a transaction for each, at its name's own place.

use tokio::time::Instant;

use super::claim::OfTag;
use super::nodes::Nodes;
use super::rounds::Purpose;
use crate::store::redis::Inner;
use crate::store::redis::commands::Commands;
use crate::store::redis::count::totals;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;
use crate::store::{Count, StoreError};

impl Inner<Nodes> {
    /// Adds to counts: how much each is then.
    pub(super) async fn count(&self, batch: &[Count], asked_at: Instant) -> Vec<Result<u64, StoreError>> {
        let add = |count: &Count| {
            let (count, tag) = (*count, Tag::of_use(&count.name));
            OfTag::new(tag, move |commands: &mut Commands, trip: &mut Trip| {
                commands.begin_transaction(trip);
                commands.count(trip, tag, &count);
                commands.execute(trip, 1);
            })
        };
        let mut all: Vec<_> = batch.iter().map(add).collect();
        self.perform(Purpose::Claim, &mut all, self.write_deadline(asked_at)).await;
        let total = |one: OfTag<_>| {
            let replies = one.replies?;
            totals(1, &replies).pop().unwrap_or(Err(StoreError::Broken))
        };
        all.into_iter().map(total).collect()
    }
}
