//! A batch over many nodes: its operations go to the primaries of their slots, one trip to each node at once, and those that a node sends
//! elsewhere go there in the next round.
//!
//! # Invariants
//! - **An operation names one key.** So it is executed or redirected whole, and never finds half of its keys on either side of a move. One
//!   that notes uses names several of one slot, and may be refused during a move.
//! - **A record is believed only where its tag is settled**, on the node that showed it, and on the owner too where that sent us elsewhere.
//! - **What is sent again was not executed**: a redirect says so, and so a mint may follow one. What nobody answered is sent again only
//!   where that is harmless.
//! - **A node that is lost costs its own share**: the others' answers do not wait for it longer than for themselves, which is the
//!   deadline, and fail for nothing of it.

use std::ops::Range;
use std::rc::Rc;

use futures_util::future::join_all;
use redis::Value;
use tokio::time::{Instant, timeout_at};

use super::nodes::{Node, Nodes};
use super::redirect::Redirect;
use crate::store::StoreError;
use crate::store::redis::Inner;
use crate::store::redis::commands::Commands;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::tags::Tags;
use crate::store::redis::trip::Trip;

/// Redirects in a row that one operation follows: a slot that moves takes two.
const ROUNDS_MAX: usize = 6;

/// What a batch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know: of a node that is settled, and again where a connection broke.
    Find,
    /// To write what was never written: sent again only where it was not executed.
    Mint,
    /// To delete: again where a connection broke.
    Delete,
    /// To note uses: again where a connection broke, since a try has a name of its own.
    Claim,
    /// To settle a node: replicas are not waited for.
    Settle,
}

/// One command, or one transaction, on one key.
pub(super) trait Operation {
    /// What its key has in its braces.
    fn tag(&self) -> Tag;
    /// Writes its commands, of which the first may stand behind an `ASKING`.
    fn write(&self, commands: &mut Commands, trip: &mut Trip);
    /// Takes the replies to them, and whether enough replicas have what they wrote.
    fn answer(&mut self, replies: &mut [Value], replicated: Result<(), StoreError>);
    /// Takes why there are none.
    fn fail(&mut self, error: StoreError);
    /// Where it is to go, whoever keeps its slot.
    fn target(&self) -> Option<Target> {
        None
    }
    /// Another node keeps its slot, for good, than the one that was asked.
    fn moved(&mut self) {}
}

/// A node that is asked although it may not be the one that keeps the slot.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) node: Rc<Node>,
    /// The slot is on its way there: an `ASKING` goes before each command.
    pub(super) asking: bool,
}

/// An operation that is to be sent.
struct Pending {
    /// Its place.
    at: usize,
    tag: Tag,
    /// Where to, if not to who keeps its slot.
    to: Option<Target>,
}

/// What goes to one node.
struct Share {
    node: Rc<Node>,
    pending: Vec<Pending>,
    /// The replies to each.
    replies: Vec<Range<usize>>,
}

impl Inner<Nodes> {
    /// Performs operations, in their order on each node.
    pub(super) async fn perform<O: Operation>(&self, purpose: Purpose, operations: &mut [O], deadline: Instant) {
        self.retries.earn();
        let mut may_retry = purpose != Purpose::Mint;
        let first = |(at, operation): (usize, &O)| Pending { at, tag: operation.tag(), to: operation.target() };
        let mut pending: Vec<Pending> = operations.iter().enumerate().map(first).collect();
        for _ in 0..ROUNDS_MAX {
            if pending.is_empty() {
                return;
            }
            let mut shares = self.share(operations, std::mem::take(&mut pending));
            let trips: Vec<Trip> = shares.iter_mut().map(|share| self.encode(purpose, operations, share)).collect();
            let sent = shares.iter().zip(trips).map(|(share, trip)| self.send(purpose, share, trip, deadline));
            let answers = join_all(sent).await;
            let mut broken = false;
            for (share, answer) in shares.into_iter().zip(answers) {
                match answer {
                    Ok(trip) => self.judge(purpose, operations, share, trip, &mut pending),
                    Err(StoreError::Broken) if may_retry && (broken || self.retries.spend()) => {
                        broken = true;
                        pending.extend(share.pending);
                    }
                    Err(error) => share.pending.iter().for_each(|one| operations[one.at].fail(error)),
                }
            }
            may_retry &= !broken;
            pending.sort_unstable_by_key(|one| one.at);
        }
        pending.iter().for_each(|one| operations[one.at].fail(StoreError::NotServing));
    }

