//! Whether files changed, by their content, whatever way it was changed: written in place, renamed over, a symlink turned.
//!
//! The caller polls, twice a second for a reload within two: a change counts once two polls in a row saw the same, so that a file is not
//! read while somebody writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ring::digest;

use crate::clock::Clock;

/// How old a file's time of change must be before an unchanged time proves an unchanged content.
const SETTLED_AFTER_SECONDS: u64 = 3;

/// A set of files and folders, and what they held when last asked.
#[derive(Debug)]
pub struct Watched {
    paths: Vec<PathBuf>,
    accepted: Fingerprints,
    seen: Fingerprints,
}

type Fingerprints = BTreeMap<PathBuf, Fingerprint>;

/// What a file held, and what its metadata was when that was read.
#[derive(Clone, Debug)]
struct Fingerprint {
    content: Option<[u8; 32]>,
    identity: Option<Identity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watched {
    /// Watches files, and of folders every `*.toml` in them. What they hold now is no change.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watched = Self { paths: paths.into_iter().collect(), accepted: BTreeMap::new(), seen: BTreeMap::new() };
        watched.seen = watched.look();
        watched.accepted = watched.seen.clone();
        watched
    }

    /// Watches other files from now on, as a reloaded configuration names them. Files that were watched before keep what they were known
    /// to hold, so that a change between reading and this call is still found.
    pub fn watch(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.paths = paths.into_iter().collect();
        let now = self.look();
        let before = std::mem::take(&mut self.accepted);
        self.accepted = now.iter().map(|(path, new)| (path.clone(), before.get(path).unwrap_or(new).clone())).collect();
        self.seen = now;
    }

    /// Watches these files as well: what was bad may be mended there, or where it stood before.
    pub fn watch_also(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let all: BTreeSet<PathBuf> = self.paths.drain(..).chain(paths).collect();
        self.watch(all);
    }

    /// Whether something changed since it was last said to have: true once for each change.
    pub fn changed(&mut self) -> bool {
        let now = self.look();
        let stands_still = same(&now, &self.seen);
        let changed = stands_still && !same(&now, &self.accepted);
        if stands_still {
            self.accepted = now.clone();
        }
        self.seen = now;
        changed
    }

    fn look(&self) -> Fingerprints {
        let files = self.paths.iter().flat_map(|path| files_of(path));
        files.map(|file| (file.clone(), Fingerprint::take(&file, self.seen.get(&file)))).collect()
    }
}

/// A folder's `*.toml` files in the order of their names; of anything else itself.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_path_buf()] };
    let is_ours = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        path.extension().is_some_and(|extension| extension == "toml") && !hidden && !path.is_dir()
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ours).collect();
    files.sort();
    files
}

fn same(a: &Fingerprints, b: &Fingerprints) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((path, a), (other, b))| path == other && a.content == b.content)
}

impl Fingerprint {
    fn take(path: &Path, known: Option<&Self>) -> Self {
        let identity = std::fs::metadata(path).ok().as_ref().map(Identity::of);
        if let (Some(known), Some(now)) = (known, &identity)
            && known.identity.as_ref() == Some(now)
        {
            return known.clone();
        }
        let content = std::fs::read(path).ok().map(|bytes| sha256(&bytes));
        // A file that changed a moment ago can change again within the same tick of its clock: its metadata then proves nothing.
        let identity = identity.filter(Identity::is_settled);
        Self { content, identity }
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self) -> bool {
        let latest = u64::try_from(self.modified.0.max(self.changed.0)).unwrap_or(0);
        Clock::System.unix_millis() / 1000 > latest.saturating_add(SETTLED_AFTER_SECONDS)
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn settles(watched: &mut Watched) -> bool {
        let first = watched.changed();
        assert!(!first, "a change counts only when it stands still");
        watched.changed()
    }

    #[test]
    fn a_rewritten_file_of_the_same_size_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let mut watched = Watched::new([path.clone()]);
        assert!(!watched.changed());
        std::fs::write(&path, "two").unwrap();
        assert!(settles(&mut watched));
        assert!(!watched.changed() && !watched.changed());
    }

    #[test]
    fn a_touched_file_is_no_change_and_a_vanished_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let mut watched = Watched::new([path.clone()]);
        std::fs::write(&path, "one").unwrap();
        assert!(!settles(&mut watched));
        std::fs::remove_file(&path).unwrap();
        assert!(settles(&mut watched));
    }

    #[test]
    fn a_turned_symlink_and_a_rename_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (dir, content) in [("v1", "one"), ("v2", "two")] {
            std::fs::create_dir(at(dir)).unwrap();
            std::fs::write(at(dir).join("a"), content).unwrap();
        }
        symlink(at("v1"), at("data")).unwrap();
        let mut watched = Watched::new([at("data").join("a")]);
        symlink(at("v2"), at("next")).unwrap();
        std::fs::rename(at("next"), at("data")).unwrap();
        assert!(settles(&mut watched));
        std::fs::write(at("three"), "three").unwrap();
        std::fs::rename(at("three"), at("v2").join("a")).unwrap();
        assert!(settles(&mut watched));
    }

    #[test]
    fn files_that_come_and_go_in_a_folder_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut watched = Watched::new([folder.path().to_path_buf()]);
        std::fs::write(folder.path().join("b.toml"), "").unwrap();
        assert!(settles(&mut watched));
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        std::fs::write(folder.path().join(".b.toml"), "").unwrap();
        assert!(!settles(&mut watched));
        std::fs::remove_file(folder.path().join("b.toml")).unwrap();
        assert!(settles(&mut watched));
    }

    #[test]
    fn a_change_while_others_are_read_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "one").unwrap();
        std::fs::write(&b, "one").unwrap();
        let mut watched = Watched::new([a.clone()]);
        std::fs::write(&a, "two").unwrap();
        watched.watch([a, b]);
        assert!(watched.changed());
    }
}
