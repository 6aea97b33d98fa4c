//! Looks tokens up, in batches: an address comes in, what the store holds there goes out.
//!
//! Invariants: equal questions of a batch are asked once (but where 64 random bits of two others collide); a token is live only before its own expiry, whatever the store keeps;
//! a fault of the store is never an answer about a token.

use super::mailbox::{Inbox, Mailbox, Reply};
use super::supervisor::{Actor, Supervised};
use super::{ActorError, Deadline, Surroundings, window};
use crate::clock::Clock;
use crate::failpoint::{self, FailPoint};
use crate::oauth::time::Timestamp;
use crate::oauth::token::{TokenAddress, TokenRecord};
use crate::store::{Lookup, StoreError, TokenStore};
use crate::telemetry::labels::ActorName;

/// Asks after tokens. Cheap to clone; after the last drop the inspector empties its inbox and stops.
#[derive(Clone, Debug)]
pub struct InspectorHandle(Mailbox<Inspect, Inspection>);

/// What is known of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Inspection {
    /// It is in the store and has not expired.
    Live(TokenRecord),
    /// It is no live token.
    Inactive(Reason),
}

/// Why a token is not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The store has no record: revoked, expired, or never accepted.
    NotFound,
    /// Its end has come.
    Expired,
    /// What lies at its address was not sealed for it.
    Seal,
}

/// What an inspector is told.
#[derive(Clone, Debug)]
pub struct InspectorOptions {
    /// Questions in one round trip to the store.
    pub batch_max: usize,
    /// Where time comes from.
    pub clock: Clock,
}

struct Inspect {
    address: TokenAddress,
    reply: Reply<Inspection>,
}

struct Inspector<S> {
    store: S,
    options: InspectorOptions,
}

impl InspectorHandle {
    /// An inspector in these surroundings, and the task that it is.
    pub(crate) fn start<S: TokenStore + Clone>(
        around: &Surroundings,
        store: S,
        options: InspectorOptions,
    ) -> (Self, Supervised) {
        let make = move || Inspector { store: store.clone(), options: options.clone() };
        let (mailbox, task) = around.start(ActorName::Inspector, make);
        (Self(mailbox), task)
    }

    /// What is known of the token at `address`.
    ///
    /// # Errors
    /// [`ActorError`]: nothing is known.
    pub fn inspect(&self, by: Deadline, address: TokenAddress) -> impl Future<Output = Result<Inspection, ActorError>> {
        self.0.ask(by, |reply| Inspect { address, reply })
    }
}

impl<S: TokenStore> Actor<Inspect> for Inspector<S> {
    async fn run(self, inbox: &mut Inbox<Inspect>) {
        window::serve(inbox, self.options.batch_max, |batch| self.inspect(batch)).await;
    }
}

impl<S: TokenStore> Inspector<S> {
    async fn inspect(&self, mut batch: Vec<Inspect>) {
        batch.retain(|inspect| inspect.reply.is_awaited());
        let (questions, places) = distinct(&batch);
        let found = self.store.find(questions).await;
        failpoint::reach(FailPoint::Inspector);
        let now = Timestamp::from_unix_millis(self.options.clock.unix_millis());
        for (Inspect { reply, .. }, place) in batch.into_iter().zip(places) {
            // A store answers as many items as it was asked.
            let found = found.get(place).cloned().unwrap_or(Err(StoreError::Internal));
            reply.send(found.map(|lookup| judge(lookup, now)).map_err(ActorError::from));
        }
    }
}

/// Each address once, and for each question of the batch the place of its address.
fn distinct(batch: &[Inspect]) -> (Vec<TokenAddress>, Vec<usize>) {
    // Equal addresses stand beside each other once sorted by what is random in them.
    let mut order: Vec<_> =
        batch.iter().enumerate().map(|(at, asked)| (u64::from_ne_bytes(asked.address.field()), at)).collect();
    order.sort_unstable();
    let mut addresses = Vec::with_capacity(batch.len());
    let mut places = vec![0; batch.len()];
    for (_, at) in order {
        let address = batch[at].address;
        if addresses.last() != Some(&address) {
            addresses.push(address);
        }
        places[at] = addresses.len() - 1;
    }
    (addresses, places)
}

fn judge(lookup: Lookup, now: Timestamp) -> Inspection {
    match lookup {
        Lookup::Found(record) if record.has_expired(now) => Inspection::Inactive(Reason::Expired),
        Lookup::Found(record) => Inspection::Live(record),
        Lookup::NotFound => Inspection::Inactive(Reason::NotFound),
        Lookup::SealBroken => Inspection::Inactive(Reason::Seal),
    }
}
