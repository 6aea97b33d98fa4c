//! `POST /oauth2/introspect`: RFC 7662, for registered resource servers.
//!
//! Invariant: whatever is wrong with the token, the answer is the same to the byte; why, only the metric knows. A fault of the
//! store is 503, never `active: false`.

use std::sync::Arc;

use super::caller;
use crate::actors::inspector::{Inspection, Reason};
use crate::actors::{ActorError, Deadline};
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::{Notes, Outcome};
use crate::http::reply::{self, Reply};
use crate::oauth::client::Client;
use crate::oauth::credentials::{Endpoint, PresentedCredentials};
use crate::oauth::form::{self, Form};
use crate::oauth::introspection::{self, Inactive};
use crate::oauth::token::{Token, TokenAddress, TokenRecord, TokenRefusal};
use crate::telemetry::labels::{IntrospectionOutcome, Label};

/// What is known of a presented token. Inactive ones are told apart for the metric and for operators.
pub(super) enum Standing {
    Active(TokenAddress, TokenRecord),
    Inactive(IntrospectionOutcome),
}

pub(crate) async fn serve(services: &Services, asked: &Asked, notes: &mut Notes) -> Result<Reply, Failure> {
    form::check_query(asked.query())?;
    let form = Form::parse(&asked.body)?;
    let presented = PresentedCredentials::parse(Endpoint::Introspection, asked.authorization(), &form)?;

    let caller = authenticate(services, asked, presented, notes).await?;
    let standing = standing(services, asked.by, form.token()?, notes).await?;

    Ok(match standing {
        Standing::Active(address, record) if introspection::may_see(&caller, &record.grant) => {
            notes.outcome = Outcome::Introspection(IntrospectionOutcome::Active);
            reply::ok(introspection::active_body(&address, &record, services.shared.issuer.as_json()))
        }
        Standing::Active(..) => inactive(IntrospectionOutcome::NotForCaller, notes),
        Standing::Inactive(why) => inactive(why, notes),
    })
}

fn inactive(why: IntrospectionOutcome, notes: &mut Notes) -> Reply {
    notes.outcome = Outcome::Introspection(why);
    notes.reason(why.as_str());
    reply::ok(introspection::INACTIVE)
}

/// "To prevent token scanning attacks, the endpoint MUST also require some form of authorization to access this endpoint, such as
/// client authentication […] or a separate OAuth 2.0 access token" (RFC 7662 section 2.1).
async fn authenticate(
    services: &Services,
    asked: &Asked,
    presented: PresentedCredentials,
    notes: &mut Notes,
) -> Result<Arc<Client>, Failure> {
    match presented {
        PresentedCredentials::Bearer(token) => {
            let token = std::str::from_utf8(token.expose()).unwrap_or_default();
            caller::authenticate_by_bearer(services, asked, token, notes).await
        }
        PresentedCredentials::Secret { .. } | PresentedCredentials::Unproven(_) => {
            Ok(caller::authenticate(services, asked, presented, notes).await?.client)
        }
    }
}

/// Judges a token: by itself (most garbage ends here, with no store asked), by the store, by its client's registration.
///
/// # Errors
/// [`ActorError`]: nothing is known of it.
pub(super) async fn standing(
    services: &Services,
    by: Deadline,
    presented: &str,
    notes: &mut Notes,
) -> Result<Standing, ActorError> {
    let shared = &services.shared;
    let address = match Token::check(presented, &shared.token_prefix, &shared.keys.load(), services.now()) {
        Ok(address) => address,
        Err(refusal) => return Ok(Standing::Inactive(of_refusal(refusal))),
    };
    notes.token(&address);
    let record = match services.inspector.inspect(by, address).await? {
        Inspection::Live(record) => record,
        Inspection::Inactive(reason) => return Ok(Standing::Inactive(of_reason(reason))),
    };
    notes.grant(&record.grant);
    Ok(match introspection::check_client(&record, &services.authenticator.clients()) {
        Ok(()) => Standing::Active(address, record),
        Err(why) => Standing::Inactive(of_client(why)),
    })
}

fn of_refusal(refusal: TokenRefusal) -> IntrospectionOutcome {
    match refusal {
        TokenRefusal::Malformed => IntrospectionOutcome::Malformed,
        TokenRefusal::Forged => IntrospectionOutcome::Forged,
        TokenRefusal::Expired => IntrospectionOutcome::Expired,
    }
}

fn of_reason(reason: Reason) -> IntrospectionOutcome {
    match reason {
        Reason::NotFound => IntrospectionOutcome::NotFound,
        Reason::Expired => IntrospectionOutcome::Expired,
        Reason::Seal => IntrospectionOutcome::Seal,
    }
}

fn of_client(why: Inactive) -> IntrospectionOutcome {
    match why {
        Inactive::ClientGone => IntrospectionOutcome::ClientGone,
        Inactive::ClientDisabled => IntrospectionOutcome::ClientDisabled,
        Inactive::NotBefore => IntrospectionOutcome::NotBefore,
        Inactive::NotForCaller => IntrospectionOutcome::NotForCaller,
    }
}
