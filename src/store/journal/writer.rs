//! The thread that writes the journal's file: what waits is one write and one fsync.
//!
//! Invariants: who waits is answered, well or not; what could not be written is written again with what comes next, as far as
//! [`BACKLOG_BYTES_MAX`] reaches; nothing is ever written anywhere but behind the last entry that is on the disk.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::compaction::{self, Compacted, Compaction};
use super::entry::ENTRY_BYTES;
use super::horizon::Horizon;
use super::lives::Lives;

/// Writes that may wait: a batch of each worker, of which there are fewer.
const WRITES_WAITING_MAX: usize = 2048;
/// Bytes of one write: more wait for the next.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes kept of what could not be written, and as many of what had no place among the writes that wait: a quarter of a million entries each.
const BACKLOG_BYTES_MAX: usize = 16 * 1024 * 1024 / ENTRY_BYTES * ENTRY_BYTES;
/// How often what could not be written is tried again where nothing new comes.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Dead entries beyond as many as live ones that are worth a compaction: a megabyte.
const DEAD_ENTRIES_MIN: u64 = 16 * 1024;

/// The file as the journal holds it. On drop the thread writes what waits, and ends.
pub(super) struct JournalFile {
    writes: Option<SyncSender<Write>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<FileState>,
}

/// How the file does, for whoever watches.
#[derive(Debug, Default)]
pub(super) struct FileState {
    failures: AtomicU64,
    compactions: AtomicU64,
    failing: Mutex<Option<String>>,
    /// Entries that came while as many writes waited as may: they go with the next one.
    overflow: Mutex<Vec<u8>>,
}

/// Entries, and who waits until they are on the disk.
struct Write {
    entries: Vec<u8>,
    written: oneshot::Sender<bool>,
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Where the next entry goes.
    pub(super) end: u64,
    pub(super) lives: Lives,
    pub(super) horizon: Horizon,
}

struct Running {
    writer: Writer,
    backlog: Vec<u8>,
    compaction: Option<Compaction>,
    /// Dead entries from which on a compaction begins.
    compact_from: u64,
    state: Arc<FileState>,
}

impl JournalFile {
    /// Starts the thread.
    pub(super) fn start(writer: Writer) -> io::Result<Self> {
        let (writes, inbox) = sync_channel(WRITES_WAITING_MAX);
        let state = Arc::<FileState>::default();
        let running = Running {
            writer,
            backlog: Vec::new(),
            compaction: None,
            compact_from: DEAD_ENTRIES_MIN,
            state: Arc::clone(&state),
        };
        let thread = thread::Builder::new().name("jeton-journal".into()).spawn(move || running.run(&inbox))?;
        Ok(Self { writes: Some(writes), thread: Some(thread), state })
    }

    /// Hands entries over; none: only waits for those before. True comes back when they are on the disk.
    pub(super) fn write(&self, entries: Vec<u8>) -> oneshot::Receiver<bool> {
        let (written, answer) = oneshot::channel();
        let Some(writes) = &self.writes else { return answer };
        if let Err(TrySendError::Full(write) | TrySendError::Disconnected(write)) =
            writes.try_send(Write { entries, written })
        {
            self.state.keep(&write.entries);
            self.state.failed("its thread is too far behind".into());
        }
        answer
    }

    pub(super) fn state(&self) -> &FileState {
        &self.state
    }
}

impl FileState {
    /// Writes that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Times that dead entries were cleared away.
    #[cfg(test)]
    pub(super) fn compactions(&self) -> u64 {
        self.compactions.load(Ordering::Relaxed)
    }

