//! Where tokens are kept: the one trait that a store implements, and what can go wrong with it.
//!
//! # Invariants
//! - **No token crosses this line.** A store gets a [`TokenAddress`], never the token.
//! - **"No" is an answer.** A record that is not there is [`Lookup::NotFound`]; a [`StoreError`] says that nobody knows.
//! - **A write is answered when it is accepted**, never before, and no mint is ever sent twice.
//! - **Answers come at the places of their questions**: each method answers exactly as many items as it was given.
//!
//! Every implementation passes the suite in `store/contract.rs`.

#[cfg(test)]
pub(crate) mod contract;
pub mod journal;
pub mod memory;
pub mod observer;
pub(crate) mod open_pages;
pub mod redis;
pub mod watched;

use std::fmt;
use std::rc::Rc;

use crate::oauth::client_id::ClientId;
use crate::oauth::replay::{Claimed, SingleUse};
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, TokenAddress, TokenRecord};

/// What became of a question for a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Its record. Whether it has expired is for the asker to say.
    Found(TokenRecord),
    /// The store has no such record.
    NotFound,
    /// Something lies there whose seal does not open at this address: altered, swapped or injected. It counts as no token.
    SealBroken,
}

/// A store could not say. Whoever gets this knows nothing about the token or the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No connection, or the breaker is open: nothing was sent.
    Unavailable,
    /// Sent, and no answer in time: it may or may not have been done.
    TimedOut,
    /// The connection broke with the command under way, or an answer could not be believed: it may or may not have been done.
    Broken,
    /// The store is full (`-OOM`, or `memory_tokens_max`): nothing was written.
    Full,
    /// It holds as many tokens of this client as it may (`limits.live_tokens_per_client`): nothing was written.
    ClientFull,
    /// It is loading, busy, a replica, or without its master or slots (`-LOADING`, `-BUSY`, `-READONLY`, `-MASTERDOWN`, `-CLUSTERDOWN`).
    NotServing,
    /// Written, but fewer replicas than are asked for have it: it may or may not last.
    NotReplicated,
    /// It refuses writes (`-MISCONF`, `-NOREPLICAS`).
    WritesStopped,
    /// It does not let us in (`-NOAUTH`, `-WRONGPASS`, `-NOPERM`).
    Denied,
    /// Any other error reply.
    Refused,
    /// A record of a version that this release cannot read.
    UnknownVersion,
    /// A record whose grant is not in the store.
    GrantMissing,
    /// A record whose grant's seal does not open.
    GrantSealBroken,
    /// It may have forgotten what was used before, and this could have been: it began to remember later.
    ReplayFloor,
    /// The operating system gave no random bytes, or sealing failed: nothing was written.
    Internal,
}

/// What a mint writes.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Where.
    pub address: TokenAddress,
    /// What.
    pub record: TokenRecord,
}

/// What a revocation deletes.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Where.
    pub address: TokenAddress,
    /// Whose revocation it is.
    pub client_id: ClientId,
}

/// Bytes that tell one try to use something from all others.
pub const TRY_BYTES: usize = 16;

/// The use of something that is good for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of what.
    pub single_use: SingleUse,
    /// Whose try it is: drawn at random. What was sent twice must hear the same twice.
    pub by: [u8; TRY_BYTES],
}

/// More of what is counted under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Under which.
    pub name: [u8; 32],
    /// How much more.
    pub add: u32,
    /// How long the count lives on, at least.
    pub ttl_seconds: u32,
}

