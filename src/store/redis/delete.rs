//! A batch of revocations: one `HDEL` each, then the journal. Deleting again is harmless, so a trip that broke is sent once more.
//!
//! What was deleted before is deleted and journaled all the same: the try that deleted it may not have been answered.

use redis::Value;
use tokio::time::Instant;

use super::trip::Trip;
use super::{Inner, Links, errors};
use crate::store::{Deletion, StoreError};

impl Inner<Links> {
    pub(super) async fn delete(&self, batch: &[Deletion], asked_at: Instant) -> Vec<Result<(), StoreError>> {
        if batch.is_empty() {
            return vec![];
        }
        let answers = self.delete_now(batch, self.write_deadline(asked_at)).await;
        self.note(batch, &answers).await;
        answers
    }

    async fn delete_now(&self, batch: &[Deletion], deadline: Instant) -> Vec<Result<(), StoreError>> {
        self.retries.earn();
        let answer = match self.ways.writes.exchange(self.encode_delete(batch), deadline).await {
            Err(StoreError::Broken) if self.retries.spend() => {
                self.ways.writes.exchange(self.encode_delete(batch), deadline).await
            }
            other => other,
        };
        match answer {
            Err(error) => vec![Err(error); batch.len()],
            Ok(mut trip) => {
                let replicated = self.take_replicated(&mut trip);
                let answers = trip.replies.iter().map(|reply| deleted(reply).and(replicated)).collect();
                self.commands.borrow_mut().recycle(trip);
                answers
            }
        }
    }

    fn encode_delete(&self, batch: &[Deletion]) -> Trip {
        let mut commands = self.commands.borrow_mut();
        let mut trip = commands.begin();
        for Deletion { address, .. } in batch {
            commands.delete_record(&mut trip, address);
        }
        self.write_wait(&mut commands, &mut trip);
        commands.finish(&mut trip);
        trip
    }
}

/// 1 or 0: either way it is not there any more.
pub(super) fn deleted(reply: &Value) -> Result<(), StoreError> {
    match reply {
        Value::ServerError(error) => Err(errors::meaning(error)),
        _ => Ok(()),
    }
}
