//! Who asks: proof is presented, a client comes out, and every try is counted.
//!
//! Invariant: the caller is told one thing whatever the reason; the reason goes to the metric, and to the minute's log line.

use std::sync::Arc;

use super::standing::{self, Standing};
use crate::actors::ActorError;
use crate::actors::authenticator::{Authentication, Refusal, RefusalReason};
use crate::actors::verifier::{UnverifiedSecret, Verdict};
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::Notes;
use crate::oauth::client::{self, Client, ClientId};
use crate::oauth::client_assertion::AssertionFault;
use crate::oauth::client_certificate::{CertificateFault, PresentedCertificate};
use crate::oauth::credentials::{Endpoint, PresentedCredentials, PresentedMethod, Unproven};
use crate::oauth::error::ProtocolError;
use crate::oauth::form::Form;
use crate::oauth::introspection;
use crate::oauth::replay::{Claimed, SingleUse};
use crate::oauth::source::Source;
use crate::telemetry::labels::{AuthMethod, AuthOutcome, IntrospectionOutcome, Label, LimitMode, LimitName};

const NO_CLIENT_ID: ProtocolError = ProtocolError::InvalidRequest("client_id is missing beside the certificate");
const TWO_CLIENTS: ProtocolError = ProtocolError::InvalidRequest("client_id is not that of the assertion");

/// A client that has proved who it is, and how.
pub(super) struct Caller {
    pub(super) client: Arc<Client>,
    pub(super) method: AuthMethod,
}

/// Who it is, with nothing left to be asked; or why nobody.
type Judged = Result<Arc<Client>, Refusal>;

/// What a request presents as proof: in its head, in its form, and, where both hold nothing, by the certificate of its connection.
pub(super) fn presented(
    services: &Services,
    endpoint: Endpoint,
    asked: &Asked<'_>,
    form: &Form<'_>,
) -> Result<PresentedCredentials, ProtocolError> {
    let presented = PresentedCredentials::parse(endpoint, asked.head.authorization.iter(), form)?;
    let (PresentedCredentials::Unproven(Unproven::Missing), Some(certificate), Some(authorities)) =
        (&presented, &asked.certificate, &services.shared.authorities)
    else {
        return Ok(presented);
    };
    // "the client MUST include the "client_id" parameter" (RFC 8705 section 2; row X02).
    let client_id = form.client_id.as_deref().ok_or(NO_CLIENT_ID)?;
    let (shown, authorities) = (certificate.clone(), authorities.load_full());
    Ok(PresentedCredentials::Certificate(Box::new(PresentedCertificate {
        client_id: client_id.into(),
        der: certificate.der.clone(),
        is_trusted: Box::new(move |now| shown.is_trusted_by(&authorities, now)),
    })))
}

/// The client that presented this.
pub(super) async fn authenticate(
    services: &Services,
    asked: &Asked<'_>,
    presented: PresentedCredentials,
    notes: &mut Notes,
) -> Result<Caller, Failure> {
    let method = method(&presented);
    let ask = |presented| services.authenticator.authenticate(asked.by, presented, source(asked));
    let judged = once_it_can_be_told(services, asked, presented, ask).await;
    let once = async |single_use| services.notary.note(asked.by, single_use).await;
    conclude(services, asked, method, judged, once, notes).await
}

/// The same, in the lane that load on the other endpoints cannot fill.
pub(super) async fn authenticate_for_revocation(
    services: &Services,
    asked: &Asked<'_>,
    presented: PresentedCredentials,
    notes: &mut Notes,
) -> Result<Caller, Failure> {
    let method = method(&presented);
    let ask = |presented| services.authenticator.authenticate_for_revocation(asked.by, presented, source(asked));
    let judged = once_it_can_be_told(services, asked, presented, ask).await;
    let once = async |single_use| services.notary.note_for_revocation(asked.by, single_use).await;
    conclude(services, asked, method, judged, once, notes).await
}

/// Asks, and where nobody can tell yet, sees to it that somebody can, within the deadline of the request, and asks once more: when keys that
/// the client publishes were fetched, so that who has just begun to sign with a new one is let in with it (row W14), or when a secret with a
/// slow hash was verified.
async fn once_it_can_be_told<A: Future<Output = Result<Authentication, ActorError>>>(
    services: &Services,
    asked: &Asked<'_>,
    presented: PresentedCredentials,
    ask: impl Fn(PresentedCredentials) -> A,
) -> Result<Authentication, ActorError> {
    let again = presented.again();
    let first = ask(presented).await?;
    // Apart: no other request should carry the waits about.
    match (first, again) {
        (Authentication::KeysWanted(wanted), Some(presented)) => {
            Box::pin(services.shared.courier.fetched(asked.by, &wanted)).await?;
            ask(presented).await
        }
        (Authentication::SecretUnverified(unverified), _) => {
            let unverified: Arc<UnverifiedSecret> = unverified.into();
            let verified = services.shared.verifier.verify(asked.by, unverified.clone(), source(asked));
            let reason = match Box::pin(verified).await? {
                Verdict::Right => return ask(unverified.presented()).await,
                Verdict::Wrong => RefusalReason::WrongSecret,
                Verdict::TooMany { retry_after_seconds } => RefusalReason::TooMany { retry_after_seconds },
            };
            let client_id = unverified.client().map(|client| client.id().clone());
            Ok(Authentication::Refused(Refusal::new(reason, client_id)))
        }
        (Authentication::SignatureUnverified(unverified), _) => {
            let presented = unverified.presented();
            Box::pin(services.shared.verifier.settle(asked.by, *unverified)).await?;
            ask(presented).await
        }
        (told, _) => Ok(told),
    }
}

