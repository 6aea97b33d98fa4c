//! Whether a client may have one more token. Most have no limit, and nothing is done for them.

use std::sync::Arc;

use crate::actors::limiter::Allowed;
use crate::actors::{ActorError, Deadline};
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::reply::Reply;
use crate::oauth::client::Client;
use crate::oauth::error::ProtocolError;
use crate::oauth::standing::Standing;
use crate::oauth::time::Timestamp;
use crate::telemetry::labels::{LimitMode, LimitName};

/// When a client with too many live tokens may ask again: one of them may have ended, or been revoked.
const FULL_RETRY_SECONDS: u32 = 30;

/// A client that may have its token, and how it stands with its limits, where it is told. Dropped, the token's place of its quotas is given back:
/// a token that was not made, whatever for, is none that it had.
pub(super) struct Allowance<'a> {
    told: Vec<Standing>,
    place: Option<Place<'a>>,
}

/// Of a client's quotas.
struct Place<'a> {
    services: &'a Services,
    by: Deadline,
    client: Arc<Client>,
    /// When it was asked for.
    taken: Timestamp,
    is_spent: bool,
}

/// Takes a token's place of the client's rate; it is not given back: a request that comes to nothing costs time too.
pub(super) fn take_rate(services: &Services, client: &Client) -> Result<Option<Standing>, Failure> {
    let Some(standing) = client.take_allowance(|| services.now()) else { return Ok(None) };
    if standing.retry_after_seconds.is_none() {
        return Ok(Some(standing));
    }
    over(services, LimitName::IssueRate, standing, ProtocolError::RateLimited)?;
    Ok(None)
}

/// Takes a token's place of the client's quotas, which all nodes count together.
pub(super) async fn take_quota<'a>(
    services: &'a Services,
    asked: &Asked<'_>,
    client: &Arc<Client>,
    rate: Option<Standing>,
) -> Result<Allowance<'a>, Failure> {
    let mut allowance = Allowance { told: Vec::from_iter(rate), place: None };
    let quotas = &client.registration().quotas;
    if !quotas.is_empty() {
        let taken = services.now();
        match services.limiter.take(asked.by, client.clone()).await {
            Ok(Allowed::Within(standings)) => {
                allowance.told.extend(standings);
                allowance.place =
                    Some(Place { services, by: asked.by, client: client.clone(), taken, is_spent: false });
            }
            Ok(Allowed::Over(standing)) => over(services, LimitName::Quota, standing, ProtocolError::QuotaExceeded)?,
            // Nobody is refused by what is only tried.
            Err(_) if quotas.iter().all(|quota| quota.report_only) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Nobody behaves otherwise for a limit that is only tried.
    allowance.told.retain(|standing| !standing.report_only);
    Ok(allowance)
}

/// Counts whoever is over a limit, and refuses it unless the limit is only tried.
fn over(
    services: &Services,
    limit: LimitName,
    standing: Standing,
    refused: fn(Standing) -> ProtocolError,
) -> Result<(), Failure> {
    let mode = if standing.report_only { LimitMode::Report } else { LimitMode::Enforce };
    services.shared.metrics.limited(limit, mode);
    if standing.report_only { Ok(()) } else { Err(refused(standing).into()) }
}

impl Allowance<'_> {
    /// A token was made. The same answer, with how the client stands.
    pub(super) fn spend(mut self, reply: Reply) -> Reply {
        if let Some(place) = &mut self.place {
            place.is_spent = true;
        }
        if self.told.is_empty() { reply } else { reply.with_standings(&self.told) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_spent {
            self.services.limiter.give_back(self.by, self.client.clone(), self.taken);
        }
    }
}

/// What became of a mint that failed: a client with as many tokens as it may have is refused for itself, not for the store.
pub(super) fn not_minted(services: &Services, error: ActorError) -> Failure {
    if !matches!(error, ActorError::Store(fault) if fault.is_full_for_client()) {
        return error.into();
    }
    services.shared.metrics.limited(LimitName::LiveTokens, LimitMode::Enforce);
    ProtocolError::TooManyTokens { retry_after_seconds: FULL_RETRY_SECONDS }.into()
}

/// Counts a grant that was refused for how many there were.
pub(super) fn note(services: &Services, refused: &ProtocolError) {
    if let ProtocolError::TooManyGrants { .. } = refused {
        services.shared.metrics.limited(LimitName::Grants, LimitMode::Enforce);
    }
}
