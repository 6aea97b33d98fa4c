//! Writes that replicas must have too: `WAIT` behind each batch, on a connection that only writes.
//!
//! `WAIT` speaks of everything that was written up to the command before it, by whomever, and holds up its connection until as many
//! replicas have that or its time is over. So it stands behind the `EXEC`, reads have another connection, and one trip is under way.
//!
//! Invariant: too few replicas are no success. What was written stays written on the primary, and may not last.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::commands::Commands;
use super::trip::Trip;
use super::{Inner, errors};
use crate::store::StoreError;
use crate::store::observer::{StoreLost, StoreObserver, StoreWarning};
use crate::telemetry::labels::{RecordRefusal, StoreErrorKind, StoreOperation};

impl<W> Inner<W> {
    /// Ends a trip of writes: replicas are waited for, where any are asked for, for four fifths of what the trip may take.
    pub(super) fn write_wait(&self, commands: &mut Commands, trip: &mut Trip) {
        if self.options.replicas > 0 {
            let millis = (self.options.operation_timeout * 4 / 5).as_millis();
            // 0 would be for ever.
            commands.wait(trip, self.options.replicas, u64::try_from(millis).unwrap_or(u64::MAX).max(1));
        }
    }

    /// Takes the reply to [`Inner::write_wait`] off: whether enough replicas have what the trip wrote.
    pub(super) fn take_replicated(&self, trip: &mut Trip) -> Result<(), StoreError> {
        if self.options.replicas == 0 {
            return Ok(());
        }
        match trip.replies.pop() {
            Some(Value::Int(replicas)) if replicas >= i64::from(self.options.replicas) => Ok(()),
            Some(Value::Int(_)) => Err(StoreError::NotReplicated),
            Some(Value::ServerError(error)) => Err(errors::meaning(&error)),
            _ => Err(StoreError::Broken),
        }
    }

    /// By when a trip of writes must be answered. Where replicas are waited for, another's wait may come first.
    pub(super) fn write_deadline(&self, asked_at: Instant) -> Instant {
        let turns = if self.options.replicas > 0 { 2 } else { 1 };
        asked_at + turns * self.options.operation_timeout
    }
}

/// One observer of two connections, which are one store: up when both are, lost with the first.
pub(super) struct Pair {
    observer: Rc<dyn StoreObserver>,
    up: Cell<u8>,
    told: RefCell<Option<StoreError>>,
}

/// The observer of one of the two.
pub(super) struct HalfOfPair {
    pair: Rc<Pair>,
    up: Cell<bool>,
    /// One speaks of what both find.
    speaks: bool,
}

impl Pair {
    /// Observers for two connections, of which `observer` hears as one.
    pub(super) fn of(observer: Rc<dyn StoreObserver>) -> (Rc<dyn StoreObserver>, Rc<dyn StoreObserver>) {
        let pair = Rc::new(Self { observer, up: Cell::new(0), told: RefCell::new(None) });
        let half = |speaks| HalfOfPair { pair: Rc::clone(&pair), up: Cell::new(false), speaks };
        (Rc::new(half(true)), Rc::new(half(false)))
    }
}

impl StoreObserver for HalfOfPair {
    fn lost(&self, reason: &StoreLost) {
        let pair = &self.pair;
        if self.up.replace(false) {
            pair.up.set(pair.up.get() - 1);
        }
        // The second of two that are lost for one reason is no news.
        if pair.told.replace(Some(reason.error)) != Some(reason.error) {
            pair.observer.lost(reason);
        }
    }

    fn back(&self) {
        let pair = &self.pair;
        if !self.up.replace(true) {
            pair.up.set(pair.up.get() + 1);
        }
        if pair.up.get() == 2 {
            pair.told.replace(None);
            pair.observer.back();
        }
    }

    fn warning(&self, warning: &StoreWarning) {
        if self.speaks {
            self.pair.observer.warning(warning);
        }
    }

    fn eviction_policy(&self, safe: bool) {
        self.pair.observer.eviction_policy(safe);
    }

    fn operation(&self, operation: StoreOperation, batch_size: usize, took: Duration) {
        self.pair.observer.operation(operation, batch_size, took);
    }

    fn failed(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64) {
        self.pair.observer.failed(operation, kind, items);
    }

    fn refused(&self, refusal: RecordRefusal) {
        self.pair.observer.refused(refusal);
    }

    fn forgot_uses(&self) {
        self.pair.observer.forgot_uses();
    }
}
