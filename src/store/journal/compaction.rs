//! Rids a journal's file of entries whose pages are dead, bit by bit, so that no revocation waits for it.
//!
//! Invariant: the old file stays whole until the new one has every entry that is kept, is locked, and is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::entry::{self, ENTRY_BYTES};
use super::file;
use super::lives::Lives;

/// Copied in one step: about as long as one revocation takes.
const STEP_BYTES: u64 = 2048 * ENTRY_BYTES as u64;

/// A copy under way.
#[derive(Debug)]
pub(super) struct Compaction {
    path: PathBuf,
    target: File,
    copied_to: u64,
    end: u64,
    lives: Lives,
}

/// The new file, in the old one's place.
#[derive(Debug)]
pub(super) struct Compacted {
    pub(super) file: File,
    pub(super) end: u64,
    pub(super) lives: Lives,
}

impl Compaction {
    /// Begins to copy the journal at `path`.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let (place, mut options) = (beside(path), OpenOptions::new());
        let target = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(place)?;
        target.try_lock()?;
        file::begin(&target)?;
        let (copied_to, end) = (file::START, file::START);
        Ok(Self { path: path.to_owned(), target, copied_to, end, lives: Lives::default() })
    }

    /// Copies on from `source`, which ends at `end`. Returns whether all is copied.
    pub(super) fn step(&mut self, source: &File, end: u64, lasts: impl Fn(u64) -> bool) -> io::Result<bool> {
        let to = end.min(self.copied_to + STEP_BYTES);
        let mut kept = Vec::new();
        file::read(source, self.copied_to, to, |entry| {
            if entry::place_of(entry).is_some_and(|place| lasts(place.page.dead_second)) {
                self.lives.count(entry);
                kept.extend_from_slice(entry);
            }
        })?;
        self.target.write_all_at(&kept, self.end)?;
        // Step by step, so that the last one has little left to wait for.
        self.target.sync_data()?;
        self.end += kept.len() as u64;
        self.copied_to = to;
        Ok(to == end)
    }

    /// Puts the copy in the journal's place.
    pub(super) fn finish(self) -> io::Result<Compacted> {
        self.target.sync_all()?;
        fs::rename(beside(&self.path), &self.path)?;
        file::sync_folder(&self.path)?;
        Ok(Compacted { file: self.target, end: self.end, lives: self.lives })
    }
}

/// Gives a copy up.
pub(super) fn abandon(path: &Path) {
    let _ = fs::remove_file(beside(path));
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
