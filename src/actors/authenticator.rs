//! Authenticates clients: presented credentials come in, a registered client goes out.
//!
//! Invariant: an unknown client costs what a known one does, and no answer tells the two apart; why one was refused is for
//! metrics and logs alone. Assertions are judged by what they say before any signature is verified, so there the time tells who is
//! registered.

mod by_key;
mod coarse_time;
mod slow_secrets;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use self::coarse_time::CoarseTime;
use super::courier::WantedKeys;
use super::guesses::{Guesses, TooMany};
use super::mailbox::{Inbox, Mailbox, Reply};
use super::supervisor::{Actor, Supervised};
use super::verifier::{Claim, UnverifiedSecret, UnverifiedSignature};
use super::{ActorError, Deadline, Surroundings};
use crate::clock::Clock;
use crate::failpoint::{self, FailPoint};
use crate::oauth::client::{AuthMethod, Client, ClientId, Clients};
use crate::oauth::client_assertion::{AssertionFault, Audiences};
use crate::oauth::client_certificate::CertificateFault;
use crate::oauth::client_secret::Matches;
use crate::oauth::credentials::{PresentedCredentials, PresentedMethod, SecretReading, Unproven};
use crate::oauth::profile::Profile;
use crate::oauth::remembered_secrets::MemoryKey;
use crate::oauth::replay::SingleUse;
use crate::oauth::source::Source;
use crate::oauth::time::Timestamp;
use crate::telemetry::labels::ActorName;

/// Messages that an authenticator takes at once; it waits for nothing between them.
const BATCH_MAX: usize = 256;

/// Asks who somebody is. Cheap to clone; after the last drop the authenticator empties its inbox and stops.
#[derive(Clone, Debug)]
pub struct AuthenticatorHandle {
    mailbox: Mailbox<Authenticate, Authentication>,
    clients: Arc<ArcSwap<Clients>>,
}

/// What became of an authentication.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// The client has proved who it is.
    Proven(Arc<Client>),
    /// It has, if this is the first use of what it proved it by.
    ProvenOnce(Arc<Client>, SingleUse),
    /// It has not. One answer to the client, whatever the reason.
    Refused(Refusal),
    /// Nobody can tell before these keys are fetched: then it can be asked again.
    KeysWanted(WantedKeys),
    /// Nobody can tell before it was compared with hashes that are slow on purpose: then it can be asked again.
    SecretUnverified(Box<UnverifiedSecret>),
    /// The same of an assertion whose key is slow to verify by.
    SignatureUnverified(Box<UnverifiedSignature>),
}

/// Why an authentication was refused, and of whom, where the name is a registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// Of the client that was judged: nobody's where none of that name is registered.
    judged: Option<ClientId>,
}

impl Refusal {
    /// For this reason, and of this client, where one was named that is registered.
    pub fn new(reason: RefusalReason, client_id: Option<ClientId>) -> Self {
        Self { reason, judged: client_id }
    }

    /// The registered client that was named; `None` where no such client is registered or none was named.
    pub fn client_id(&self) -> Option<&ClientId> {
        self.judged.as_ref().filter(|id| !id.is_nobodys())
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No client of that id is registered.
    UnknownClient,
    /// None of the client's secrets.
    WrongSecret,
    /// One of the client's secrets, whose time is over.
    SecretExpired,
    /// The client is disabled.
    ClientDisabled,
    /// Registered for another method (row A14).
    MethodNotRegistered,
    /// An Authorization header that cannot be read.
    Malformed,
    /// Nothing was presented.
    Missing,
    /// The `client_id` beside an assertion is another's (row W03).
    OtherClient,
    /// An assertion that does not prove it.
    Assertion(AssertionFault),
    /// A certificate that does not prove it.
    Certificate(CertificateFault),
    /// No proof either, and the last of too many from its source (row A22).
    TooMany {
        /// Whole seconds until it may be wrong again.
        retry_after_seconds: u32,
    },
}

/// What an authenticator is told.
#[derive(Clone, Debug)]
pub struct AuthenticatorOptions {
    /// Whom assertions must be meant for.
    pub audiences: Audiences,
    /// Where time comes from.
    pub clock: Clock,
    /// Where the process counts what proved nothing.
    pub guesses: Arc<Guesses>,
    /// By what the process knows secrets with slow hashes.
    pub memory: Arc<MemoryKey>,
    /// Which further rules hold.
    pub profile: Profile,
}

struct Authenticate {
    presented: PresentedCredentials,
    source: Option<Source>,
    reply: Reply<Authentication>,
}

struct Authenticator {
    clients: Arc<ArcSwap<Clients>>,
    options: AuthenticatorOptions,
    /// When secrets are used: to the second, so that no request pays for a look at the clock.
    time: CoarseTime,
}

/// What a batch is judged by.
struct Judge<'a> {
    clients: &'a Clients,
    options: &'a AuthenticatorOptions,
    /// When the batch was taken.
    taken: Instant,
    /// The same, to the second.
    used_at: Timestamp,
}

