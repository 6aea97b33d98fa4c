//! The journal of revocations in a cluster: each primary is settled for its own tags, and the stream lies on one of them.
//!
//! A primary that this process has not met, since its replica took over or it restarted, may lack deletes that were acknowledged, and so
//! may the tags of a slot that came to it. Before records there are believed, the stream is read where it lies, and the deletes that are
//! known of these tags are sent to that primary again.
//!
//! # Invariants
//! - **A tag is settled on a node only by what that node itself answered**, in one life of it.
//! - **A node that cannot be settled holds up no other**, and neither what is sent and followed.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use redis::Value;
use tokio::time::{Instant, sleep};

use super::nodes::{Node, Nodes};
use super::rounds::{Operation, Purpose, Target};
use crate::store::StoreError;
use crate::store::journal::entry::Place;
use crate::store::observer::JournalTrouble;
use crate::store::redis::Inner;
use crate::store::redis::claim::EpochsKept;
use crate::store::redis::commands::{Commands, STREAM_TAG};
use crate::store::redis::journal::settle::FIELDS_MAX;
use crate::store::redis::journal::stream::{StreamId, ToStream};
use crate::store::redis::journal::{RedisJournal, TICK};
use crate::store::redis::save::error_meaning;
use crate::store::redis::server_info::ServerId;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::tags::Tags;
use crate::store::redis::trip::Trip;

/// Deletes of one page, sent again.
struct DeleteAgain<'a> {
    to: Target,
    places: &'a [Place],
    done: Result<(), StoreError>,
    moved: bool,
}

/// A node that is being settled.
struct Task {
    node: Rc<Node>,
    server: ServerId,
    connection: u64,
    /// Which of its tags, as far as nothing failed yet, and those of them that are on their way there.
    tags: Tags,
    visited: Tags,
}

impl Operation for DeleteAgain<'_> {
    fn tag(&self) -> Tag {
        Tag::of(self.places[0].page)
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        commands.delete_fields(trip, self.places[0].page, self.places.iter().map(|place| &place.field));
    }

    fn answer(&mut self, replies: &mut [Value], _: Result<(), StoreError>) {
        self.done = error_meaning(&replies[0]).map_or(Ok(()), Err);
    }

    fn fail(&mut self, error: StoreError) {
        self.done = Err(error);
    }

    fn target(&self) -> Option<Target> {
        Some(self.to.clone())
    }

    fn moved(&mut self) {
        self.moved = true;
    }
}

