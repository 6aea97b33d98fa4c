//! The journal's file: a line that says what it is, then entries of one length.
//!
//! Invariants: while it is open it is locked, and what was locked is what stands at its path; an end that was torn in the middle of a
//! write is written over, and every whole entry before it is read, whatever lies between.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::entry::{ENTRY_BYTES, SealedEntry};

const HEADER: &[u8; 16] = b"jeton journal 1\n";
/// Where the first entry stands.
pub(super) const START: u64 = HEADER.len() as u64;
/// Entries read at once.
const READ_ENTRIES: usize = 1024;
/// Looks at a path whose file another process is just replacing.
const LOCK_ATTEMPTS: usize = 10;

/// Why a journal cannot be opened. A sentence for the operator.
#[derive(Debug)]
pub enum OpenError {
    /// Another process holds it.
    Held(PathBuf),
    /// It is something else.
    NoJournal(PathBuf),
    /// The operating system refuses.
    Io(PathBuf, io::Error),
}

/// Opens a journal, or makes one, and locks it; returns it with the place for the next entry.
pub(super) fn open(path: &Path) -> Result<(File, u64), OpenError> {
    let refused = |error| OpenError::Io(path.to_owned(), error);
    let file = lock(path)?;
    let length = file.metadata().map_err(refused)?.len();
    let mut header = [0; HEADER.len()];
    let present = usize::try_from(length.min(START)).unwrap_or(HEADER.len());
    file.read_exact_at(&mut header[..present], 0).map_err(refused)?;
    if header[..present] != HEADER[..present] {
        return Err(OpenError::NoJournal(path.to_owned()));
    }
    if length < START {
        // New, or torn while it was made.
        begin(&file).and_then(|()| sync_folder(path)).map_err(refused)?;
        return Ok((file, START));
    }
    let torn = (length - START) % ENTRY_BYTES as u64;
    if torn != 0 {
        file.set_len(length - torn).map_err(refused)?;
    }
    Ok((file, length - torn))
}

/// Makes an empty journal of an empty file.
pub(super) fn begin(file: &File) -> io::Result<()> {
    file.write_all_at(HEADER, 0)?;
    file.sync_all()
}

/// Makes the names in a path's folder last.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the entries between two places, in their order, whole or not.
pub(super) fn read(file: &File, mut from: u64, to: u64, mut take: impl FnMut(&SealedEntry)) -> io::Result<()> {
    let mut buffer = vec![0; READ_ENTRIES * ENTRY_BYTES];
    while from < to {
        let count = usize::try_from(to - from).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..count], from)?;
        buffer[..count].as_chunks::<ENTRY_BYTES>().0.iter().for_each(&mut take);
        from += count as u64;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let refused = |error| OpenError::Io(path.to_owned(), error);
    for _ in 0..LOCK_ATTEMPTS {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Held(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        // Its holder may have put another file in its place between the two steps.
        let locked = file.metadata().map_err(refused)?;
        match std::fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (locked.dev(), locked.ino()) => return Ok(file),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(error)),
            Ok(_) | Err(_) => {}
        }
    }
    Err(OpenError::Held(path.to_owned()))
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(path) => {
                write!(f, "{}: another process holds this journal; each node needs its own", path.display())
            }
            Self::NoJournal(path) => {
                write!(f, "{}: this is no journal of revocations; name a file that is not there yet", path.display())
            }
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}
