//! Whether a client may have one more token. Most have no limit, and nothing is done for them.

use crate::http::Services;
use crate::http::error::Failure;
use crate::http::reply::Reply;
use crate::oauth::client::Client;
use crate::oauth::error::ProtocolError;
use crate::oauth::rate_limit::Standing;
use crate::telemetry::labels::{LimitMode, LimitName};

/// A client that may have its token, and what it is told beside it.
pub(super) struct Allowance(Option<Standing>);

/// Takes a token's place of the client's limit.
pub(super) fn take(services: &Services, client: &Client) -> Result<Allowance, Failure> {
    let Some(standing) = client.take_allowance(|| services.now()) else { return Ok(Allowance(None)) };
    let is_over = standing.retry_after_seconds.is_some();
    if standing.limit.report_only {
        if is_over {
            services.shared.metrics.limited(LimitName::IssueRate, LimitMode::Report);
        }
        // Nobody behaves otherwise for a limit that is only tried.
        return Ok(Allowance(None));
    }
    if is_over {
        services.shared.metrics.limited(LimitName::IssueRate, LimitMode::Enforce);
        return Err(ProtocolError::RateLimited(standing).into());
    }
    Ok(Allowance(Some(standing)))
}

impl Allowance {
    /// The same answer, with how the client stands.
    pub(super) fn tell(&self, reply: Reply) -> Reply {
        match &self.0 {
            Some(standing) => reply.with_standing(standing),
            None => reply,
        }
    }
}

/// Counts a grant that was refused for how many there were.
pub(super) fn note(services: &Services, refused: &ProtocolError) {
    if let ProtocolError::TooManyGrants { .. } = refused {
        services.shared.metrics.limited(LimitName::Grants, LimitMode::Enforce);
    }
}