/// The last of all checks: "The authorization server MAY ensure that JWTs are not replayed by maintaining the set of used "jti" values"
/// (RFC 7523 section 3). This one does, and refuses where it cannot.
fn judge_use(client: Arc<Client>, claimed: Claimed) -> Judged {
    match claimed {
        Claimed::First => Ok(client),
        Claimed::Used => {
            Err(Refusal::new(RefusalReason::Assertion(AssertionFault::Replayed), Some(client.id().clone())))
        }
    }
}

fn source(asked: &Asked<'_>) -> Option<Source> {
    asked.source.map(Source::of)
}

fn method(presented: &PresentedCredentials) -> AuthMethod {
    match presented {
        PresentedCredentials::Secret { method: PresentedMethod::Basic, .. } => AuthMethod::Basic,
        PresentedCredentials::Secret { method: PresentedMethod::Post, .. } => AuthMethod::Post,
        PresentedCredentials::Assertion(_) => AuthMethod::PrivateKeyJwt,
        PresentedCredentials::Certificate(_) => AuthMethod::TlsClientAuth,
        PresentedCredentials::Bearer(_) => AuthMethod::Bearer,
        PresentedCredentials::Unproven(_) => AuthMethod::None,
    }
}

/// By what a client was proven that has nothing left to be asked: which of two methods a certificate was says its registration, and an
/// assertion of its own would be good once.
fn method_of(client: &Client, presented: AuthMethod) -> AuthMethod {
    match (presented, client.registration().auth_method) {
        (AuthMethod::TlsClientAuth, client::AuthMethod::SelfSignedTlsClientAuth) => AuthMethod::SelfSignedTlsClientAuth,
        (AuthMethod::PrivateKeyJwt, _) => AuthMethod::WorkloadIdentity,
        (presented, _) => presented,
    }
}

/// Counts a try, and says what became of it; `once` notes the use of what proves once.
async fn conclude(
    services: &Services,
    asked: &Asked<'_>,
    mut method: AuthMethod,
    judged: Result<Authentication, ActorError>,
    once: impl AsyncFnOnce(SingleUse) -> Result<Claimed, ActorError>,
    notes: &mut Notes,
) -> Result<Caller, Failure> {
    let known = match judged {
        Ok(Authentication::ProvenOnce(client, single_use)) => {
            once(single_use).await.map(|claimed| judge_use(client, claimed))
        }
        Ok(Authentication::Proven(client)) => {
            method = method_of(&client, method);
            Ok(Ok(client))
        }
        Ok(Authentication::Refused(refusal)) => Ok(Err(refusal)),
        Ok(Authentication::KeysWanted(wanted)) => Err(wanted.unknown()),
        // What was known of it a moment ago went with a reload: the next request finds the clients as they are now.
        Ok(Authentication::SecretUnverified(_) | Authentication::SignatureUnverified(_)) => Err(ActorError::Lost),
        Err(error) => Err(error),
    };
    match known {
        Ok(Ok(client)) => {
            count(services, method, AuthOutcome::Success);
            notes.client(client.id());
            Ok(Caller { client, method })
        }
        Ok(Err(refusal)) => {
            let reason = refusal.reason;
            if let Some(client_id) = refusal.client_id() {
                notes.client(client_id);
            }
            if let RefusalReason::TooMany { .. } = reason {
                services.shared.metrics.limited(LimitName::WrongProofs, LimitMode::Enforce);
            }
            let client = refusal.client_id().map(ClientId::as_str);
            refused(services, asked, method, outcome(reason), client, notes);
            Err(error(reason).into())
        }
        Err(error) => {
            count(services, method, AuthOutcome::Unavailable);
            Err(error.into())
        }
    }
}

