//! Mints tokens, in batches: a [`Grant`] comes in, a token already in the store goes out.
//!
//! Invariants: no caller ever sees a token that the store has not accepted; a mint is never sent to the store twice; every random
//! bit of a batch is drawn for it and none is kept.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::mailbox::{Inbox, Mailbox, Reply};
use super::supervisor::{Actor, Supervised};
use super::{ActorError, Deadline, Surroundings, window};
use crate::clock::Clock;
use crate::failpoint::{self, FailPoint};
use crate::oauth::grant::Grant;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Confirmation, RANDOM_BYTES, Token, TokenAddress, TokenRecord};
use crate::random::Random;
use crate::store::{NewRecord, StoreError, TokenStore};
use crate::telemetry::labels::ActorName;

/// Asks for tokens. Cheap to clone; after the last drop the minter empties its inbox and stops.
#[derive(Clone, Debug)]
pub struct MinterHandle(Mailbox<Mint, Minted>);

/// A token that the store has, and where.
#[derive(Clone, Debug)]
pub struct Minted {
    /// For the client alone.
    pub token: Token,
    /// For logs: its `jti`.
    pub address: TokenAddress,
}

/// What a minter is told.
#[derive(Clone, Debug)]
pub struct MinterOptions {
    /// Stands before each token.
    pub prefix: Arc<str>,
    /// The service's keys, as they are now.
    pub keys: Arc<ArcSwap<ServiceKeys>>,
    /// Tokens in one round trip to the store.
    pub batch_max: usize,
    /// Where time comes from.
    pub clock: Clock,
    /// Where the tokens' bits come from.
    pub random: Random,
}

struct Mint {
    grant: Arc<Grant>,
    lifetime: Lifetime,
    confirmation: Option<Confirmation>,
    reply: Reply<Minted>,
}

struct Minter<S> {
    store: S,
    options: MinterOptions,
}

impl MinterHandle {
    /// A minter in these surroundings, and the task that it is.
    pub(crate) fn start<S: TokenStore + Clone>(
        around: &Surroundings,
        store: S,
        options: MinterOptions,
    ) -> (Self, Supervised) {
        let make = move || Minter { store: store.clone(), options: options.clone() };
        let (mailbox, task) = around.start(ActorName::Minter, make);
        (Self(mailbox), task)
    }

    /// Makes a token and stores it; answered when the store has accepted it.
    ///
    /// # Errors
    /// [`ActorError`]; a token that may have been stored then is held by nobody and ends by its TTL.
    pub fn mint(
        &self,
        by: Deadline,
        grant: Arc<Grant>,
        lifetime: Lifetime,
        confirmation: Option<Confirmation>,
    ) -> impl Future<Output = Result<Minted, ActorError>> {
        self.0.ask(by, |reply| Mint { grant, lifetime, confirmation, reply })
    }
}

impl<S: TokenStore> Actor<Mint> for Minter<S> {
    async fn run(self, inbox: &mut Inbox<Mint>) {
        window::serve(inbox, self.options.batch_max, |batch| self.mint(batch)).await;
    }
}

impl<S: TokenStore> Minter<S> {
    async fn mint(&self, mut batch: Vec<Mint>) {
        // Nobody waits: mint nothing.
        batch.retain(|mint| mint.reply.is_awaited());
        let (made, records) = self.make(batch);
        let saved = self.store.save(records).await;
        failpoint::reach(FailPoint::Minter);
        for ((reply, minted), saved) in made.into_iter().zip(saved) {
            reply.send(saved.map(|()| minted).map_err(ActorError::from));
        }
    }

    /// Tokens and records for a batch; whoever cannot have one is answered here. The clock is read and random bits are drawn once.
    fn make(&self, batch: Vec<Mint>) -> (Vec<(Reply<Minted>, Minted)>, Vec<NewRecord>) {
        let now = Timestamp::from_unix_millis(self.options.clock.unix_millis());
        let keys = self.options.keys.load();
        let mut random = vec![0; batch.len() * RANDOM_BYTES];
        let drawn = self.options.random.fill(&mut random).map_err(|_| StoreError::Internal);
        let (bits, _) = random.as_chunks::<RANDOM_BYTES>();

        let (mut made, mut records) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (mint, bits) in batch.into_iter().zip(bits) {
            let bound = mint.confirmation.is_some();
            match drawn.and_then(|()| self.store.open_page(now, mint.lifetime, bound)) {
                Ok(page) => {
                    let (token, address) = Token::make(&self.options.prefix, keys.maker(now), page, bits);
                    let Mint { grant, lifetime, confirmation, reply } = mint;
                    let record = TokenRecord { issued_at: now, lifetime, grant, confirmation };
                    made.push((reply, Minted { token, address }));
                    records.push(NewRecord { address, record });
                }
                Err(error) => mint.reply.send(Err(error.into())),
            }
        }
        (made, records)
    }
}
