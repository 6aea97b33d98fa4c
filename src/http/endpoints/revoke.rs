//! `POST /oauth2/revoke`: RFC 7009.
//!
//! Invariant: 200 says that the token is dead; while the store cannot say so, the answer is 503 and "the client must assume the
//! token still exists and may retry" (section 2.2.1).

use super::caller::{self, Caller};
use crate::actors::revoker::Revocation;
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::{Notes, Outcome};
use crate::http::reply::{self, Reply};
use crate::oauth::credentials::Endpoint;
use crate::oauth::error::ProtocolError;
use crate::oauth::form::{self, Form};
use crate::oauth::token::Token;
use crate::telemetry::labels::RevocationOutcome;

const NOT_ITS_OWN: ProtocolError = ProtocolError::UnauthorizedClient("the token was issued to another client");

pub(crate) async fn serve(services: &Services, asked: &Asked<'_>, notes: &mut Notes) -> Result<Reply, Failure> {
    form::check_query(asked.head.query())?;
    let form = Form::parse(&asked.body)?;
    let presented = caller::presented(services, Endpoint::Revocation, asked, &form)?;

    let Caller { client, .. } = caller::authenticate_for_revocation(services, asked, presented, notes).await?;
    let token = form.token()?;

    let shared = &services.shared;
    // "invalid tokens do not cause an error response […] since the purpose of the revocation request, invalidating the particular
    // token, is already achieved" (section 2.2): forged and expired ones too, and no store is asked.
    let Ok(address) = Token::check(token, &shared.token_prefix, &shared.keys.load(), services.now()) else {
        return Ok(done(RevocationOutcome::NotFound, notes));
    };
    notes.token(&address);
    match services.revoker.revoke(asked.by, address, client.id().clone()).await? {
        Revocation::Revoked => Ok(done(RevocationOutcome::Revoked, notes)),
        Revocation::NotFound => Ok(done(RevocationOutcome::NotFound, notes)),
        // "If this validation fails, the request is refused and the client is informed of the error" (section 2.1).
        Revocation::NotOwner => Err(NOT_ITS_OWN.into()),
    }
}

fn done(outcome: RevocationOutcome, notes: &mut Notes) -> Reply {
    notes.outcome = Outcome::Revocation(outcome);
    reply::empty()
}
