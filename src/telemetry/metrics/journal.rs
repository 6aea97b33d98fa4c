//! The metrics of the journal of revocations, which counts itself and is asked once a second.

use metrics::{Counter, Gauge};

use super::super::labels::{JournalDrop, NotJournaled};
use super::registry::{Family, Names};

/// What a journal has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFigures {
    /// Addresses known.
    pub entries: usize,
    /// Entries that other nodes cannot read yet.
    pub pending: usize,
    /// Entries read and not believed, by reason.
    pub dropped: Vec<(JournalDrop, u64)>,
    /// Revocations that found no room, by reason.
    pub omitted: Vec<(NotJournaled, u64)>,
    /// Running numbers of other nodes that never came.
    pub missing: u64,
    /// Records that the store showed although they were revoked.
    pub overruled: u64,
    /// Writes of the file that failed.
    pub file_failures: u64,
}

/// Names and help texts.
pub(super) const DESCRIPTIONS: [(&str, &str); 7] = [
    ("jeton_journal_entries", "Revoked tokens that the journal knows, until they would have expired."),
    ("jeton_journal_pending", "Entries of the journal that other nodes cannot read from the store yet."),
    ("jeton_journal_dropped_total", "Entries of the journal that were read and not believed, by reason."),
    (
        "jeton_journal_omitted_total",
        "Revocations that deleted their record and found no room in the journal, by reason.",
    ),
    ("jeton_journal_missing_total", "Entries that other nodes sent and that never came, by their running numbers."),
    ("jeton_journal_overruled_total", "Records found in the store although their tokens were revoked."),
    ("jeton_journal_file_failures_total", "Writes of the journal's file that failed."),
];

/// Its handles.
#[derive(Debug)]
pub(super) struct JournalMetrics {
    entries: Gauge,
    pending: Gauge,
    dropped: Family<Counter>,
    omitted: Family<Counter>,
    missing: Counter,
    overruled: Counter,
    file_failures: Counter,
}

impl JournalMetrics {
    pub(super) fn register(names: &Names<'_>) -> Self {
        let [entries, pending, dropped, omitted, missing, overruled, file_failures] =
            DESCRIPTIONS.map(|(name, _)| name);
        Self {
            entries: names.gauge(entries)(vec![]),
            pending: names.gauge(pending)(vec![]),
            dropped: Family::new::<JournalDrop>(names.counter(dropped)),
            omitted: Family::new::<NotJournaled>(names.counter(omitted)),
            missing: names.counter(missing)(vec![]),
            overruled: names.counter(overruled)(vec![]),
            file_failures: names.counter(file_failures)(vec![]),
        }
    }

    pub(super) fn tell(&self, figures: &JournalFigures) {
        self.entries.set(figures.entries as f64);
        self.pending.set(figures.pending as f64);
        figures.dropped.iter().for_each(|(why, count)| self.dropped.get(*why).absolute(*count));
        figures.omitted.iter().for_each(|(why, count)| self.omitted.get(*why).absolute(*count));
        self.missing.absolute(figures.missing);
        self.overruled.absolute(figures.overruled);
        self.file_failures.absolute(figures.file_failures);
    }
}
