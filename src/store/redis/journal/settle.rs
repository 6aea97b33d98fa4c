//! Brings a server up to the journal: reads what other nodes left there, and sends every known delete again.

use redis::Value;
use tokio::time::Instant;

use super::super::server_info::ServerId;
use super::super::tags::Tags;
use super::super::{Inner, Links, errors};
use super::stream::StreamId;
use crate::oauth::token::Page;
use crate::store::StoreError;
use crate::store::journal::entry::Place;

/// Fields of one trip: some milliseconds of Redis.
pub(in crate::store::redis) const FIELDS_MAX: usize = 4096;

impl Inner<Links> {
    /// Settles the server of this worker's connection unless it is, or somebody else is at it. Returns whether it is settled now.
    pub(super) async fn settle_if_needed(&self) -> Result<bool, StoreError> {
        let state = self.ways.reads.state();
        if self.is_settled(state, Tags::ALL) {
            return Ok(true);
        }
        let Some(server) = state.server().filter(|_| state.is_up()) else { return Ok(false) };
        let Some(_settling) = self.options.journal.begin_to_settle() else { return Ok(false) };
        self.settle(server).await?;
        Ok(self.is_settled(state, Tags::ALL))
    }

    async fn settle(&self, server: ServerId) -> Result<(), StoreError> {
        let journal = &self.options.journal;
        let state = self.ways.reads.state();
        let connection = state.connection();
        journal.will_settle(&server, Tags::ALL);
        let reading = journal.next_reading();
        let read = self.read_stream(StreamId::default(), reading).await?;
        self.delete_again().await?;
        // Half of it may have gone to another server.
        if state.connection() != connection || state.server().as_ref() != Some(&server) {
            return Err(StoreError::NotServing);
        }
        journal.has_read(server.clone(), read);
        journal.has_settled(server, Tags::ALL);
        journal.entries.send_unlisted(&self.keys.load_full(), reading);
        Ok(())
    }

    /// Deletes everything that is known to have been revoked.
    async fn delete_again(&self) -> Result<(), StoreError> {
        let mut after = None;
        while let Some((end, mut places)) = self.options.journal.entries.next_end(after) {
            // A page's together, so that they are one command.
            places.sort_unstable();
            for places in places.chunks(FIELDS_MAX) {
                self.delete_places(places).await?;
            }
            after = Some(end);
        }
        Ok(())
    }

    async fn delete_places(&self, places: &[Place]) -> Result<(), StoreError> {
        let trip = {
            let mut commands = self.commands.borrow_mut();
            let mut trip = commands.begin();
            for of_page in places.chunk_by(|a, b| a.page == b.page) {
                let page: Page = of_page[0].page;
                commands.delete_fields(&mut trip, page, of_page.iter().map(|place| &place.field));
            }
            commands.finish(&mut trip);
            trip
        };
        let trip = self.ways.reads.exchange(trip, Instant::now() + self.options.operation_timeout).await?;
        let refusal = trip.replies.iter().find_map(|reply| match reply {
            Value::ServerError(error) => Some(errors::meaning(error)),
            _ => None,
        });
        self.commands.borrow_mut().recycle(trip);
        refusal.map_or(Ok(()), Err)
    }
}
