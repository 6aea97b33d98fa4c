//! A batch of counts: one transaction that adds to each and lets it live on. Never sent twice: what was executed and not answered stays
//! counted, and nobody gives it away.

use redis::Value;
use tokio::time::Instant;

use super::save::error_meaning;
use super::slot_map::Tag;
use super::{Inner, Links};
use crate::store::{Count, StoreError};

impl Inner<Links> {
    /// Adds to counts: how much each is then.
    pub(super) async fn count(&self, batch: &[Count], asked_at: Instant) -> Vec<Result<u64, StoreError>> {
        if batch.is_empty() {
            return vec![];
        }
        let trip = {
            let mut commands = self.commands.borrow_mut();
            let mut trip = commands.begin();
            commands.begin_transaction(&mut trip);
            batch.iter().for_each(|count| commands.count(&mut trip, Tag::default(), count));
            commands.execute(&mut trip, u32::try_from(batch.len()).unwrap_or(u32::MAX));
            self.write_wait(&mut commands, &mut trip);
            commands.finish(&mut trip);
            trip
        };
        let mut trip = match self.ways.writes.exchange(trip, self.write_deadline(asked_at)).await {
            Ok(trip) => trip,
            Err(error) => return vec![Err(error); batch.len()],
        };
        let replicated = self.take_replicated(&mut trip);
        let totals = totals(batch.len(), &trip.replies);
        self.commands.borrow_mut().recycle(trip);
        totals.into_iter().map(|total| replicated.and(total)).collect()
    }
}

/// What the replies to a transaction of so many counts say.
pub(super) fn totals(counts: usize, replies: &[Value]) -> Vec<Result<u64, StoreError>> {
    if let Some(error) = replies.iter().find_map(error_meaning) {
        return vec![Err(error); counts];
    }
    let Some(Value::Array(executed)) = replies.last() else { return vec![Err(StoreError::Broken); counts] };
    let total = |[added, _]: &[Value; 2]| match added {
        Value::Int(total) => u64::try_from(*total).map_err(|_| StoreError::Broken),
        other => Err(error_meaning(other).unwrap_or(StoreError::Broken)),
    };
    let mut totals: Vec<_> = executed.as_chunks::<2>().0.iter().map(total).collect();
    totals.resize(counts, Err(StoreError::Broken));
    totals
}
