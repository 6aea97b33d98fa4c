//! The primaries of a cluster, as one worker knows them: a connection to each, and which tags lie where.
//!
//! Invariants: a connection to what is no primary any more ends once nobody waits on it; what a node says of a slot is believed at once
//! and asked after with the others ([`Lookout::miss`]); where these do not come to say the same, it goes again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::choice::choose;
use super::health::Health;
use super::redirect::Redirect;
use crate::random::Random;
use crate::store::StoreError;
use crate::store::observer::StoreObserver;
use crate::store::open_pages::OpenPages;
use crate::store::redis::Opening;
use crate::store::redis::connector::{Connector, NetConnector, NetStream};
use crate::store::redis::endpoint::{Address, Endpoint};
use crate::store::redis::link::{Link, Status};
use crate::store::redis::lookout::Lookout;
use crate::store::redis::options::RedisOptions;
use crate::store::redis::slot_map::{SlotMap, Tag};
use crate::store::redis::tags::Tags;

/// With no primary that can be used for so long, all connections are made anew.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3);
/// For so long after a node has sent us elsewhere, that stands against what the others say: they hear of a move later.
const STRAY_MAX: Duration = Duration::from_secs(3);

/// The ways to the primaries of a cluster.
pub(super) struct Nodes {
    options: Rc<RedisOptions>,
    lookout: Arc<Lookout<SlotMap>>,
    numbers: Rc<Cell<u64>>,
    random: Random,
    health: Rc<Health>,
    table: RefCell<Table>,
    choice: RefCell<Choice>,
    /// Counts the pages that were opened. Workers begin at different ones.
    pages: Cell<u8>,
    /// The connections of all nodes.
    connections: RefCell<JoinSet<()>>,
    opened: Cell<u64>,
    last_up: Cell<Instant>,
    /// When a node last sent us elsewhere since the map was taken up, and how often that had been confirmed by then.
    strayed: Cell<Option<(Instant, u64)>>,
    /// Somebody waits for a node to be settled.
    pub(super) unsettled: Rc<Notify>,
}

/// A primary.
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) reads: Link,
    pub(super) writes: Link,
    /// Tags of slots on their way there, for which others sent us.
    pub(super) visited: Cell<Tags>,
    /// Those for which somebody waited in vain for it to be settled: nobody else does, since the answers of others wait with them.
    pub(super) in_vain: Cell<Tags>,
    /// Tells it from others that were opened before or will be later.
    number: u64,
}

#[derive(Default)]
struct Table {
    nodes: Vec<Rc<Node>>,
    /// By tag. Empty while nothing is known.
    owners: Vec<Option<Rc<Node>>>,
    changes: u64,
}

/// The tags in use, and what they were chosen by.
#[derive(Default)]
struct Choice {
    tags: Vec<Tag>,
    seen: (u64, u64),
}

impl Nodes {
    pub(super) fn new(
        options: &Rc<RedisOptions>,
        lookout: Arc<Lookout<SlotMap>>,
        numbers: Rc<Cell<u64>>,
        random: Random,
        observer: Rc<dyn StoreObserver>,
    ) -> Self {
        Self {
            pages: Cell::new(random.bytes().map_or(0, |[first]| first)),
            options: Rc::clone(options),
            lookout,
            numbers,
            random,
            health: Health::new(observer),
            table: RefCell::default(),
            choice: RefCell::default(),
            connections: RefCell::default(),
            opened: Cell::new(0),
            last_up: Cell::new(Instant::now()),
            strayed: Cell::new(None),
            unsettled: Rc::default(),
        }
    }

    /// The node that keeps a tag, as far as is known.
    pub(super) fn owner(&self, tag: Tag) -> Option<Rc<Node>> {
        self.table.borrow().owners.get(usize::from(tag.0))?.clone()
    }

    /// The nodes there are.
    pub(super) fn all(&self) -> Vec<Rc<Node>> {
        self.table.borrow().nodes.clone()
    }

    /// Why nobody can be asked about a tag that nobody keeps.
    pub(super) fn nobody(&self) -> StoreError {
        if self.table.borrow().owners.is_empty() { StoreError::Unavailable } else { StoreError::NotServing }
    }