/// A store of tokens, as one worker holds it: batches in, batches out. Futures are local to the worker's thread; dropping one
/// gives up the answer and says nothing about what the store did.
pub trait TokenStore: 'static {
    /// A place for one token that expires then, in an open page that the next [`TokenStore::save`] fills: the same page until
    /// all its places are given away, then a new one with a number drawn at random. Ask once for each token.
    ///
    /// # Errors
    /// [`StoreError::Internal`] where no number can be drawn.
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError>;

    /// Writes records. `Ok` at a place: accepted, and readable from now on until its expiry.
    fn save(&self, batch: Vec<NewRecord>) -> impl Future<Output = Vec<Result<(), StoreError>>>;

    /// Finds records.
    fn find(&self, batch: Vec<TokenAddress>) -> impl Future<Output = Vec<Result<Lookup, StoreError>>>;

    /// Deletes records; deleting what is not there is fine. `Ok(())` at a place: no [`TokenStore::find`] that begins later finds it, nor one of
    /// another handle of this process whatever becomes of the store.
    fn delete(&self, batch: Vec<Deletion>) -> impl Future<Output = Vec<Result<(), StoreError>>>;

    /// Notes uses, each by one atomic write, and remembers them for [`REMEMBERED_SECONDS`](crate::oauth::replay::REMEMBERED_SECONDS).
    /// Of all tries at one thing, by all handles of all processes, one at most ever hears [`Claimed::First`];
    /// [`StoreError::ReplayFloor`]: what was made so early may have been used before the store began to remember.
    fn claim(&self, batch: Vec<Claim>) -> impl Future<Output = Vec<Result<Claimed, StoreError>>>;

    /// Adds to counts that all handles of all processes share: how much each is then. An error says that it may or may not have been added.
    fn count(&self, batch: Vec<Count>) -> impl Future<Output = Vec<Result<u64, StoreError>>>;
}

impl StoreError {
    /// Whether the store could take nothing more.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Full)
    }

    /// Whether it could take nothing more of one client.
    pub fn is_full_for_client(self) -> bool {
        matches!(self, Self::ClientFull)
    }

    /// Seconds after which it is worth trying again (`Retry-After`).
    pub fn retry_after_seconds(self) -> u32 {
        match self {
            Self::TimedOut
            | Self::Broken
            | Self::NotReplicated
            | Self::UnknownVersion
            | Self::GrantMissing
            | Self::GrantSealBroken => 1,
            Self::Unavailable | Self::NotServing => 2,
            // Until then what is made anew is new enough.
            Self::ReplayFloor
            | Self::Full
            | Self::ClientFull
            | Self::WritesStopped
            | Self::Denied
            | Self::Refused
            | Self::Internal => 5,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the store cannot be reached",
            Self::TimedOut => "the store did not answer in time",
            Self::Broken => "the connection to the store broke",
            Self::Full => "the store is full",
            Self::ClientFull => "the store is full for this client",
            Self::NotServing => "the store is not serving yet",
            Self::NotReplicated => "too few replicas have the write",
            Self::WritesStopped => "the store refuses writes",
            Self::Denied => "the store does not let us in",
            Self::Refused => "the store refused the command",
            Self::UnknownVersion => "a record of an unknown version",
            Self::GrantMissing => "a record's grant is missing",
            Self::GrantSealBroken => "a grant's seal does not open",
            Self::ReplayFloor => "the store may have forgotten what was used before",
            Self::Internal => "sealing or randomness failed",
        })
    }
}

impl std::error::Error for StoreError {}

/// The actors of a worker share one store.
impl<S: TokenStore> TokenStore for Rc<S> {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        S::open_page(self, issued_at, lifetime, bound)
    }

    async fn save(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        S::save(self, batch).await
    }

    async fn find(&self, batch: Vec<TokenAddress>) -> Vec<Result<Lookup, StoreError>> {
        S::find(self, batch).await
    }

    async fn delete(&self, batch: Vec<Deletion>) -> Vec<Result<(), StoreError>> {
        S::delete(self, batch).await
    }

    async fn claim(&self, batch: Vec<Claim>) -> Vec<Result<Claimed, StoreError>> {
        S::claim(self, batch).await
    }

    async fn count(&self, batch: Vec<Count>) -> Vec<Result<u64, StoreError>> {
        S::count(self, batch).await
    }
}
