//! A batch of revocations: one `HDEL` each. Deleting again is harmless, so a trip that broke is sent once more.

use redis::Value;
use tokio::time::Instant;

use super::trip::Trip;
use super::{Inner, errors};
use crate::oauth::token::TokenAddress;
use crate::store::StoreError;

impl Inner {
    pub(super) async fn delete(&self, batch: &[TokenAddress], asked_at: Instant) -> Vec<Result<(), StoreError>> {
        if batch.is_empty() {
            return vec![];
        }
        let deadline = asked_at + self.options.operation_timeout;
        self.retries.earn();
        let answer = match self.writes.exchange(self.encode_delete(batch), deadline).await {
            Err(StoreError::Broken) if self.retries.spend() => {
                self.writes.exchange(self.encode_delete(batch), deadline).await
            }
            other => other,
        };
        match answer {
            Err(error) => vec![Err(error); batch.len()],
            Ok(trip) => {
                let answers = trip.replies.iter().map(deleted).collect();
                self.commands.borrow_mut().recycle(trip);
                answers
            }
        }
    }

    fn encode_delete(&self, batch: &[TokenAddress]) -> Trip {
        let mut commands = self.commands.borrow_mut();
        let mut trip = commands.begin();
        for address in batch {
            commands.delete_record(&mut trip, address);
        }
        commands.finish(&mut trip);
        trip
    }
}

/// 1 or 0: either way it is not there any more.
fn deleted(reply: &Value) -> Result<(), StoreError> {
    match reply {
        Value::ServerError(error) => Err(errors::meaning(error)),
        _ => Ok(()),
    }
}