/// Keeps the primaries settled, and, where this worker is the one of the process that does, the stream read and written. Runs until the
/// store is gone.
pub(super) async fn keep(store: Weak<Inner<Nodes>>, journal: Arc<RedisJournal>) {
    let leading = journal.lead();
    let leads = leading.is_some();
    let mut epochs = EpochsKept::new();
    while let Some(inner) = store.upgrade() {
        let begun = Instant::now();
        let is_listed = inner.keeper().is_some_and(|keeper| journal.lists(&keeper));
        // First, since a node may hold the rest up; but a stream that was not yet read whole is read by settling.
        let mut sent = if leads && is_listed { inner.send_and_follow().await } else { Ok(()) };
        let settled = inner.settle_all().await;
        if leads && !is_listed {
            sent = inner.send_and_follow().await;
        }
        if leads {
            inner.keep_epochs_if_due(&mut epochs).await;
        }
        let unsettled = settled.err().map(|error| (JournalTrouble::Unsettled, error));
        inner.tell(unsettled.into_iter().chain(sent.err().map(|error| (JournalTrouble::Unsent, error))));
        let asked = Rc::clone(&inner.ways.unsettled);
        drop(inner);
        // What fails is worth a part of the time.
        let pause = if settled.is_ok() { TICK } else { TICK.max(3 * begun.elapsed()) };
        tokio::select! {
            () = journal.entries.pending_grew(), if leads => {}
            () = asked.notified(), if settled.is_ok() => {}
            () = sleep(pause) => {}
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
    /// Whether every primary is settled for its own tags.
    pub(super) fn all_settled(&self) -> bool {
        self.ways.all().iter().all(|node| self.unsettled_of(node).is_none())
    }

    /// For which tags a node is still to be settled, and which of them are only on their way there.
    fn unsettled_of(&self, node: &Rc<Node>) -> Option<(Tags, Tags)> {
        let (owned, visited) = self.ways.tags_of(node);
        let unsettled = owned.with(visited).without(self.settled(node.reads.state()));
        (unsettled != Tags::NONE).then_some((unsettled, visited))
    }

    /// Settles the nodes that are not, unless somebody else is at it.
    async fn settle_all(&self) -> Result<(), StoreError> {
        let task = |node: Rc<Node>| {
            let state = Rc::clone(node.reads.state());
            let (tags, visited) = self.unsettled_of(&node).filter(|_| state.is_up())?;
            Some(Task { server: state.server()?, connection: state.connection(), node, tags, visited })
        };
        let mut tasks: Vec<Task> = self.ways.all().into_iter().filter_map(task).collect();
        if tasks.is_empty() {
            return Ok(());
        }
        let Some(_settling) = self.options.journal.begin_to_settle() else { return Ok(()) };
        self.settle(&mut tasks).await
    }

    async fn settle(&self, tasks: &mut Vec<Task>) -> Result<(), StoreError> {
        let journal = &self.options.journal;
        tasks.iter().for_each(|task| journal.will_settle(&task.server, task.tags));
        let keeper = self.keeper().ok_or(StoreError::NotServing)?;
        let whole = !journal.lists(&keeper);
        let (from, reading) = if whole {
            (StreamId::default(), journal.next_reading())
        } else {
            (journal.read_to(&keeper), journal.reading())
        };
        let read = self.read_stream(from, reading).await?;
        if self.keeper().as_ref() != Some(&keeper) {
            return Err(StoreError::NotServing);
        }
        journal.has_read(keeper.clone(), read);
        if whole {
            journal.has_listed(keeper);
            journal.entries.send_unlisted(&self.keys.load_full(), reading);
        }
        let deleted = self.delete_again(tasks).await;
        for Task { node, server, connection, tags, .. } in tasks.drain(..) {
            let state = node.reads.state();
            if tags != Tags::NONE && state.connection() == connection && state.server().as_ref() == Some(&server) {
                journal.has_settled(server, tags);
            }
        }
        deleted
    }

    /// Deletes everything that is known to have been revoked of the tags of these tasks, each on its own node. What fails is taken out.
    async fn delete_again(&self, tasks: &mut [Task]) -> Result<(), StoreError> {
        let mut deleted = Ok(());
        let mut after = None;
        while let Some((end, mut places)) = self.options.journal.entries.next_end(after) {
            let tags = tasks.iter().fold(Tags::NONE, |all, task| all.with(task.tags));
            if tags == Tags::NONE {
                break;
            }
            places.retain(|place| tags.contains(Tag::of(place.page)));
            // A page's together, so that they are one command.
            places.sort_unstable();
            for places in places.chunks(FIELDS_MAX) {
                deleted = self.delete_places(tasks, places).await.and(deleted);
            }
            after = Some(end);
        }
        deleted
    }

    async fn delete_places(&self, tasks: &mut [Task], places: &[Place]) -> Result<(), StoreError> {
        let mut deletes = Vec::new();
        let mut tasks_of = Vec::new();
        for places in places.chunk_by(|a, b| a.page == b.page) {
            let tag = Tag::of(places[0].page);
            for (at, task) in tasks.iter().enumerate().filter(|(_, task)| task.tags.contains(tag)) {
                let to = Target { node: Rc::clone(&task.node), asking: task.visited.contains(tag) };
                deletes.push(DeleteAgain { to, places, done: Err(StoreError::Unavailable), moved: false });
                tasks_of.push(at);
            }
        }
        self.perform(Purpose::Settle, &mut deletes, Instant::now() + self.options.operation_timeout).await;
        let mut all = Ok(());
        for (delete, at) in deletes.into_iter().zip(tasks_of) {
            let (task, tag) = (&mut tasks[at], delete.tag());
            match delete.done {
                // Answered by another. Who keeps it now is settled for itself.
                _ if delete.moved => {
                    task.tags = task.tags.without(tag.into());
                    task.node.visited.set(task.node.visited.get().without(tag.into()));
                }
                Ok(()) => {}
                // It may be of this slot alone.
                Err(StoreError::NotServing) => task.tags = task.tags.without(tag.into()),
                Err(_) => task.tags = Tags::NONE,
            }
            all = all.and(delete.done);
        }
        all
    }
}
