//! `POST /admin/oauth2/introspect`: for operators; any token, whatever its audience, and an inactive one with its reason.

use super::operator;
use super::standing::{self, Standing};
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::{Notes, Outcome};
use crate::http::reply::{self, Reply};
use crate::http::{Reach, Services};
use crate::oauth::form::{self, Form};
use crate::oauth::introspection;
use crate::telemetry::labels::{IntrospectionOutcome, Label};

pub(crate) async fn serve(
    services: &Services,
    reach: Reach,
    asked: &Asked<'_>,
    notes: &mut Notes,
) -> Result<Reply, Failure> {
    operator::refuse_unguarded(services, reach)?;
    form::check_query(asked.head.query())?;
    let form = Form::parse(&asked.body)?;
    operator::authorise(services, reach, asked.head, &form)?;

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
