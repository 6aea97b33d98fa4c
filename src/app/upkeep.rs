//! What the main thread does by the clock: sweeps the embedded store, keeps gauges true, writes the minute's lines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::stores::Stores;
use super::workers::{Materials, WorkerLoad};
use crate::clock::{Step, StepWatch};
use crate::failpoint::{self, FailPoint};
use crate::http::Shared;
use crate::oauth::keys::{ServiceKey, ServiceKeys};
use crate::oauth::time::Timestamp;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::labels::{ClockStep, KeyState};
use crate::telemetry::log_queue::LogQueue;

/// Seconds between two lines of failed authentications.
const FAILURES_SECONDS: u64 = 60;

/// What the upkeep looks after.
pub(super) struct Upkeep {
    shared: Arc<Shared>,
    exporter: Exporter,
    stores: Stores,
    workers: Vec<Arc<WorkerLoad>>,
    log: LogQueue,
    /// Lines that the log has said it lost.
    lost_lines_told: u64,
    /// Why the journal's file cannot be written, as it was told.
    journal_failing: Option<String>,
    /// Which keys have been told of, so that a removed one's series says 0 and an activated one is logged once.
    keys: BTreeMap<u8, KeyState>,
    steps: StepWatch,
}

impl Upkeep {
    /// Looks after a process whose workers are these.
    pub(super) fn new(materials: &Materials, exporter: Exporter, workers: Vec<Arc<WorkerLoad>>, log: LogQueue) -> Self {
        let (shared, stores) = (materials.shared.clone(), materials.stores.clone());
        let (keys, steps) = (BTreeMap::new(), StepWatch::default());
        Self { shared, exporter, stores, workers, log, lost_lines_told: 0, journal_failing: None, keys, steps }
    }

    /// Ticks each second, for ever.
    pub(super) async fn run(&mut self) {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for tick in 0_u64.. {
            second.tick().await;
            if let Some(step) = self.shared.clock.follow(&mut self.steps) {
                self.tell_of_step(step);
            }
            let now = Timestamp::from_unix_millis(self.shared.clock.unix_millis());
            self.count(now);
            // Until then each sample is kept: at 100,000 requests a second megabytes.
            self.exporter.upkeep();
            if tick % FAILURES_SECONDS == FAILURES_SECONDS - 1 {
                self.shared.failures.log();
                self.tell_of_lost_lines();
            }
        }
    }

    fn count(&mut self, now: Timestamp) {
        failpoint::reach(FailPoint::Upkeep);
        if let Some(memory) = self.stores.memory() {
            memory.sweep(now);
            self.shared.metrics.store_tokens(memory.len(), memory.tokens_max());
        }
        self.look_after_journal();
        for (index, load) in self.workers.iter().enumerate() {
            self.shared.metrics.worker(index, load.connections(), load.busy());
        }
        self.shared.metrics.log_lines_dropped(self.log.dropped());
        self.tell_of_keys(now);
    }

    /// So that whoever reads the log again knows that it has a hole.
    fn tell_of_lost_lines(&mut self) {
        let dropped = self.log.dropped();
        if dropped > self.lost_lines_told {
            let count = dropped - self.lost_lines_told;
            tracing::warn!(event = "warning", count, "log lines were dropped: standard error took none");
            self.lost_lines_told = dropped;
        }
    }

    fn tell_of_step(&self, step: Step) {
        let seconds = step.millis / 1000;
        if step.believed {
            tracing::warn!(
                event = "warning",
                seconds,
                "the machine's clock has shown another time for a minute: followed"
            );
        } else {
            let direction = if step.millis > 0 { ClockStep::Forward } else { ClockStep::Backward };
            self.shared.metrics.clock_stepped(direction);
            tracing::warn!(
                event = "warning",
                seconds,
                "the machine's clock stepped: followed only if that stands for a minute"
            );
        }
    }

    fn look_after_journal(&mut self) {
        let Some(journal) = self.stores.journal() else { return };
        journal.sweep();
        let (figures, failing) = (journal.figures(), journal.file_failing());
        self.shared.metrics.journal(&figures);
        let was = std::mem::replace(&mut self.journal_failing, failing);
        match (&was, &self.journal_failing) {
            (None, Some(why)) => {
                tracing::error!(event = "warning", why, "the journal of revocations cannot be written")
            }
            (Some(_), None) => tracing::info!(event = "warning", "the journal of revocations is written again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    fn tell_of_keys(&mut self, now: Timestamp) {
        let states = states(&self.shared.keys.load(), now);
        let gone: Vec<u8> = self.keys.keys().filter(|id| !states.contains_key(id)).copied().collect();
        self.exporter.keys_gone(gone);
        for (&key_id, &state) in &states {
            let before = self.keys.get(&key_id);
            if state == KeyState::Active && before.is_some_and(|before| *before != state) {
                tracing::info!(event = "key_activated", key_id, "a service key makes tokens from now on");
            }
        }
        if states != self.keys {
            self.exporter.keys(states.clone());
        }
        self.keys = states;
    }
}

/// What each key does at `now`.
pub(super) fn states(keys: &ServiceKeys, now: Timestamp) -> BTreeMap<u8, KeyState> {
    let maker = keys.maker(now).id();
    let state = |active_from: Timestamp| if active_from > now { KeyState::Waiting } else { KeyState::Verifying };
    let of =
        |key: &ServiceKey| (key.id().0, if key.id() == maker { KeyState::Active } else { state(key.active_from()) });
    keys.iter().map(of).collect()
}
