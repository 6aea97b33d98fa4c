//! What becomes of a secret that may be one with a slow hash: it is never compared here, only handed back to whoever can have it verified.

use std::sync::Arc;

use super::{Authentication, Claim, Judge, RefusalReason, TooMany, UnverifiedSecret, refused};
use crate::oauth::client::{Client, ClientId};
use crate::oauth::client_secret::Matches;
use crate::oauth::credentials::{PresentedMethod, SecretReading};
use crate::oauth::remembered_secrets::Recollection;
use crate::oauth::source::Source;

/// Nobody knows whether this secret is one of this client's.
fn unverified(method: PresentedMethod, client: &Arc<Client>, reading: &SecretReading) -> Authentication {
    let claims = vec![Claim { client: client.clone(), reading: reading.clone() }];
    Authentication::SecretUnverified(Box::new(UnverifiedSecret { named: reading.client_id().into(), method, claims }))
}

/// Row A03: either reading of what was presented may be right, and the raw one is unverified.
pub(super) fn either(by_the_rfc: Authentication, raw: Box<UnverifiedSecret>) -> Authentication {
    let Authentication::SecretUnverified(mut first) = by_the_rfc else { return Authentication::SecretUnverified(raw) };
    first.claims.extend(raw.claims);
    Authentication::SecretUnverified(first)
}

impl Judge<'_> {
    /// A secret that is none of those whose hashes are fast, of a client that has others. Apart, so that it costs nobody else anything: not even
    /// the nanoseconds by which who is unknown could be told from who is wrong.
    #[cold]
    #[inline(never)]
    pub(super) fn judge_slow_secret(
        &self,
        method: PresentedMethod,
        client: &Arc<Client>,
        reading: &SecretReading,
    ) -> Authentication {
        let matches = match client.recall(&self.options.memory, reading.secret()) {
            Recollection::Known(matches) => matches,
            // Whoever is disabled proves nothing by any secret.
            Recollection::Unknown if client.registration().disabled => Matches::default(),
            Recollection::Unknown => return unverified(method, client, reading),
        };
        self.conclude(method, Some(client), client, matches)
    }

    /// `None`: it may be verified. Whoever was wrong too often is refused, also where this would be right: nobody can know that for microseconds.
    pub(super) fn admit(
        &self,
        client_id: Option<ClientId>,
        named: &[u8],
        source: Option<Source>,
    ) -> Option<Authentication> {
        let TooMany { retry_after_seconds } = self.options.guesses.check((named, source), self.taken).err()?;
        Some(refused(RefusalReason::TooMany { retry_after_seconds }, client_id))
    }
}
