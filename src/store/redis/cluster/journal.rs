//! The journal of revocations in a cluster: each primary is settled by itself, and the stream lies on one of them.
//!
//! A primary that this process has not met, since its replica took over or it restarted, may lack deletes that were acknowledged. Before its
//! records are believed, the stream is read where it lies, and the deletes that are known of the slots of this primary are sent again. A
//! slot that moves takes its deletes with it, so that settles nothing anew.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use redis::Value;
use tokio::time::{Instant, sleep};

use super::nodes::{Node, Nodes};
use super::rounds::{Operation, Purpose};
use crate::oauth::token::Page;
use crate::store::StoreError;
use crate::store::journal::entry::Place;
use crate::store::observer::JournalTrouble;
use crate::store::redis::Inner;
use crate::store::redis::commands::{Commands, STREAM_TAG};
use crate::store::redis::journal::settle::FIELDS_MAX;
use crate::store::redis::journal::stream::{StreamId, ToStream};
use crate::store::redis::journal::{RedisJournal, TICK};
use crate::store::redis::save::error_meaning;
use crate::store::redis::server_info::ServerId;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;

/// Deletes of one page, sent again.
struct DeleteAgain<'a> {
    page: Page,
    places: &'a [Place],
    done: Result<(), StoreError>,
}

impl Operation for DeleteAgain<'_> {
    fn tag(&self) -> Tag {
        Tag::of(self.page)
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        commands.delete_fields(trip, self.page, self.places.iter().map(|place| &place.field));
    }

    fn answer(&mut self, replies: &mut [Value], _: Result<(), StoreError>) {
        self.done = error_meaning(&replies[0]).map_or(Ok(()), Err);
    }

    fn fail(&mut self, error: StoreError) {
        self.done = Err(error);
    }
}

/// Keeps the primaries settled, and, where this worker is the one of the process that does, the stream read and written. Runs until the
/// store is gone.
pub(super) async fn keep(store: Weak<Inner<Nodes>>, journal: Arc<RedisJournal>) {
    let leading = journal.lead();
    while let Some(inner) = store.upgrade() {
        let mut trouble = None;
        for node in inner.ways.all() {
            trouble =
                inner.settle_if_needed(&node).await.err().map(|error| (JournalTrouble::Unsettled, error)).or(trouble);
        }
        if leading.is_some() && trouble.is_none() {
            trouble = inner.send_and_follow().await.err().map(|error| (JournalTrouble::Unsent, error));
        }
        inner.tell(trouble);
        drop(inner);
        tokio::select! {
            () = journal.entries.pending_grew(), if leading.is_some() => {}
            () = sleep(TICK) => {}
        }
    }
}

/// What is asked of the stream, wherever it lies.
struct OfStream<F> {
    write: F,
    replies: Result<Vec<Value>, StoreError>,
}

impl<F: Fn(&mut Commands, &mut Trip)> Operation for OfStream<F> {
    fn tag(&self) -> Tag {
        STREAM_TAG
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        (self.write)(commands, trip);
    }

    fn answer(&mut self, replies: &mut [Value], _: Result<(), StoreError>) {
        self.replies = Ok(replies.iter_mut().map(std::mem::take).collect());
    }

    fn fail(&mut self, error: StoreError) {
        self.replies = Err(error);
    }
}

impl ToStream for Inner<Nodes> {
    fn keeper(&self) -> Option<ServerId> {
        self.ways.owner(STREAM_TAG)?.reads.state().server()
    }

    async fn ask_keeper(&self, write: impl Fn(&mut Commands, &mut Trip)) -> Result<Vec<Value>, StoreError> {
        let mut asked = [OfStream { write, replies: Err(StoreError::Unavailable) }];
        self.perform(Purpose::Settle, &mut asked, Instant::now() + self.options.operation_timeout).await;
        let [asked] = asked;
        asked.replies
    }
}

impl Inner<Nodes> {
    /// Settles a node unless it is, or somebody else is at it.
    async fn settle_if_needed(&self, node: &Rc<Node>) -> Result<(), StoreError> {
        let state = node.reads.state();
        if self.take_up_settled(state) || !state.is_up() {
            return Ok(());
        }
        let Some(_settling) = self.options.journal.begin_to_settle() else { return Ok(()) };
        self.settle(node).await
    }

    async fn settle(&self, node: &Rc<Node>) -> Result<(), StoreError> {
        let journal = &self.options.journal;
        let lives = || (node.reads.state().connection(), node.reads.state().server(), self.keeper());
        let before = lives();
        let reading = journal.next_reading();
        let read = self.read_stream(StreamId::default(), reading).await?;
        self.delete_again(node).await?;
        // Half of it may have gone to other servers.
        let (_, Some(server), Some(stream_of)) = before.clone() else { return Err(StoreError::NotServing) };
        if lives() != before {
            return Err(StoreError::NotServing);
        }
        journal.has_settled(server, stream_of, read);
        journal.entries.send_unlisted(&self.keys.load_full(), reading);
        self.take_up_settled(node.reads.state());
        Ok(())
    }

    /// Deletes everything that is known to have been revoked and lies on this node.
    async fn delete_again(&self, node: &Rc<Node>) -> Result<(), StoreError> {
        let lies_there =
            |place: &Place| self.ways.owner(Tag::of(place.page)).is_some_and(|owner| Rc::ptr_eq(&owner, node));
        let mut after = None;
        while let Some((end, mut places)) = self.options.journal.entries.next_end(after) {
            places.retain(lies_there);
            // A page's together, so that they are one command.
            places.sort_unstable();
            for places in places.chunks(FIELDS_MAX) {
                let of_pages = places.chunk_by(|a, b| a.page == b.page);
                let mut deletes: Vec<DeleteAgain<'_>> = of_pages
                    .map(|places| DeleteAgain { page: places[0].page, places, done: Err(StoreError::Unavailable) })
                    .collect();
                self.perform(Purpose::Settle, &mut deletes, Instant::now() + self.options.operation_timeout).await;
                deletes.into_iter().try_for_each(|delete| delete.done)?;
            }
            after = Some(end);
        }
        Ok(())
    }
}
