//! What a store tells whoever watches it: changes of its state, and figures of what it did.
//!
//! Invariant: every label is from a closed set; nothing here holds what a request sent. Reports come from the store's own
//! thread, must not block, and a change of state is reported once.

use std::fmt;
use std::time::Duration;

use super::StoreError;
use crate::telemetry::labels::{RecordRefusal, StoreErrorKind, StoreOperation};

/// Watches one worker's store.
pub trait StoreObserver {
    /// There is no usable connection, for this reason; said again while it stays lost only when the kind of reason changes.
    fn lost(&self, reason: &StoreLost);

    /// There is a usable connection (again).
    fn back(&self);

    /// Something an operator should mend, found at connect.
    fn warning(&self, warning: &StoreWarning);

    /// Whether the store keeps what it has when it is full, found at each connect.
    fn eviction_policy(&self, safe: bool);

    /// A batch of so many items was answered, well or not, after so long.
    fn operation(&self, operation: StoreOperation, batch_size: usize, took: Duration);

    /// So many items of a batch could not be answered, for this reason.
    fn failed(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64);

    /// A record that was found could not be used.
    fn refused(&self, refusal: RecordRefusal);

    /// The store has forgotten what was used, or may have: for some seconds nothing that was made before counts as unused.
    fn forgot_uses(&self);
}

/// Why there is no usable connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLost {
    /// What callers are told meanwhile.
    pub error: StoreError,
    /// For the log: what the operating system or the store said. Holds no secret.
    pub detail: String,
}

/// Something an operator should mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreWarning {
    /// The store may throw keys away when it is full (`maxmemory_policy`): tokens would end early.
    MayEvict(String),
    /// The password was refused, and the previous one was not.
    PreviousPassword,
    /// A part of the store cannot be used, while others can: which, and why.
    PartLost(String),
    /// All parts of the store can be used again.
    PartsBack,
    /// The journal of revocations cannot be read from the store, or not written there.
    Journal(JournalTrouble, StoreError),
}

/// What cannot be done with the journal of revocations in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalTrouble {
    /// Entries of other nodes cannot be read, or deletes not sent again: no introspection is answered.
    Unsettled,
    /// Other nodes cannot be told.
    Unsent,
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl From<StoreError> for StoreErrorKind {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::TimedOut => Self::Timeout,
            StoreError::Broken => Self::Broken,
            StoreError::Full | StoreError::ClientFull => Self::Oom,
            StoreError::NotServing => Self::NotServing,
            StoreError::NotReplicated => Self::NotReplicated,
            StoreError::WritesStopped => Self::WritesStopped,
            StoreError::Denied => Self::Denied,
            StoreError::Refused => Self::Refused,
            StoreError::UnknownVersion | StoreError::GrantMissing | StoreError::GrantSealBroken => Self::Record,
            StoreError::ReplayFloor => Self::ReplayFloor,
            StoreError::Internal => Self::Internal,
        }
    }
}

impl StoreObserver for Unobserved {
    fn lost(&self, _: &StoreLost) {}
    fn back(&self) {}
    fn warning(&self, _: &StoreWarning) {}
    fn eviction_policy(&self, _: bool) {}
    fn operation(&self, _: StoreOperation, _: usize, _: Duration) {}
    fn failed(&self, _: StoreOperation, _: StoreErrorKind, _: u64) {}
    fn refused(&self, _: RecordRefusal) {}
    fn forgot_uses(&self) {}
}

impl fmt::Display for StoreLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.detail)
    }
}

impl fmt::Display for StoreWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MayEvict(policy) => write!(
                f,
                "maxmemory-policy is {policy}: a full store would throw live tokens away; set it to noeviction"
            ),
            Self::PreviousPassword => f.write_str(
                "the store refused store.password and took store.password_previous: change the password there",
            ),
            Self::PartLost(part) => {
                write!(
                    f,
                    "a part of the store cannot be used: nothing is known of the tokens there, new ones go elsewhere: {part}"
                )
            }
            Self::PartsBack => f.write_str("all parts of the store can be used again"),
            Self::Journal(JournalTrouble::Unsettled, error) => {
                write!(
                    f,
                    "no introspection is answered before the journal of revocations is read from the store: {error}"
                )
            }
            Self::Journal(JournalTrouble::Unsent, error) => {
                write!(f, "other nodes cannot be told of revocations by the store's stream: {error}")
            }
        }
    }
}
