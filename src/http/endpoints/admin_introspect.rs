//! `POST /admin/oauth2/introspect`: for operators; any token, whatever its audience, and an inactive one with its reason.
//!
//! Invariant: without the configured token nobody gets in, also on loopback: a request forged through another local service must
//! not reach it. A unix socket is guarded by its file's mode; plain http elsewhere than on loopback by nothing, so never.

use super::standing::{self, Standing};
use crate::http::body::Asked;
use crate::http::error::{AdminError, Failure};
use crate::http::notes::{Notes, Outcome};
use crate::http::reply::{self, Reply};
use crate::http::{Reach, Services};
use crate::oauth::credentials::{Endpoint, PresentedCredentials, Unproven};
use crate::oauth::form::{self, Form};
use crate::oauth::introspection;
use crate::oauth::secret::{self, Secret, SecretHash};
use crate::telemetry::labels::{IntrospectionOutcome, Label};

pub(crate) async fn serve(
    services: &Services,
    reach: Reach,
    asked: &Asked<'_>,
    notes: &mut Notes,
) -> Result<Reply, Failure> {
    refuse_unguarded(services, reach)?;
    form::check_query(asked.head.query())?;
    let form = Form::parse(&asked.body)?;
    if reach != Reach::UnixSocket {
        authorise(
            services,
            PresentedCredentials::parse(Endpoint::Introspection, asked.head.authorization.iter(), &form)?,
        )?;
    }

    Ok(match standing::of(services, asked.by, form.token()?, notes).await? {
        Standing::Active(address, record) => {
            notes.outcome = Outcome::Introspection(IntrospectionOutcome::Active);
            reply::ok(introspection::active_body(&address, &record, services.shared.issuer.as_json()))
        }
        Standing::Inactive(why) => {
            notes.outcome = Outcome::Introspection(why);
            notes.reason(why.as_str());
            reply::ok(introspection::inactive_body_with_reason(why.as_str()))
        }
    })
}

fn refuse_unguarded(services: &Services, reach: Reach) -> Result<(), AdminError> {
    match reach {
        Reach::UnixSocket => Ok(()),
        Reach::Loopback if services.shared.admin_token.load().is_some() => Ok(()),
        Reach::Loopback => Err(AdminError::NotSwitchedOn),
        Reach::Remote => Err(AdminError::NotOverPlainHttp),
    }
}

fn authorise(services: &Services, presented: PresentedCredentials) -> Result<(), AdminError> {
    match presented {
        PresentedCredentials::Bearer(token) if token.expose().is_empty() => Err(AdminError::TokenMalformed),
        PresentedCredentials::Bearer(token) if is_admin_token(services, &token) => Ok(()),
        PresentedCredentials::Bearer(_) => Err(AdminError::TokenWrong),
        PresentedCredentials::Unproven(Unproven::Malformed) => Err(AdminError::TokenMalformed),
        PresentedCredentials::Unproven(Unproven::Missing | Unproven::Unsupported)
        | PresentedCredentials::Secret { .. } => Err(AdminError::TokenMissing),
    }
}

/// Compares digests, in constant time.
fn is_admin_token(services: &Services, presented: &Secret) -> bool {
    let expected = services.shared.admin_token.load();
    expected.as_ref().as_ref().is_some_and(|expected| secret::verify(presented.expose(), &[SecretHash::of(expected)]))
}
