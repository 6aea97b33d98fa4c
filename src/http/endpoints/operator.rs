//! Whom `/admin/` lets in.
//!
//! Invariant: without the configured token nobody gets in, also on loopback: a request forged through another local service must
//! not reach it. A unix socket is guarded by its file's mode; plain http elsewhere than on loopback by nothing, so never.

use crate::http::error::{AdminError, Failure};
use crate::http::head::Head;
use crate::http::{Reach, Services};
use crate::oauth::credentials::{Endpoint, PresentedCredentials, Unproven};
use crate::oauth::form::Form;
use crate::oauth::secret::{self, Secret, SecretHash};

/// Refuses everybody where nothing would guard.
pub(super) fn refuse_unguarded(services: &Services, reach: Reach) -> Result<(), AdminError> {
    match reach {
        Reach::UnixSocket => Ok(()),
        Reach::Private if services.shared.admin_token.load().is_some() => Ok(()),
        Reach::Private => Err(AdminError::NotSwitchedOn),
        Reach::Remote => Err(AdminError::NotOverPlainHttp),
    }
}

/// Refuses whoever does not show the token, where one is needed.
pub(super) fn authorise(services: &Services, reach: Reach, head: &Head<'_>, form: &Form<'_>) -> Result<(), Failure> {
    if reach == Reach::UnixSocket {
        return Ok(());
    }
    match PresentedCredentials::parse(Endpoint::Introspection, head.authorization.iter(), form)? {
        PresentedCredentials::Bearer(token) if token.expose().is_empty() => Err(AdminError::TokenMalformed),
        PresentedCredentials::Bearer(token) if is_admin_token(services, &token) => Ok(()),
        PresentedCredentials::Bearer(_) => Err(AdminError::TokenWrong),
        PresentedCredentials::Unproven(Unproven::Malformed) => Err(AdminError::TokenMalformed),
        PresentedCredentials::Unproven(Unproven::Missing | Unproven::Unsupported)
        | PresentedCredentials::Secret { .. }
        | PresentedCredentials::Assertion(_)
        | PresentedCredentials::Certificate(_) => Err(AdminError::TokenMissing),
    }
    .map_err(Failure::from)
}

/// Compares digests, in constant time.
fn is_admin_token(services: &Services, presented: &Secret) -> bool {
    let expected = services.shared.admin_token.load();
    expected.as_ref().as_ref().is_some_and(|expected| secret::verify(presented.expose(), &[SecretHash::of(expected)]))
}
