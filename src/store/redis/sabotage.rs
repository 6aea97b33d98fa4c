//! Mistakes that can be built in on purpose, one at a time, so that a test can show that the simulation would find them. For tests
//! alone; each stands in the code at the place where it would be made.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A mint that was not answered in time is sent once more.
    MintSentAgain,
    /// A question on a connection that broke is answered "not found".
    BrokenIsNotFound,
    /// The grants of a mint are not counted behind it.
    GrantsNotCounted,
    /// A use is noted whatever epoch the server has, and whenever what is used was made.
    EpochNotAsked,
    /// The number behind a trip's replies is not looked at.
    NumberNotChecked,
}

thread_local! {
    static MADE: Cell<Option<Sabotage>> = const { Cell::new(None) };
}

/// Whether this mistake is to be made on this thread.
pub(super) fn is(mistake: Sabotage) -> bool {
    MADE.get() == Some(mistake)
}

/// Does something with a mistake built in.
pub(crate) fn with<T>(mistake: Sabotage, something: impl FnOnce() -> T) -> T {
    MADE.set(Some(mistake));
    let result = something();
    MADE.set(None);
    result
}
