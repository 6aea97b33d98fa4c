//! Takes tokens back, in batches: one trip finds the owners, one deletes.
//!
//! Invariants: only a token's own client takes it back (RFC 7009 section 2.1); `Revoked` and `NotFound` are said only after the
//! store has answered the delete; a fault of the store is never a success.

use super::mailbox::{Inbox, Mailbox, Reply};
use super::supervisor::{Actor, Supervised};
use super::{ActorError, Deadline, Surroundings, window};
use crate::failpoint::{self, FailPoint};
use crate::oauth::client::ClientId;
use crate::oauth::token::TokenAddress;
use crate::store::{Deletion, Lookup, StoreError, TokenStore};
use crate::telemetry::labels::ActorName;

/// Asks for revocations. Cheap to clone; after the last drop the revoker empties its inbox and stops.
#[derive(Clone, Debug)]
pub struct RevokerHandle(Mailbox<Revoke, Revocation>);

/// What became of a revocation. The first two are one answer to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token was the client's and is deleted.
    Revoked,
    /// There is no such token any more.
    NotFound,
    /// The token is another client's, and stays.
    NotOwner,
}

/// What a revoker is told.
#[derive(Clone, Copy, Debug)]
pub struct RevokerOptions {
    /// Revocations in one round trip to the store.
    pub batch_max: usize,
}

struct Revoke {
    address: TokenAddress,
    client_id: ClientId,
    reply: Reply<Revocation>,
}

struct Revoker<S> {
    store: S,
    options: RevokerOptions,
}

impl RevokerHandle {
    /// A revoker in these surroundings, and the task that it is.
    pub(crate) fn start<S: TokenStore + Clone>(
        around: &Surroundings,
        store: S,
        options: RevokerOptions,
    ) -> (Self, Supervised) {
        let make = move || Revoker { store: store.clone(), options };
        let (mailbox, task) = around.start(ActorName::Revoker, make);
        (Self(mailbox), task)
    }

    /// Takes the token at `address` back, if it is `client_id`'s.
    ///
    /// # Errors
    /// [`ActorError`]: the token may still be alive; the client may try again.
    pub fn revoke(
        &self,
        by: Deadline,
        address: TokenAddress,
        client_id: ClientId,
    ) -> impl Future<Output = Result<Revocation, ActorError>> {
        self.0.ask(by, |reply| Revoke { address, client_id, reply })
    }
}

impl<S: TokenStore> Actor<Revoke> for Revoker<S> {
    async fn run(self, inbox: &mut Inbox<Revoke>) {
        window::serve(inbox, self.options.batch_max, |batch| self.revoke(batch)).await;
    }
}

impl<S: TokenStore> Revoker<S> {
    /// One that nobody waits for any more is done all the same: its client wanted the token dead.
    async fn revoke(&self, batch: Vec<Revoke>) {
        let found = self.store.find(batch.iter().map(|revoke| revoke.address).collect()).await;
        let mut doomed = Vec::with_capacity(batch.len());
        for (revoke, found) in batch.into_iter().zip(found) {
            match judge(&revoke.client_id, found) {
                Ok(Revocation::NotOwner) => revoke.reply.send(Ok(Revocation::NotOwner)),
                Ok(verdict) => doomed.push((revoke, verdict)),
                Err(error) => revoke.reply.send(Err(error.into())),
            }
        }
        if doomed.is_empty() {
            return;
        }
        let deletion = |revoke: &Revoke| Deletion { address: revoke.address, client_id: revoke.client_id.clone() };
        let deleted = self.store.delete(doomed.iter().map(|(revoke, _)| deletion(revoke)).collect()).await;
        failpoint::reach(FailPoint::Revoker);
        for ((revoke, verdict), deleted) in doomed.into_iter().zip(deleted) {
            revoke.reply.send(deleted.map(|()| verdict).map_err(ActorError::from));
        }
    }
}

/// What to say once the delete is answered. A record that was not found is deleted all the same: the first try of a client that
/// tries again may still be under way. One whose seal is broken counts as no token, and is cleared away.
fn judge(client_id: &ClientId, found: Result<Lookup, StoreError>) -> Result<Revocation, StoreError> {
    match found? {
        Lookup::Found(record) if record.grant.client_id() == client_id => Ok(Revocation::Revoked),
        Lookup::Found(_) => Ok(Revocation::NotOwner),
        Lookup::NotFound | Lookup::SealBroken => Ok(Revocation::NotFound),
    }
}