    /// Why the last write failed, if it did.
    pub(super) fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A write failed, or took longer than its revocation could wait.
    pub(super) fn failed(&self, why: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Whoever revoked that is answered that the file has it not; it gets it all the same.
    fn keep(&self, entries: &[u8]) {
        let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        let room = BACKLOG_BYTES_MAX - overflow.len();
        overflow.extend_from_slice(&entries[..entries.len().min(room)]);
    }

    fn works(&self) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Running {
    fn run(mut self, inbox: &Receiver<Write>) {
        loop {
            let first = if self.compaction.is_some() {
                inbox.recv_timeout(Duration::ZERO)
            } else if self.backlog.is_empty() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(RETRY_EVERY)
            };
            let mut batch = Vec::new();
            match first {
                Ok(write) => {
                    let mut bytes = write.entries.len();
                    batch.push(write);
                    while bytes < BATCH_BYTES_MAX
                        && let Ok(write) = inbox.try_recv()
                    {
                        bytes += write.entries.len();
                        batch.push(write);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write(&[]);
                    return;
                }
            }
            let written = self.write(&batch);
            for write in batch {
                // Who no longer waits needs no answer.
                let _ = write.written.send(written);
            }
            self.compact();
        }
    }

    /// Writes a batch behind what an earlier one left.
    fn write(&mut self, batch: &[Write]) -> bool {
        let mut bytes = std::mem::take(&mut self.backlog);
        batch.iter().for_each(|write| bytes.extend_from_slice(&write.entries));
        bytes.append(&mut self.state.overflow.lock().unwrap_or_else(PoisonError::into_inner));
        if bytes.is_empty() {
            return true;
        }
        let writer = &mut self.writer;
        match writer.file.write_all_at(&bytes, writer.end).and_then(|()| writer.file.sync_data()) {
            Ok(()) => {
                writer.end += bytes.len() as u64;
                bytes.as_chunks().0.iter().for_each(|entry| writer.lives.count(entry));
                self.state.works();
                true
            }
            Err(error) => {
                bytes.truncate(BACKLOG_BYTES_MAX);
                self.backlog = bytes;
                self.state.failed(error.to_string());
                false
            }
        }
    }

    /// Goes a step on with a compaction, or begins one that is worth it.
    fn compact(&mut self) {
        let writer = &mut self.writer;
        let horizon = &writer.horizon;
        let lasts = |dead_second| horizon.refuses(dead_second).is_none();
        let mut compaction = match self.compaction.take() {
            Some(under_way) => under_way,
            None => {
                let live = writer.lives.live(lasts);
                let dead = (writer.end - super::file::START) / ENTRY_BYTES as u64 - live;
                if dead < live + self.compact_from {
                    return;
                }
                match Compaction::begin(&writer.path) {
                    Ok(begun) => begun,
                    Err(error) => return self.give_up_compacting(dead, &error),
                }
            }
        };
        let done = match compaction.step(&writer.file, writer.end, lasts) {
            Ok(false) => {
                self.compaction = Some(compaction);
                return;
            }
            Ok(true) => compaction.finish(),
            Err(error) => Err(error),
        };
        match done {
            Ok(Compacted { file, end, lives }) => {
                (writer.file, writer.end, writer.lives) = (file, end, lives);
                self.compact_from = DEAD_ENTRIES_MIN;
                self.state.compactions.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.give_up_compacting(self.compact_from, &error),
        }
    }

    /// The file goes on as it is, and a compaction is tried again when there is twice as much to win.
    fn give_up_compacting(&mut self, dead: u64, error: &io::Error) {
        compaction::abandon(&self.writer.path);
        self.compact_from = dead.max(self.compact_from).saturating_mul(2);
        self.state.failed(format!("cannot be compacted: {error}"));
    }
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for JournalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalFile").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::clock::Clock;
    use crate::store::journal::file;

    #[test]
    fn what_could_not_be_written_is_written_with_what_comes_next() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("journal");
        let (writable, end) = file::open(&path).unwrap();
        let horizon = Horizon::new(Clock::simulated(1_000_000_000), 3600);
        // Opened for reading alone: each write fails.
        let writer =
            Writer { path: path.clone(), file: File::open(&path).unwrap(), end, lives: Lives::default(), horizon };
        let state = Arc::<FileState>::default();
        let mut running = Running {
            writer,
            backlog: vec![],
            compaction: None,
            compact_from: DEAD_ENTRIES_MIN,
            state: Arc::clone(&state),
        };
        let entries = |byte: u8| {
            let (written, _) = oneshot::channel();
            Write { entries: vec![byte; ENTRY_BYTES], written }
        };
        assert!(!running.write(&[entries(1)]) && !running.write(&[entries(2)]));
        assert_eq!((state.failures(), state.failing().is_some()), (2, true));
        running.writer.file = writable;
        assert!(running.write(&[entries(3)]));
        assert_eq!((state.failures(), state.failing()), (2, None));
        let expected = [vec![1; ENTRY_BYTES], vec![2; ENTRY_BYTES], vec![3; ENTRY_BYTES]].concat();
        assert_eq!(fs::read(&path).unwrap()[16..], expected);
    }

    #[test]
    fn what_is_kept_of_what_could_not_be_written_is_bounded_and_whole() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("journal");
        let (_, end) = file::open(&path).unwrap();
        let horizon = Horizon::new(Clock::simulated(1_000_000_000), 3600);
        let writer =
            Writer { path: path.clone(), file: File::open(&path).unwrap(), end, lives: Lives::default(), horizon };
        let mut running = Running {
            writer,
            backlog: vec![],
            compaction: None,
            compact_from: DEAD_ENTRIES_MIN,
            state: Arc::default(),
        };
        for _ in 0..3 {
            let entries = vec![7; 100_000 * ENTRY_BYTES];
            running.write(&[Write { entries, written: oneshot::channel().0 }]);
        }
        assert_eq!((running.backlog.len(), BACKLOG_BYTES_MAX % ENTRY_BYTES), (BACKLOG_BYTES_MAX, 0));
    }

    #[test]
    fn what_had_no_place_among_the_waiting_goes_with_the_next_write() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("journal");
        let (writable, end) = file::open(&path).unwrap();
        let horizon = Horizon::new(Clock::simulated(1_000_000_000), 3600);
        let (writes, inbox) = sync_channel(1);
        let state = Arc::<FileState>::default();
        let journal = JournalFile { writes: Some(writes), thread: None, state: Arc::clone(&state) };
        // Nobody writes yet.
        let mut answers: Vec<_> = (1..=3).map(|byte| journal.write(vec![byte; ENTRY_BYTES])).collect();
        assert!(answers[0].try_recv().is_err());
        assert_eq!((state.failures(), state.failing().is_some()), (2, true));
        let writer = Writer { path: path.clone(), file: writable, end, lives: Lives::default(), horizon };
        let running = Running {
            writer,
            backlog: vec![],
            compaction: None,
            compact_from: DEAD_ENTRIES_MIN,
            state: Arc::clone(&state),
        };
        drop(journal);
        running.run(&inbox);
        assert_eq!(answers[0].try_recv(), Ok(true));
        let expected = [vec![1; ENTRY_BYTES], vec![2; ENTRY_BYTES], vec![3; ENTRY_BYTES]].concat();
        assert_eq!(fs::read(&path).unwrap()[16..], expected);
    }
}
