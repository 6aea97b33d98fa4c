//! What the connections to the nodes of a cluster report, told as of one store.
//!
//! Invariants: the store is up while any primary can be used, and lost when none can; a primary that is lost while others are not is
//! told once, and once that all are back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::store::StoreError;
use crate::store::observer::{StoreLost, StoreObserver, StoreWarning};
use crate::store::redis::endpoint::Address;
use crate::telemetry::labels::{RecordRefusal, StoreErrorKind, StoreOperation};

/// The health of a cluster, as one worker sees it.
pub(super) struct Health {
    observer: Rc<dyn StoreObserver>,
    nodes: Cell<usize>,
    up: Cell<usize>,
    /// Whether somebody was told that a primary is lost, and nobody yet that all are back.
    part_lost: Cell<bool>,
    lost: Cell<Option<StoreError>>,
    /// Those that may evict.
    evicting: Cell<usize>,
    /// Counts what makes other primaries usable.
    changes: Cell<u64>,
}

/// Watches the connection to one node.
pub(super) struct NodeObserver {
    health: Rc<Health>,
    address: Address,
    up: Cell<bool>,
    told: Cell<bool>,
    evicts: Cell<bool>,
}

impl Health {
    pub(super) fn new(observer: Rc<dyn StoreObserver>) -> Rc<Self> {
        Rc::new(Self {
            observer,
            nodes: Cell::new(0),
            up: Cell::new(0),
            part_lost: Cell::new(false),
            lost: Cell::new(None),
            evicting: Cell::new(0),
            changes: Cell::new(0),
        })
    }

    /// An observer for the connection to a node.
    pub(super) fn of_node(self: &Rc<Self>, address: &Address) -> Rc<dyn StoreObserver> {
        self.nodes.set(self.nodes.get() + 1);
        Rc::new(NodeObserver {
            health: Rc::clone(self),
            address: address.clone(),
            up: Cell::new(false),
            told: Cell::new(false),
            evicts: Cell::new(false),
        })
    }

    /// Rises when a primary came to be usable, or no longer is.
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// No node can be asked which others there are.
    pub(super) fn unknown(&self, detail: String) {
        if self.nodes.get() == 0 {
            self.tell_lost(&StoreLost { error: StoreError::Unavailable, detail });
        }
    }

    fn tell_lost(&self, reason: &StoreLost) {
        if self.lost.replace(Some(reason.error)) != Some(reason.error) {
            self.observer.lost(reason);
        }
    }

    fn changed(&self) {
        self.changes.set(self.changes.get() + 1);
        if self.up.get() == self.nodes.get() && self.up.get() > 0 && self.part_lost.replace(false) {
            self.observer.warning(&StoreWarning::PartsBack);
        }
    }
}

impl StoreObserver for NodeObserver {
    fn lost(&self, reason: &StoreLost) {
        let health = &self.health;
        if self.up.replace(false) {
            health.up.set(health.up.get() - 1);
        }
        if health.up.get() == 0 {
            health.tell_lost(reason);
        } else if !self.told.replace(true) {
            health.part_lost.set(true);
            health.observer.warning(&StoreWarning::PartLost(format!("{}: {reason}", self.address)));
        }
        health.changed();
    }

    fn back(&self) {
        let health = &self.health;
        self.told.set(false);
        if !self.up.replace(true) {
            health.up.set(health.up.get() + 1);
            if health.up.get() == 1 {
                health.lost.set(None);
                health.observer.back();
            }
            health.changed();
        }
    }

    fn warning(&self, warning: &StoreWarning) {
        self.health.observer.warning(warning);
    }

    fn eviction_policy(&self, safe: bool) {
        let evicting = &self.health.evicting;
        match (self.evicts.replace(!safe), safe) {
            (false, false) => evicting.set(evicting.get() + 1),
            (true, true) => evicting.set(evicting.get() - 1),
            _ => {}
        }
        // One that may evict is enough to lose tokens by.
        self.health.observer.eviction_policy(evicting.get() == 0);
    }

    fn operation(&self, operation: StoreOperation, batch_size: usize, took: Duration) {
        self.health.observer.operation(operation, batch_size, took);
    }

    fn failed(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64) {
        self.health.observer.failed(operation, kind, items);
    }

    fn refused(&self, refusal: RecordRefusal) {
        self.health.observer.refused(refusal);
    }

    fn forgot_uses(&self) {
        self.health.observer.forgot_uses();
    }
}

/// The node is no primary of the cluster any more.
impl Drop for NodeObserver {
    fn drop(&mut self) {
        let health = &self.health;
        health.nodes.set(health.nodes.get() - 1);
        health.evicting.set(health.evicting.get() - usize::from(self.evicts.get()));
        if self.up.get() {
            health.up.set(health.up.get() - 1);
            if health.up.get() == 0 {
                let detail = "the primaries of the cluster are others now".into();
                health.tell_lost(&StoreLost { error: StoreError::Unavailable, detail });
            }
        }
        health.changed();
    }
}
