//! Places where a test makes the service panic, to show who is harmed by it and who is not. A release build has none: there
//! [`reach`] is empty.
//!
//! A test arms a running process by a folder: a point that finds a file of its name there takes the file away and panics, so that each
//! file costs one panic, in whichever thread comes first. A test of one thread arms that thread alone.

/// The places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailPoint {
    /// With a batch in hand, nobody of which has an answer.
    Authenticator,
    /// The same, after the store has the tokens.
    Minter,
    /// The same.
    Inspector,
    /// The same, after the store has deleted.
    Revoker,
    /// The same, after the store has noted the uses.
    Notary,
    /// On a thread that verifies, with a secret in hand.
    Verifier,
    /// Within an endpoint, with a request that was read whole.
    Endpoint,
    /// In the task of a connection to Redis, with a trip under way.
    StoreConnection,
    /// In a worker's sweep of overdue asks.
    Deadlines,
    /// In what the main thread does by the clock.
    Upkeep,
    /// On a worker's thread, in no task.
    Worker,
    /// In the thread that reads changed files.
    Reload,
}

/// Panics here if a test has asked for it.
#[inline]
pub(crate) fn reach(point: FailPoint) {
    #[cfg(debug_assertions)]
    armed::reach(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
pub(crate) use armed::arm;

#[cfg(debug_assertions)]
mod armed {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use super::FailPoint;

    static FOLDER: OnceLock<PathBuf> = OnceLock::new();

    /// From now on files in this folder are looked for.
    pub(crate) fn arm(folder: PathBuf) {
        let _ = FOLDER.set(folder);
    }

    pub(super) fn reach(point: FailPoint) {
        #[cfg(test)]
        if super::on_this_thread::take(point) {
            panic!("told to, at {point:?}");
        }
        // Whoever takes the file away is the one who panics.
        if let Some(folder) = FOLDER.get()
            && fs::remove_file(folder.join(format!("{point:?}"))).is_ok()
        {
            panic!("told to, at {point:?}");
        }
    }
}

/// For tests within one thread.
#[cfg(test)]
pub(crate) mod on_this_thread {
    use std::cell::Cell;

    use super::FailPoint;

    thread_local! {
        static NEXT: Cell<Option<FailPoint>> = const { Cell::new(None) };
    }

    /// The next time this thread comes to `point` it panics.
    pub(crate) fn arm(point: FailPoint) {
        NEXT.set(Some(point));
    }

    pub(super) fn take(point: FailPoint) -> bool {
        let meant = NEXT.get() == Some(point);
        if meant {
            NEXT.set(None);
        }
        meant
    }
}
