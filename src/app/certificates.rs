//! The TLS of the listeners: made at start, shown another certificate when its files change.

use std::time::{Duration, UNIX_EPOCH};

use crate::config::certificates::Certificates;
use crate::http::tls::{Clients, Identity, ServerTls, TlsError};
use crate::oauth::time::Timestamp;
use crate::telemetry::labels::{Label, Listener, ReloadSubject};
use crate::telemetry::metrics::Metrics;

/// The TLS of each listener that has some. Clones show the same certificates.
#[derive(Clone, Debug)]
pub(super) struct ListenerTls {
    pub(super) public: Option<ServerTls>,
    pub(super) mtls: Option<ServerTls>,
    pub(super) admin: Option<ServerTls>,
}

impl ListenerTls {
    /// Of these certificates.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub(super) fn new(certificates: Certificates) -> Result<Self, TlsError> {
        let tls = |listener, clients, identity: Option<Identity>| {
            identity.map(|identity| ServerTls::new(listener, identity, clients)).transpose()
        };
        Ok(Self {
            public: tls(Listener::Public, Clients::NotAsked, certificates.public)?,
            mtls: tls(Listener::Mtls, Clients::Asked, certificates.mtls)?,
            admin: tls(Listener::Admin, Clients::NotAsked, certificates.admin)?,
        })
    }

    /// Says when each expires.
    pub(super) fn tell(&self, metrics: &Metrics) {
        for tls in self.iter() {
            metrics.certificate_expires(tls.listener(), tls.identity().expires_at().unix_seconds());
        }
    }

    /// Each.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ServerTls> {
        [&self.public, &self.mtls, &self.admin].into_iter().flatten()
    }

    /// Shows these from now on; whether all of them. A listener that spoke plain HTTP at start speaks it until the next one.
    pub(super) fn show(&self, certificates: Certificates, now: Timestamp) -> bool {
        let fresh =
            [(&self.public, certificates.public), (&self.mtls, certificates.mtls), (&self.admin, certificates.admin)];
        fresh
            .into_iter()
            .filter_map(|(tls, identity)| Some(show(tls.as_ref()?, identity?, now)))
            .fold(true, |a, b| a & b)
    }
}

/// A certificate that nobody believes now does not take the place of one that is good.
fn show(tls: &ServerTls, identity: Identity, now: Timestamp) -> bool {
    let (subject, listener) = (ReloadSubject::Certificates.as_str(), tls.listener().as_str());
    let text = |moment: Timestamp| {
        humantime::format_rfc3339(UNIX_EPOCH + Duration::from_millis(moment.unix_millis())).to_string()
    };
    let expires = text(identity.expires_at());
    if tls.identity().is_valid(now) && !identity.is_valid(now) {
        let why = if identity.expires_at() <= now { "has expired" } else { "is not valid yet" };
        let (event, valid_from) = ("reload_failed", text(identity.valid_from()));
        tracing::error!(
            event,
            subject,
            listener,
            valid_from,
            expires,
            "the certificate {why}: the one before it stays"
        );
        return false;
    }
    if tls.show(identity) {
        tracing::info!(event = "reloaded", subject, listener, expires, "another certificate is shown");
    }
    true
}
