//! `POST /oauth2/token`: RFC 6749 section 4.4.

use super::allowance;
use super::caller::{self, Caller};
use super::proof;
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::notes::{Notes, Outcome};
use crate::http::reply::{self, Reply};
use crate::oauth::credentials::Endpoint;
use crate::oauth::form::{self, Form};
use crate::oauth::token::Confirmation;
use crate::oauth::token_request::TokenRequest;
use crate::oauth::token_response;
use crate::telemetry::labels::TokenOutcome;

pub(crate) async fn serve(services: &Services, asked: &Asked<'_>, notes: &mut Notes) -> Result<Reply, Failure> {
    form::check_query(asked.head.query())?;
    let form = Form::parse(&asked.body)?;
    let presented = caller::presented(services, Endpoint::Token, asked, &form)?;

    let Caller { client, method } = caller::authenticate(services, asked, presented, notes).await?;
    let grant = client.authorise(&TokenRequest::parse(&form)?, || services.now());
    let grant = grant.inspect_err(|refused| allowance::note(services, refused))?;
    notes.grant(&grant);
    proof::check_audience(services, &grant)?;
    let certificate = proof::certificate(services, asked, &client)?;
    // Before the proof's signature, which can cost more than a token.
    let rate = allowance::take_rate(services, &client)?;
    let proof = proof::judge(services, asked, &client).await?;
    proof::check_bound(services, certificate.is_some() || proof.is_some())?;
    let allowance = allowance::take_quota(services, asked, &client, rate).await?;
    let key = match &proof {
        Some(proof) => Some(proof.confirm(services, asked).await?),
        None => None,
    };
    let confirmation = Confirmation::of(certificate, key);

    let lifetime = client.lifetime().unwrap_or(services.shared.lifetime);
    let minted = services.minter.mint(asked.by, grant.clone(), lifetime, confirmation).await;
    let minted = minted.map_err(|error| allowance::not_minted(services, error))?;
    notes.token(&minted.address);
    notes.outcome = Outcome::Token(TokenOutcome::Issued);
    services.shared.metrics.token_issued(method);
    let reply = reply::ok(token_response::body(&minted.token, lifetime, &grant, confirmation.as_ref()));
    let reply = allowance.spend(reply);
    Ok(match &proof {
        Some(proof) => proof.answer(reply),
        None => reply,
    })
}