fn outcome(reason: RefusalReason) -> AuthOutcome {
    match reason {
        RefusalReason::UnknownClient => AuthOutcome::UnknownClient,
        RefusalReason::WrongSecret => AuthOutcome::WrongSecret,
        RefusalReason::SecretExpired => AuthOutcome::SecretExpired,
        RefusalReason::ClientDisabled => AuthOutcome::ClientDisabled,
        RefusalReason::MethodNotRegistered => AuthOutcome::MethodNotRegistered,
        RefusalReason::Malformed => AuthOutcome::Malformed,
        RefusalReason::Missing => AuthOutcome::Missing,
        RefusalReason::OtherClient => AuthOutcome::WrongClaims,
        RefusalReason::TooMany { .. } => AuthOutcome::RateLimited,
        RefusalReason::Certificate(fault) => match fault {
            CertificateFault::Untrusted => AuthOutcome::UntrustedCertificate,
            CertificateFault::Subject => AuthOutcome::WrongSubject,
            CertificateFault::Unknown => AuthOutcome::UnknownKey,
        },
        RefusalReason::Assertion(fault) => match fault {
            AssertionFault::Malformed => AuthOutcome::Malformed,
            AssertionFault::Claims => AuthOutcome::WrongClaims,
            AssertionFault::Audience => AuthOutcome::WrongAudience,
            AssertionFault::Expired => AuthOutcome::AssertionExpired,
            AssertionFault::Times => AuthOutcome::WrongTimes,
            AssertionFault::Key => AuthOutcome::UnknownKey,
            AssertionFault::Signature => AuthOutcome::WrongSignature,
            AssertionFault::Replayed => AuthOutcome::Replayed,
        },
    }
}

fn error(reason: RefusalReason) -> ProtocolError {
    match reason {
        // Two parts of one request that contradict each other tell nothing about a client (row W03).
        RefusalReason::OtherClient => TWO_CLIENTS,
        RefusalReason::TooMany { retry_after_seconds } => ProtocolError::TooManyFailures { retry_after_seconds },
        RefusalReason::UnknownClient
        | RefusalReason::WrongSecret
        | RefusalReason::SecretExpired
        | RefusalReason::ClientDisabled
        | RefusalReason::MethodNotRegistered
        | RefusalReason::Malformed
        | RefusalReason::Missing
        | RefusalReason::Certificate(_)
        | RefusalReason::Assertion(_) => ProtocolError::InvalidClient,
    }
}

/// The client of a Bearer token of our own (row I05): active, not bound, meant for this server, of a client that may introspect.
pub(super) async fn authenticate_by_bearer(
    services: &Services,
    asked: &Asked<'_>,
    token: &str,
    notes: &mut Notes,
) -> Result<Arc<Client>, Failure> {
    // What is noted of the token that authorises would be mistaken for the one asked about.
    let standing = standing::of(services, asked.by, token, &mut Notes::default()).await;
    let (outcome, client) = match standing {
        Err(error) => {
            count(services, AuthMethod::Bearer, AuthOutcome::Unavailable);
            return Err(error.into());
        }
        Ok(Standing::Inactive(why)) => (outcome_of_inactive(why), None),
        Ok(Standing::Active(_, record)) => {
            let client = services.authenticator.clients().get(record.grant.client_id().as_str()).cloned();
            let issuer = services.shared.issuer.as_str();
            let may = |client: &Arc<Client>| introspection::may_call_with_bearer(client, &record, issuer);
            if let Some(client) = client.as_ref().filter(|client| may(client)) {
                count(services, AuthMethod::Bearer, AuthOutcome::Success);
                notes.client(client.id());
                return Ok(client.clone());
            }
            (AuthOutcome::MethodNotRegistered, client)
        }
    };
    let client = client.as_ref().map(|client| client.id().as_str());
    refused(services, asked, AuthMethod::Bearer, outcome, client, notes);
    Err(ProtocolError::InvalidToken.into())
}

fn outcome_of_inactive(why: IntrospectionOutcome) -> AuthOutcome {
    match why {
        IntrospectionOutcome::Malformed => AuthOutcome::Malformed,
        IntrospectionOutcome::Expired | IntrospectionOutcome::NotFound | IntrospectionOutcome::NotBefore => {
            AuthOutcome::SecretExpired
        }
        IntrospectionOutcome::ClientGone => AuthOutcome::UnknownClient,
        IntrospectionOutcome::ClientDisabled => AuthOutcome::ClientDisabled,
        _ => AuthOutcome::WrongSecret,
    }
}

fn count(services: &Services, method: AuthMethod, outcome: AuthOutcome) {
    services.shared.metrics.client_authentication(method, outcome);
}

fn refused(
    services: &Services,
    asked: &Asked<'_>,
    method: AuthMethod,
    outcome: AuthOutcome,
    client: Option<&str>,
    notes: &mut Notes,
) {
    count(services, method, outcome);
    notes.reason(outcome.as_str());
    let shared = &services.shared;
    shared.failures.note(client, outcome.as_str(), asked.source, shared.clock.unix_millis());
}
