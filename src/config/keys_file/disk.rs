//! Key files on disk: made once with mode 0600, changed by a rename so that no reader ever sees half of one.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::KeyFile;
use crate::config::mistake::{Mistake, Origin, Warning};
use crate::oauth::keys::ServiceKeys;
use crate::random::Random;

/// A key file has 255 keys at most; a larger one is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a key file could not be changed.
#[derive(Debug)]
pub enum KeyFileError {
    /// It exists already.
    Exists,
    /// It cannot be read.
    Unreadable(io::Error),
    /// What stands in it is mistaken.
    Mistakes(Vec<Mistake>),
    /// What was asked for cannot be: a sentence.
    Refused(String),
}

impl From<String> for KeyFileError {
    fn from(sentence: String) -> Self {
        Self::Refused(sentence)
    }
}

/// Reads the keys for use.
///
/// # Errors
/// Every mistake in the file.
pub fn load(path: &Path) -> Result<(ServiceKeys, Vec<Warning>), Vec<Mistake>> {
    let origin = || Origin::File(path.to_path_buf());
    let file = read(path).map_err(|error| match error {
        KeyFileError::Mistakes(mistakes) => mistakes,
        KeyFileError::Unreadable(error) => {
            let mistake = Mistake::new(origin(), format!("the key file cannot be read: {error}"));
            vec![mistake.hint("`jeton keys generate FILE` makes one")]
        }
        KeyFileError::Exists => vec![Mistake::new(origin(), "exists already")],
        KeyFileError::Refused(what) => vec![Mistake::new(origin(), what)],
    })?;
    let keys = file.service_keys().map_err(|what| vec![Mistake::new(origin(), what)])?;
    let mode = std::fs::metadata(path).map(|metadata| metadata.mode()).unwrap_or(0);
    let mut warnings = Vec::new();
    if mode & 0o004 != 0 {
        let what = format!(
            "can be read by everybody on this machine (mode {:o}): chmod 600 (or 640, for a group of its own)",
            mode & 0o777
        );
        warnings.push(Warning::new(origin(), what));
    }
    Ok((keys, warnings))
}

/// Reads a key file.
///
/// # Errors
/// Every mistake in it, or why it cannot be read.
pub fn read(path: &Path) -> Result<KeyFile, KeyFileError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(KeyFileError::Unreadable)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(KeyFileError::Unreadable)?;
    KeyFile::parse(path, bytes).map_err(KeyFileError::Mistakes)
}

/// Writes a new file with mode 0600. One that exists stays as it is.
///
/// # Errors
/// [`KeyFileError::Exists`], or why it cannot be written.
pub fn create(path: &Path, file: &KeyFile) -> Result<(), KeyFileError> {
    // Written under another name and linked into place: whoever finds the file finds it whole, and one that exists is never touched.
    let unwritable = |error: io::Error| KeyFileError::Refused(format!("{} cannot be written: {error}", path.display()));
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(KeyFileError::Exists);
    }
    let draft = Draft::write(path, file).map_err(unwritable)?;
    match std::fs::hard_link(&draft.path, path) {
        Ok(()) => sync_folder(path).map_err(unwritable),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeyFileError::Exists),
        Err(error) => Err(unwritable(error)),
    }
}

/// Changes a file: reads it, lets `change` work on it, and puts the result in its place with the mode and owner it had. A symlink stays one.
/// Two who change it at once come one after the other.
///
/// # Errors
/// Mistakes in it, why `change` refused, or why it cannot be written; then it stays as it was.
pub fn update<T>(path: &Path, change: impl FnOnce(&mut KeyFile) -> Result<T, String>) -> Result<T, KeyFileError> {
    let unwritable = |error: io::Error| KeyFileError::Refused(format!("{} cannot be written: {error}", path.display()));
    let real = std::fs::canonicalize(path).map_err(KeyFileError::Unreadable)?;
    // The file itself is no good lock: the rename leaves it behind.
    let folder = File::open(folder_of(&real)).map_err(unwritable)?;
    folder.lock().map_err(unwritable)?;
    let mut file = read(path)?;
    let outcome = change(&mut file)?;
    let old = std::fs::metadata(&real).map_err(KeyFileError::Unreadable)?;
    let draft = Draft::write(&real, &file).map_err(unwritable)?;
    draft.take_after(&old).map_err(unwritable)?;
    std::fs::rename(&draft.path, &real).and_then(|()| folder.sync_all()).map_err(unwritable)?;
    Ok(outcome)
}

/// A file beside its target, gone when dropped unless it was renamed.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn write(target: &Path, content: &KeyFile) -> io::Result<Self> {
        let mark: [u8; 8] = Random::system().bytes().map_err(io::Error::other)?;
        let name = format!(".jeton-keys-{:016x}", u64::from_be_bytes(mark));
        let path = folder_of(target).join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let mut draft = Self { path, file };
        // The mode above is cut by the umask, which may take even the owner's rights.
        draft.file.set_permissions(Permissions::from_mode(0o600))?;
        draft.file.write_all(content.render().as_bytes())?;
        draft.file.sync_all()?;
        Ok(draft)
    }

    /// Takes owner, group and mode of the file it will replace.
    fn take_after(&self, old: &std::fs::Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            fchown(&self.file, Some(old.uid()), Some(old.gid()))?;
        }
        self.file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed, it is no longer there; and a draft that cannot be removed harms nobody but the tidy.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::oauth::keys::KeyId;
    use crate::oauth::time::Timestamp;

    fn new_file() -> KeyFile {
        KeyFile::generate(&Random::system(), Timestamp::from_unix_seconds(1)).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_the_owners_alone_and_one_that_exists_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, &new_file()).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(create(&path, &new_file()), Err(KeyFileError::Exists)));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_change_keeps_mode_and_symlink_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        create(&real, &new_file()).unwrap();
        std::fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        let id = update(&link, |file| file.rotate(&Random::system(), Timestamp::from_unix_seconds(5))).unwrap();
        assert_eq!((id, mode(&real)), (KeyId(2), 0o640));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(load(&real).unwrap().0.iter().count(), 2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_refused_change_leaves_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, &new_file()).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(update(&path, |file| file.remove(KeyId(1))), Err(KeyFileError::Refused(_))));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn concurrent_rotations_give_distinct_ids() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, &new_file()).unwrap();
        let rotate =
            || update(&path, |file| file.rotate(&Random::system(), Timestamp::from_unix_seconds(5))).unwrap().0;
        let mut ids: Vec<u8> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(rotate)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        ids.sort_unstable();
        assert_eq!(ids, [2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_file_that_all_can_read_warns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, &new_file()).unwrap();
        assert!(load(&path).unwrap().1.is_empty());
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(load(&path).unwrap().1[0].what.contains("644"));
    }
}