    /// Takes up what the cluster says of itself.
    pub(super) fn adopt(&self, map: &SlotMap) {
        let nodes: Vec<Rc<Node>> = map.primaries.iter().map(|address| self.node(address)).collect();
        let owner = |tag: Tag| map.owner(tag.slot()).map(|at| Rc::clone(&nodes[at]));
        let owners: Vec<Option<Rc<Node>>> = Tag::all().map(owner).collect();
        for (tag, owner) in Tag::all().zip(&owners) {
            self.leave(tag, owner.as_ref());
        }
        let mut table = self.table.borrow_mut();
        let changes = table.changes + 1;
        // Those that are primaries no more go when this is dropped, and not while the table is held.
        let former = std::mem::replace(&mut *table, Table { nodes, owners, changes });
        drop(table);
        drop(former);
        self.strayed.set(None);
        self.unsettled.notify_one();
    }

    fn adopt_known(&self) {
        let known = self.lookout.known().borrow().clone();
        known.into_iter().for_each(|map| self.adopt(&map));
    }

    /// A tag has another owner from now on. What was settled for it anywhere else is so no more: should it come back, it may have lost
    /// deletes on its way.
    fn leave(&self, tag: Tag, owner: Option<&Rc<Node>>) {
        let before = self.owner(tag);
        if before.as_ref().map(|node| &node.address) == owner.map(|node| &node.address) {
            return;
        }
        let table = self.table.borrow();
        let visited = table.nodes.iter().filter(|node| node.visited.get().contains(tag));
        for node in visited.chain(&before).filter(|node| owner.is_none_or(|owner| owner.address != node.address)) {
            node.visited.set(node.visited.get().without(tag.into()));
            if let Some(server) = node.reads.state().server() {
                self.options.journal.has_left(&server, tag.into());
            }
        }
    }

    /// The tags of a node's slots, and of those on their way there.
    pub(super) fn tags_of(&self, node: &Rc<Node>) -> (Tags, Tags) {
        let table = self.table.borrow();
        let owns = |tag: &Tag| {
            let owner = table.owners.get(usize::from(tag.0)).and_then(Option::as_ref);
            owner.is_some_and(|owner| Rc::ptr_eq(owner, node))
        };
        let owned: Tags = Tag::all().filter(owns).collect();
        (owned, node.visited.get().without(owned))
    }

    /// Takes up what a node says of a slot, and returns who keeps it.
    pub(super) fn redirected(&self, redirect: &Redirect) -> Rc<Node> {
        self.strayed.set(Some((Instant::now(), self.lookout.confirmed())));
        let node = self.node(&redirect.to);
        let mut table = self.table.borrow_mut();
        if !table.nodes.iter().any(|known| Rc::ptr_eq(known, &node)) {
            table.nodes.push(Rc::clone(&node));
        }
        drop(table);
        for tag in Tag::all().filter(|tag| tag.slot() == redirect.slot) {
            if redirect.once {
                node.visited.set(node.visited.get().with(tag.into()));
                continue;
            }
            self.leave(tag, Some(&node));
            if let Some(owner) = self.table.borrow_mut().owners.get_mut(usize::from(tag.0)) {
                *owner = Some(Rc::clone(&node));
            }
        }
        if !redirect.once {
            self.table.borrow_mut().changes += 1;
            self.lookout.miss();
        }
        node
    }

    /// A place in an open page on a primary that can be used, if any can.
    pub(super) fn place<T>(
        &self,
        pages: &OpenPages,
        mut place: impl FnMut(&dyn Fn(u32) -> u32) -> T,
        tag_of: impl Fn(&T) -> Option<Tag>,
    ) -> T {
        if self.choice.borrow().seen != self.seen() {
            self.choose(pages);
        }
        let placed = place(&|number| self.number(number));
        let is_down = tag_of(&placed).and_then(|tag| self.owner(tag)).is_some_and(|node| node.is_down());
        if !is_down {
            return placed;
        }
        self.choose(pages);
        place(&|number| self.number(number))
    }

    /// What is done from time to time: all connections are made anew where none could be used for long, and those to where a node sent
    /// us end where the cluster does not come to name it.
    pub(super) fn tend(&self) {
        while self.connections.borrow_mut().try_join_next().is_some() {}
        let now = Instant::now();
        // Twice: the first answer may have been on its way by then.
        let has_strayed =
            |(at, confirmed): (Instant, u64)| now > at + STRAY_MAX && self.lookout.confirmed() > confirmed + 1;
        if self.strayed.get().is_some_and(has_strayed) {
            self.adopt_known();
        }
        if self.table.borrow().nodes.iter().any(|node| !node.is_down()) {
            self.last_up.set(now);
        } else if now > self.last_up.get() + GIVEN_UP_AFTER {
            let former = std::mem::take(&mut self.table.borrow_mut().nodes);
            drop(former);
            self.adopt_known();
            // Nothing is promising about these either: nobody waits for their first attempts.
            for node in &self.table.borrow().nodes {
                [&node.reads, &node.writes].into_iter().for_each(|link| link.state().down(StoreError::Unavailable));
            }
            self.lookout.miss();
            self.last_up.set(now);
        }
    }

