//! A batch of revocations in a cluster, then the journal. Deleting again is harmless, so what broke is sent once more.

use redis::Value;
use tokio::time::Instant;

use super::nodes::Nodes;
use super::rounds::{Operation, Purpose};
use crate::oauth::token::TokenAddress;
use crate::store::redis::Inner;
use crate::store::redis::commands::Commands;
use crate::store::redis::delete::deleted;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;
use crate::store::{Deletion, StoreError};

struct Delete<'a> {
    address: &'a TokenAddress,
    done: Result<(), StoreError>,
}

impl Operation for Delete<'_> {
    fn tag(&self) -> Tag {
        Tag::of(self.address.page)
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        commands.delete_record(trip, self.address);
    }

    fn answer(&mut self, replies: &mut [Value], replicated: Result<(), StoreError>) {
        self.done = deleted(&replies[0]).and(replicated);
    }

    fn fail(&mut self, error: StoreError) {
        self.done = Err(error);
    }
}

impl Inner<Nodes> {
    pub(super) async fn delete(&self, batch: &[Deletion], asked_at: Instant) -> Vec<Result<(), StoreError>> {
        let mut deletes: Vec<Delete<'_>> =
            batch.iter().map(|one| Delete { address: &one.address, done: Err(StoreError::Unavailable) }).collect();
        self.perform(Purpose::Delete, &mut deletes, self.write_deadline(asked_at)).await;
        let answers: Vec<Result<(), StoreError>> = deletes.into_iter().map(|delete| delete.done).collect();
        self.note(batch, &answers).await;
        answers
    }
}
