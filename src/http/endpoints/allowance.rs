//! Whether a client may have one more token. Most have no limit, and nothing is done for them.

use std::sync::Arc;

use crate::actors::ActorError;
use crate::actors::limiter::Allowed;
use crate::http::Services;
use crate::http::body::Asked;
use crate::http::error::Failure;
use crate::http::reply::Reply;
use crate::oauth::client::Client;
use crate::oauth::error::ProtocolError;
use crate::oauth::standing::Standing;
use crate::telemetry::labels::{LimitMode, LimitName};

/// When a client with too many live tokens may ask again: one of them may have ended, or been revoked.
const FULL_RETRY_SECONDS: u32 = 30;

/// A client that may have its token, and how it stands with its limits, where it is told.
pub(super) struct Allowance(Vec<Standing>);

/// Takes a token's place of the client's rate, then of its quotas, which all nodes count together.
pub(super) async fn take(services: &Services, asked: &Asked<'_>, client: &Arc<Client>) -> Result<Allowance, Failure> {
    let mut told = Vec::new();
    if let Some(standing) = client.take_allowance(|| services.now()) {
        if standing.retry_after_seconds.is_none() {
            told.push(standing);
        } else {
            over(services, LimitName::IssueRate, standing, ProtocolError::RateLimited)?;
        }
    }
    if !client.registration().quotas.is_empty() {
        match services.limiter.take(asked.by, client.clone()).await? {
            Allowed::Within(standings) => told.extend(standings),
            Allowed::Over(standing) => over(services, LimitName::Quota, standing, ProtocolError::QuotaExceeded)?,
        }
    }
    // Nobody behaves otherwise for a limit that is only tried.
    told.retain(|standing| !standing.report_only);
    Ok(Allowance(told))
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

impl Allowance {
    /// The same answer, with how the client stands.
    pub(super) fn tell(&self, reply: Reply) -> Reply {
        if self.0.is_empty() { reply } else { reply.with_standings(&self.0) }
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
