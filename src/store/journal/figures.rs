//! What a journal counts, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::Unreadable;
use super::writer::FileState;
use crate::telemetry::labels::{JournalDrop, Label, NotJournaled};
use crate::telemetry::metrics::JournalFigures;

#[derive(Debug, Default)]
pub(super) struct Counts {
    dropped: [AtomicU64; JournalDrop::ALL.len()],
    omitted: [AtomicU64; NotJournaled::ALL.len()],
    missing: AtomicU64,
    overruled: AtomicU64,
}

impl Counts {
    /// An entry was read and not believed.
    pub(super) fn dropped(&self, why: JournalDrop) {
        self.dropped[why.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// A revocation found no room.
    pub(super) fn omitted(&self, why: NotJournaled) {
        self.omitted[why.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// So many running numbers did not come.
    pub(super) fn missing(&self, numbers: u64) {
        self.missing.fetch_add(numbers, Ordering::Relaxed);
    }

    /// The store showed a record that was revoked.
    pub(super) fn overruled(&self) {
        self.overruled.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, beside what the journal knows itself.
    pub(super) fn figures(&self, entries: usize, pending: usize, file: Option<&FileState>) -> JournalFigures {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        JournalFigures {
            entries,
            pending,
            dropped: JournalDrop::ALL.iter().map(|why| (*why, of(&self.dropped[why.index()]))).collect(),
            omitted: NotJournaled::ALL.iter().map(|why| (*why, of(&self.omitted[why.index()]))).collect(),
            missing: of(&self.missing),
            overruled: of(&self.overruled),
            file_failures: file.map_or(0, FileState::failures),
        }
    }
}

impl From<Unreadable> for JournalDrop {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Garbled => Self::Garbled,
            Unreadable::KeyGone => Self::KeyGone,
            Unreadable::Forged => Self::Forged,
        }
    }
}