impl AuthenticatorHandle {
    /// An authenticator in these surroundings, and the task that it is.
    pub(crate) fn start(
        around: &Surroundings,
        clients: Arc<ArcSwap<Clients>>,
        options: AuthenticatorOptions,
    ) -> (Self, Supervised) {
        let registry = clients.clone();
        let make = move || Authenticator {
            clients: registry.clone(),
            time: CoarseTime::of(options.clock.clone()),
            options: options.clone(),
        };
        let (mailbox, task) = around.start(ActorName::Authenticator, make);
        (Self { mailbox, clients }, task)
    }

    /// Who presented these credentials, from this source.
    ///
    /// # Errors
    /// [`ActorError`]: nobody has looked.
    pub fn authenticate(
        &self,
        by: Deadline,
        presented: PresentedCredentials,
        source: Option<Source>,
    ) -> impl Future<Output = Result<Authentication, ActorError>> {
        self.mailbox.ask(by, move |reply| Authenticate { presented, source, reply })
    }

    /// As [`AuthenticatorHandle::authenticate`], in the lane that load on the other endpoints cannot fill.
    ///
    /// # Errors
    /// [`ActorError`].
    pub fn authenticate_for_revocation(
        &self,
        by: Deadline,
        presented: PresentedCredentials,
        source: Option<Source>,
    ) -> impl Future<Output = Result<Authentication, ActorError>> {
        self.mailbox.ask_reserved(by, move |reply| Authenticate { presented, source, reply })
    }

    /// The registry as it is now.
    pub fn clients(&self) -> Arc<Clients> {
        self.clients.load_full()
    }
}

impl Actor<Authenticate> for Authenticator {
    async fn run(mut self, inbox: &mut Inbox<Authenticate>) {
        while let Some(batch) = inbox.next_batch(BATCH_MAX).await {
            failpoint::reach(FailPoint::Authenticator);
            let clients = self.clients.load();
            let taken = inbox.last_taken();
            let used_at = self.time.at(taken);
            let judge = Judge { clients: &clients, options: &self.options, taken, used_at };
            for Authenticate { presented, source, reply } in batch {
                if reply.is_awaited() {
                    reply.send(Ok(judge.judge(&presented, source)));
                }
            }
        }
    }
}

