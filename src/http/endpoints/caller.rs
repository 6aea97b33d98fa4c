//! Who asks: proof is presented, a client comes out, and every try is counted.
//!
//! Invariant: the caller is told one thing whatever the reason; the reason goes to the metric, and to the minute's log line.

use std::sync::Arc;

use super::standing::{self, Standing};
use crate::actors::ActorError;
use crate::actors::authenticator::{Authentication, Refusal, RefusalReason};
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::Notes;
use crate::oauth::client::Client;
use crate::oauth::credentials::{PresentedCredentials, PresentedMethod};
use crate::oauth::error::ProtocolError;
use crate::oauth::introspection;
use crate::telemetry::labels::{AuthMethod, AuthOutcome, IntrospectionOutcome, Label};

/// A client that has proved who it is, and how.
pub(super) struct Caller {
    pub(super) client: Arc<Client>,
    pub(super) method: AuthMethod,
}

/// The client that presented this.
pub(super) async fn authenticate(
    services: &Services,
    asked: &Asked<'_>,
    presented: PresentedCredentials,
    notes: &mut Notes,
) -> Result<Caller, Failure> {
    let method = method(&presented);
    let answer = services.authenticator.authenticate(asked.by, presented).await;
    conclude(services, asked, method, answer, notes)
}

/// The same, in the lane that load on the other endpoints cannot fill.
pub(super) async fn authenticate_for_revocation(
    services: &Services,
    asked: &Asked<'_>,
    presented: PresentedCredentials,
    notes: &mut Notes,
) -> Result<Caller, Failure> {
    let method = method(&presented);
    let answer = services.authenticator.authenticate_for_revocation(asked.by, presented).await;
    conclude(services, asked, method, answer, notes)
}

fn method(presented: &PresentedCredentials) -> AuthMethod {
    match presented {
        PresentedCredentials::Secret { method: PresentedMethod::Basic, .. } => AuthMethod::Basic,
        PresentedCredentials::Secret { method: PresentedMethod::Post, .. } => AuthMethod::Post,
        PresentedCredentials::Bearer(_) => AuthMethod::Bearer,
        PresentedCredentials::Unproven(_) => AuthMethod::None,
    }
}

fn conclude(
    services: &Services,
    asked: &Asked<'_>,
    method: AuthMethod,
    answer: Result<Authentication, ActorError>,
    notes: &mut Notes,
) -> Result<Caller, Failure> {
    match answer {
        Ok(Authentication::Proven(client)) => {
            count(services, method, AuthOutcome::Success);
            notes.client(client.id());
            Ok(Caller { client, method })
        }
        Ok(Authentication::Refused(Refusal { reason, client_id })) => {
            if let Some(client_id) = &client_id {
                notes.client(client_id);
            }
            let client = client_id.as_ref().map(|id| id.as_str());
            refused(services, asked, method, outcome(reason), client, notes);
            Err(ProtocolError::InvalidClient.into())
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
