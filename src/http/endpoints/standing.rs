//! What is known of a token that somebody presented: live, or why not.
//!
//! Invariant: a token that is not ours costs no store access, and a fault of the store is an error, never a reason.

use crate::actors::inspector::{Inspection, Reason};
use crate::actors::{ActorError, Deadline};
use crate::http::Services;
use crate::http::notes::Notes;
use crate::oauth::introspection::{self, Inactive};
use crate::oauth::token::{Token, TokenAddress, TokenRecord, TokenRefusal};
use crate::telemetry::labels::IntrospectionOutcome;

/// What is known of a presented token. Inactive ones are told apart for the metric and for operators.
pub(super) enum Standing {
    Active(TokenAddress, TokenRecord),
    Inactive(IntrospectionOutcome),
}

/// Judges a token: by itself (most garbage ends here, with no store asked), by the store, by its client's registration.
///
/// # Errors
/// [`ActorError`]: nothing is known of it.
pub(super) async fn of(
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