    /// Who gets what. What nobody keeps is answered.
    fn share<O: Operation>(&self, operations: &mut [O], pending: Vec<Pending>) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        for one in pending {
            let asked = one.to.as_ref().map(|to| Rc::clone(&to.node));
            let Some(node) = asked.or_else(|| self.ways.owner(one.tag)) else {
                operations[one.at].fail(self.ways.nobody());
                continue;
            };
            match shares.iter_mut().find(|share| Rc::ptr_eq(&share.node, &node)) {
                Some(share) => share.pending.push(one),
                None => shares.push(Share { node, pending: vec![one], replies: Vec::new() }),
            }
        }
        shares
    }

    async fn send(&self, purpose: Purpose, share: &Share, trip: Trip, deadline: Instant) -> Result<Trip, StoreError> {
        let to = &share.node;
        let link = if purpose.writes() { &to.writes } else { &to.reads };
        let trip = link.exchange(trip, deadline).await?;
        if purpose == Purpose::Find {
            // Asked only then, since the server may have changed on the way.
            self.until_believed(share, deadline).await;
        }
        Ok(trip)
    }

    /// Waits until all that a share asks about is settled, or is asked elsewhere. In vain where nobody waits any more.
    async fn until_believed(&self, share: &Share, deadline: Instant) {
        let doubted = || -> Tags {
            let doubted =
                share.pending.iter().filter(|one| !self.believes(share, one) && !self.went_elsewhere(share, one));
            doubted.map(|one| one.tag).collect()
        };
        let in_vain = &share.node.in_vain;
        let mut changes = None;
        loop {
            let doubted = doubted();
            if in_vain.get() != Tags::NONE || doubted != Tags::NONE {
                in_vain.set(in_vain.get().without(share.tags().without(doubted)));
            }
            if doubted == Tags::NONE || in_vain.get().contains_all(doubted) {
                return;
            }
            let Some(changes) = &mut changes else {
                changes = Some(self.options.journal.changes());
                self.ways.unsettled.notify_one();
                continue;
            };
            if !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                in_vain.set(in_vain.get().with(doubted));
                return;
            }
        }
    }

    fn believes(&self, share: &Share, one: &Pending) -> bool {
        let settled = |node: &Node| self.is_settled(node.reads.state(), one.tag.into());
        let sent_on = one.to.as_ref().is_some_and(|to| to.asking);
        settled(&share.node) && (!sent_on || self.ways.owner(one.tag).is_none_or(|owner| settled(&owner)))
    }

    /// Whether its slot has come to be kept by another node than the one that was asked as its keeper.
    fn went_elsewhere(&self, share: &Share, one: &Pending) -> bool {
        one.to.is_none() && self.ways.owner(one.tag).is_some_and(|owner| !Rc::ptr_eq(&owner, &share.node))
    }

    fn encode<O: Operation>(&self, purpose: Purpose, operations: &[O], share: &mut Share) -> Trip {
        let mut commands = self.commands.borrow_mut();
        let mut trip = commands.begin();
        for one in &share.pending {
            if one.to.as_ref().is_some_and(|to| to.asking) {
                commands.asking(&mut trip);
            }
            let first = trip.expected.len();
            operations[one.at].write(&mut commands, &mut trip);
            share.replies.push(first..trip.expected.len());
        }
        if purpose.writes() {
            self.write_wait(&mut commands, &mut trip);
        }
        commands.finish(&mut trip);
        trip
    }

    fn judge<O: Operation>(
        &self,
        purpose: Purpose,
        operations: &mut [O],
        mut share: Share,
        mut trip: Trip,
        pending: &mut Vec<Pending>,
    ) {
        let replicated = if purpose.writes() { self.take_replicated(&mut trip) } else { Ok(()) };
        for (one, replies) in std::mem::take(&mut share.pending).into_iter().zip(std::mem::take(&mut share.replies)) {
            let replies = &mut trip.replies[replies];
            if let Some(redirect) = replies.iter().find_map(|reply| redirect(reply, &share.node)) {
                let node = self.ways.redirected(&redirect);
                if !redirect.once {
                    operations[one.at].moved();
                }
                pending.push(Pending { to: redirect.once.then_some(Target { node, asking: true }), ..one });
            } else if purpose != Purpose::Find || self.believes(&share, &one) {
                operations[one.at].answer(replies, replicated);
            } else if self.went_elsewhere(&share, &one) {
                pending.push(one);
            } else {
                operations[one.at].fail(StoreError::NotServing);
            }
        }
        self.commands.borrow_mut().recycle(trip);
    }
}

impl Share {
    fn tags(&self) -> Tags {
        self.pending.iter().map(|one| one.tag).collect()
    }
}

impl Purpose {
    /// Whether it writes what must last.
    fn writes(self) -> bool {
        matches!(self, Self::Mint | Self::Delete | Self::Claim)
    }
}

fn redirect(reply: &Value, of: &Node) -> Option<Redirect> {
    match reply {
        Value::ServerError(error) => Redirect::read(error, &of.address),
        _ => None,
    }
}
