//! How many connections the limit of open files leaves.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the process needs for itself: the store's connections, its keys and clients while they are read, its log.
const OWN_FILES: usize = 200;

/// Raises the limit of open files as far as the system lets us; the limit as it then is.
pub fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let soft = limit.current;
        limit.current = limit.maximum;
        // Where even the hard limit is refused (macOS has one of its own), the soft one stands.
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = soft;
        }
    }
    limit.current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Connections that so many open files allow: all but 200, or a half where that is more.
pub fn connections_within(files: usize) -> usize {
    files.saturating_sub(OWN_FILES).max(files / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_files_for_itself() {
        assert_eq!([256, 1024, 1_048_576].map(connections_within), [128, 824, 1_048_376]);
        assert!(raise() >= 64);
    }
}
