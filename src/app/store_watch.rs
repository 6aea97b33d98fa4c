//! What the workers' stores report, told to metrics, health and the log.
//!
//! Invariant: a store that many workers lose at once is one line in the log, one for each other reason that comes after, and one
//! when all of them have it back.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::Health;
use crate::store::observer::{StoreLost, StoreObserver, StoreWarning};
use crate::telemetry::labels::{RecordRefusal, StoreErrorKind, StoreOperation};
use crate::telemetry::metrics::Metrics;

/// Watches one worker's store.
#[derive(Debug)]
pub(super) struct StoreWatch {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    reached: Cell<bool>,
    /// Only one worker speaks of what all of them see.
    speaks: bool,
}

impl StoreWatch {
    /// A watch over a store that has not been reached yet. `speaks`: whether it logs what every worker's watch sees.
    pub(super) fn new(health: Arc<Health>, metrics: Arc<Metrics>, speaks: bool) -> Self {
        Self { health, metrics, reached: Cell::new(false), speaks }
    }

    fn count(&self) {
        self.metrics.store_connections(self.health.workers_with_store(), self.health.workers());
    }
}

impl StoreObserver for StoreWatch {
    fn lost(&self, reason: &StoreLost) {
        let had_it = self.reached.replace(false);
        let first = had_it && self.health.store_lost();
        // Told once more of a store that is away: it is so for another reason now.
        let for_another_reason = !had_it && self.speaks;
        if first || for_another_reason {
            tracing::error!(event = "store_lost", reason = %reason, "the store cannot be used");
        }
        self.count();
    }

    fn back(&self) {
        if self.reached.replace(true) {
            return;
        }
        let first = !self.health.store_seen();
        if self.health.store_found() {
            if first {
                tracing::info!(event = "ready", "ready: every worker has reached the store");
            } else {
                tracing::info!(event = "store_back", "every worker has the store back");
            }
        }
        self.count();
    }

    fn warning(&self, warning: &StoreWarning) {
        if self.speaks && *warning == StoreWarning::PartsBack {
            tracing::info!(event = "store_parts_back", "{warning}");
        } else if self.speaks {
            tracing::warn!(event = "warning", "{warning}");
        }
    }

    fn eviction_policy(&self, safe: bool) {
        self.metrics.store_eviction_policy(safe);
    }

    fn operation(&self, operation: StoreOperation, batch_size: usize, took: Duration) {
        self.metrics.store_batch(operation, batch_size, took);
    }

    fn failed(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64) {
        self.metrics.store_errors(operation, kind, items);
    }

    fn refused(&self, refusal: RecordRefusal) {
        self.metrics.record_refused(refusal);
    }

    fn forgot_uses(&self) {
        self.metrics.store_epoch_changed();
        tracing::warn!(
            event = "store_epoch_changed",
            "the store is new, was emptied, or another took its place: assertions and proofs made before are refused with 503"
        );
    }
}
