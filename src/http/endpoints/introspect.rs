//! `POST /oauth2/introspect`: RFC 7662, for registered resource servers.
//!
//! Invariant: whatever is wrong with the token, the answer is the same to the byte; why, only the metric knows. A fault of the
//! store is 503, never `active: false`.

use std::sync::Arc;

use super::caller;
use super::standing::{self, Standing};
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::{Notes, Outcome};
use crate::http::reply::{self, Reply};
use crate::oauth::client::Client;
use crate::oauth::credentials::{Endpoint, PresentedCredentials};
use crate::oauth::form::{self, Form};
use crate::oauth::introspection;
use crate::telemetry::labels::{IntrospectionOutcome, Label};

pub(crate) async fn serve(services: &Services, asked: &Asked<'_>, notes: &mut Notes) -> Result<Reply, Failure> {
    form::check_query(asked.head.query())?;
    let form = Form::parse(&asked.body)?;
    let presented = caller::presented(services, Endpoint::Introspection, asked, &form)?;

    let caller = authenticate(services, asked, presented, notes).await?;
    let standing = standing::of(services, asked.by, form.token()?, notes).await?;

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
    asked: &Asked<'_>,
    presented: PresentedCredentials,
    notes: &mut Notes,
) -> Result<Arc<Client>, Failure> {
    match presented {
        PresentedCredentials::Bearer(token) => {
            let token = std::str::from_utf8(token.expose()).unwrap_or_default();
            caller::authenticate_by_bearer(services, asked, token, notes).await
        }
        PresentedCredentials::Secret { .. }
        | PresentedCredentials::Assertion(_)
        | PresentedCredentials::Certificate(_)
        | PresentedCredentials::Unproven(_) => {
            Ok(caller::authenticate(services, asked, presented, notes).await?.client)
        }
    }
}