    /// Nothing is known of the cluster yet: whoever was asked did not say.
    pub(super) fn unknown(&self) {
        let trouble = self.lookout.trouble();
        if !trouble.is_empty() {
            self.health.unknown(trouble.to_string());
        }
    }

    /// How many nodes have been opened so far.
    #[cfg(test)]
    pub(super) fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Whether all primaries are known, and can be used.
    pub(super) fn all_up(&self) -> bool {
        let table = self.table.borrow();
        !table.owners.is_empty() && table.nodes.iter().all(|node| node.is_up())
    }

    fn node(&self, address: &Address) -> Rc<Node> {
        let known = self.table.borrow().nodes.iter().find(|node| node.address == *address).cloned();
        known.unwrap_or_else(|| self.open(address))
    }

    fn open(&self, address: &Address) -> Rc<Node> {
        let mut options = RedisOptions::clone(&self.options);
        options.endpoint = Endpoint::one(address, self.options.endpoint.speaks_tls());
        let connector = NodeConnector { connector: NetConnector::new(&options), lookout: Arc::clone(&self.lookout) };
        let opening = Opening {
            connector: Rc::new(connector),
            options: Rc::new(options),
            numbers: Rc::clone(&self.numbers),
            random: self.random.clone(),
        };
        let (reads, writes, connections) = opening.links(&self.health.of_node(address));
        self.connections.borrow_mut().spawn_local(connections);
        self.opened.set(self.opened.get() + 1);
        Rc::new(Node {
            address: address.clone(),
            reads,
            writes,
            visited: Cell::default(),
            in_vain: Cell::default(),
            number: self.opened.get(),
        })
    }

    fn seen(&self) -> (u64, u64) {
        (self.table.borrow().changes, self.health.changes())
    }

    /// Chooses the tags to write anew, among those of primaries that can be used.
    fn choose(&self, pages: &OpenPages) {
        let table = self.table.borrow();
        let mut nodes: Vec<&Rc<Node>> = table.nodes.iter().filter(|node| !node.is_down()).collect();
        if nodes.is_empty() {
            nodes = table.nodes.iter().collect();
        }
        nodes.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        let keeps = |node: &Node, tag: &Tag| {
            let owner = table.owners.get(usize::from(tag.0)).and_then(Option::as_ref);
            owner.is_some_and(|owner| owner.number == node.number)
        };
        let tags_of: Vec<Vec<Tag>> =
            nodes.iter().map(|node| Tag::all().filter(|tag| keeps(node, tag)).collect()).collect();
        drop(table);
        let tags = choose(&tags_of);
        pages.keep_only(|number| tags.contains(&Tag(number.to_be_bytes()[3])));
        *self.choice.borrow_mut() = Choice { tags, seen: self.seen() };
    }

    /// The number of a new page: its low byte is one of the tags in use, each in its turn, so that even few pages lie evenly.
    fn number(&self, random: u32) -> u32 {
        let choice = self.choice.borrow();
        let [a, b, c, low] = random.to_be_bytes();
        let turn = self.pages.replace(self.pages.get().wrapping_add(1));
        let tag = choice.tags.get(usize::from(turn) % choice.tags.len().max(1)).map_or(low, |tag| tag.0);
        u32::from_be_bytes([a, b, c, tag])
    }
}

impl Node {
    /// Which connection of the worker's this is, over all nodes.
    pub(super) fn connection(&self) -> u64 {
        self.number << 32 | self.writes.state().connection()
    }

    /// Whether both of its connections serve.
    pub(super) fn is_up(&self) -> bool {
        self.reads.state().is_up() && self.writes.state().is_up()
    }

    fn is_down(&self) -> bool {
        [&self.reads, &self.writes].iter().any(|link| matches!(link.state().status(), Status::Down(_)))
    }
}

/// Opens streams to a node; each time it must, the cluster may have changed.
struct NodeConnector {
    connector: NetConnector,
    lookout: Arc<Lookout<SlotMap>>,
}

impl Connector for NodeConnector {
    type Stream = NetStream;

    async fn connect(&self) -> io::Result<NetStream> {
        self.lookout.miss();
        self.connector.connect().await
    }

    fn served(&self) {
        self.connector.served();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for NodeConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeConnector").field("connector", &self.connector).finish_non_exhaustive()
    }
}