impl Judge<'_> {
    fn judge(&self, presented: &PresentedCredentials, source: Option<Source>) -> Authentication {
        match presented {
            // Nobody's is looked at: that tells nothing of who is registered.
            PresentedCredentials::Secret { .. } if self.options.profile == Profile::Bcp => {
                refused(RefusalReason::MethodNotRegistered, None)
            }
            PresentedCredentials::Secret { method, first, second } => {
                let judged = self.judge_readings(*method, first, second.as_ref());
                self.count(judged, first.client_id().as_bytes(), source)
            }
            PresentedCredentials::Assertion(presented) => {
                let named = presented.assertion.as_ref().ok().and_then(|assertion| assertion.subject());
                self.count(self.judge_assertion(presented), named.unwrap_or_default().as_bytes(), source)
            }
            PresentedCredentials::Certificate(presented) => {
                self.count(self.judge_certificate(presented), presented.client_id.as_bytes(), source)
            }
            // A Bearer token is judged by the Inspector; here it proves nothing.
            PresentedCredentials::Bearer(_) => refused(RefusalReason::Missing, None),
            PresentedCredentials::Unproven(Unproven::Missing) => refused(RefusalReason::Missing, None),
            PresentedCredentials::Unproven(Unproven::Malformed) => refused(RefusalReason::Malformed, None),
            PresentedCredentials::Unproven(Unproven::Unsupported) => refused(RefusalReason::MethodNotRegistered, None),
        }
    }

    /// What proves nothing counts against whoever sent it, once a request. Judged first: what is known to be right is never
    /// refused for what was wrong.
    fn count(&self, judged: Authentication, named: &[u8], source: Option<Source>) -> Authentication {
        let (reason, client_id) = match judged {
            Authentication::Refused(Refusal { reason, judged }) => (reason, judged),
            Authentication::SecretUnverified(ref unverified) => {
                let client_id = unverified.client().map(|client| client.id().clone());
                return self.admit(client_id, named, source).unwrap_or(judged);
            }
            Authentication::SignatureUnverified(ref unverified) => {
                let client_id = Some(unverified.client.id().clone());
                return self.admit(client_id, named, source).unwrap_or(judged);
            }
            Authentication::Proven(_) | Authentication::ProvenOnce(..) | Authentication::KeysWanted(_) => {
                return judged;
            }
        };
        let is_guess = match reason {
            RefusalReason::UnknownClient
            | RefusalReason::WrongSecret
            | RefusalReason::Assertion(_)
            | RefusalReason::Certificate(CertificateFault::Untrusted) => true,
            RefusalReason::SecretExpired
            | RefusalReason::ClientDisabled
            | RefusalReason::MethodNotRegistered
            | RefusalReason::Malformed
            | RefusalReason::Missing
            | RefusalReason::OtherClient
            // Whose private key somebody has is nothing that is guessed, and to compare costs no signature.
            | RefusalReason::Certificate(CertificateFault::Subject | CertificateFault::Unknown)
            | RefusalReason::TooMany { .. } => false,
        };
        // An assertion that cannot be read names nobody.
        let is_guess = is_guess && !named.is_empty();
        let reason = match is_guess.then(|| self.options.guesses.count((named, source), self.taken)) {
            Some(Err(TooMany { retry_after_seconds })) => RefusalReason::TooMany { retry_after_seconds },
            Some(Ok(())) | None => reason,
        };
        refused(reason, client_id)
    }

    /// Row A03: as the RFC reads it, and where that proves nothing, as it stands.
    fn judge_readings(
        &self,
        method: PresentedMethod,
        first: &SecretReading,
        second: Option<&SecretReading>,
    ) -> Authentication {
        let by_the_rfc = self.judge_secret(method, first);
        match (&by_the_rfc, second) {
            (Authentication::Refused(_) | Authentication::SecretUnverified(_), Some(second)) => {
                match self.judge_secret(method, second) {
                    Authentication::Refused(Refusal {
                        reason: RefusalReason::UnknownClient | RefusalReason::WrongSecret,
                        ..
                    }) => by_the_rfc,
                    Authentication::SecretUnverified(raw) => slow_secrets::either(by_the_rfc, raw),
                    raw => raw,
                }
            }
            (
                Authentication::Proven(_)
                | Authentication::ProvenOnce(..)
                | Authentication::KeysWanted(_)
                | Authentication::SignatureUnverified(_),
                _,
            )
            | (_, None) => by_the_rfc,
        }
    }

    fn judge_secret(&self, method: PresentedMethod, reading: &SecretReading) -> Authentication {
        let known = self.clients.get(reading.client_id());
        // Where nobody is registered, one stands in who has a secret that nobody knows: the same work whoever is named.
        let client = known.unwrap_or_else(|| self.clients.nobody());
        let matches = Matches::of(reading.secret(), &client.registration().secrets);
        if !matches.any() && client.has_slow_secrets() {
            return self.judge_slow_secret(method, client, reading);
        }
        self.conclude(method, known, client, matches)
    }

    /// What a secret proves that is these of the client's: of `known`, or of nobody.
    #[inline(always)]
    fn conclude(
        &self,
        method: PresentedMethod,
        known: Option<&Arc<Client>>,
        client: &Arc<Client>,
        matches: Matches,
    ) -> Authentication {
        let registration = client.registration();
        let secrets = &registration.secrets;
        let now = || Timestamp::from_unix_millis(self.options.clock.unix_millis());
        let reason = if !matches.any() {
            if known.is_some() { RefusalReason::WrongSecret } else { RefusalReason::UnknownClient }
        } else if registration.disabled {
            RefusalReason::ClientDisabled
        } else if registration.strict_auth_method && !matches_method(registration.auth_method, method) {
            RefusalReason::MethodNotRegistered
        } else if let Some(place) = matches.first_good(secrets, now) {
            client.secret_uses().note(place, self.used_at);
            return Authentication::Proven(client.clone());
        } else {
            RefusalReason::SecretExpired
        };
        self.clients.even_out(known);
        refused(reason, Some(client.id().clone()))
    }
}

fn matches_method(registered: AuthMethod, presented: PresentedMethod) -> bool {
    matches!(
        (registered, presented),
        (AuthMethod::ClientSecretBasic, PresentedMethod::Basic) | (AuthMethod::ClientSecretPost, PresentedMethod::Post)
    )
}

fn refused(reason: RefusalReason, client_id: Option<ClientId>) -> Authentication {
    Authentication::Refused(Refusal::new(reason, client_id))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod timing;
