//! HTTP: listeners, connections, the router, one file an endpoint, and the one place where a failure becomes a response.
//!
//! A connection's way: [`acceptor`] on the main thread, a bounded queue to the worker with the fewest connections, [`connections`]
//! there, [`connection`] for each, [`router`], an endpoint, [`reply`] or [`error`].
//!
//! # Invariants
//! - **Every wait has an end.** The idle time, a head, a body, a stalled write and a connection's age each have a limit of their
//!   own; one sweep a worker enforces them, so no request pays for a timer.
//! - **No partial body is ever processed.** An endpoint sees a request whole, or not at all.
//! - **A failure chooses its face in one file**, and what a client is told was written by us.

pub mod acceptor;
pub(crate) mod activity;
pub(crate) mod body;
pub mod client_certificates;
pub mod connection;
pub mod connections;
pub(crate) mod control_budget;
pub(crate) mod endpoints;
pub(crate) mod error;
pub(crate) mod frames;
pub(crate) mod head;
pub(crate) mod io;
pub mod jwks_client;
pub mod listener;
pub(crate) mod notes;
pub mod open_files;
pub mod proxies;
pub(crate) mod reply;
pub mod router;
mod secured;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
pub(crate) mod ticket;
pub mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use self::client_certificates::{Authorities, Mtls, PeerCertificate};
use self::proxies::{CertificateHeader, Proxies};
use crate::actors::authenticator::AuthenticatorHandle;
use crate::actors::courier::CourierHandle;
use crate::actors::guesses::Guesses;
use crate::actors::inspector::InspectorHandle;
use crate::actors::limiter::LimiterHandle;
use crate::actors::minter::MinterHandle;
use crate::actors::notary::NotaryHandle;
use crate::actors::revoker::RevokerHandle;
use crate::actors::verifier::VerifierHandle;
use crate::clock::Clock;
use crate::lifecycle::Health;
use crate::oauth::dpop::target::Target;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::metadata::{ByCertificate, Issuer};
use crate::oauth::profile::Profile;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::telemetry::failures::AuthenticationFailures;
use crate::telemetry::metrics::Metrics;

/// What the endpoints of a worker work with: the handles of its actors, and what the process shares.
#[derive(Clone, Debug)]
pub struct Services {
    /// Who is asking.
    pub authenticator: AuthenticatorHandle,
    /// Makes tokens.
    pub minter: MinterHandle,
    /// Looks tokens up.
    pub inspector: InspectorHandle,
    /// Takes tokens back.
    pub revoker: RevokerHandle,
    /// Sees to it that what is good for one use is used once.
    pub notary: NotaryHandle,
    /// Counts tokens of clients that have a quota.
    pub limiter: LimiterHandle,
    /// What the process shares.
    pub shared: Arc<Shared>,
}

impl Services {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.shared.clock.unix_millis())
    }
}

/// What all workers and listeners share.
#[derive(Debug)]
pub struct Shared {
    /// The service's keys, as they are now.
    pub keys: Arc<ArcSwap<ServiceKeys>>,
    /// Who this server is.
    pub issuer: Issuer,
    /// Which further rules hold.
    pub profile: Profile,
    /// Stands before each token.
    pub token_prefix: Arc<str>,
    /// What proofs of possession are judged by.
    pub dpop: DpopOptions,
    /// Lifetime of tokens whose client has none of its own.
    pub lifetime: Lifetime,
    /// Bearer token of `/admin/`, as it is now; `None`: `/admin/` is not switched on.
    pub admin_token: ArcSwap<Option<crate::oauth::secret::Secret>>,
    /// Limits and timers.
    pub limits: Limits,
    /// The listener that asks for certificates; `None`: there is none.
    pub mtls: Option<Mtls>,
    /// Who may sign certificates of clients, as of now; `None`: no certificate counts.
    pub authorities: Option<ArcSwap<Authorities>>,
    /// Who may speak for clients.
    pub proxies: Proxies,
    /// Which requests get a log line, as it is now.
    pub log_requests: ArcSwap<LogRequests>,
    /// Where time comes from.
    pub clock: Clock,
    /// Alive, ready, draining.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Fetches the keys that clients publish.
    pub courier: CourierHandle,
    /// Verifies secrets with slow hashes.
    pub verifier: VerifierHandle,
    /// What proved nothing, by client and source.
    pub guesses: Arc<Guesses>,
    /// Failed authentications, for the minute's log line.
    pub failures: Arc<AuthenticationFailures>,
}

impl Shared {
    /// The URL of the listener that asks for certificates, where there is one.
    pub(crate) fn mtls_url(&self) -> Option<&str> {
        self.mtls.as_ref().map(|mtls| mtls.base_url.as_str())
    }

    /// Where clients may prove themselves by certificates.
    pub(crate) fn by_certificate(&self) -> ByCertificate<'_> {
        match (self.mtls_url(), self.proxies.certificate) {
            (Some(url), _) => ByCertificate::At(url),
            (None, CertificateHeader::None) => ByCertificate::Nowhere,
            (None, CertificateHeader::ClientCert | CertificateHeader::Xfcc) => ByCertificate::Here,
        }
    }
}

/// What proofs of possession (RFC 9449) are judged by.
#[derive(Clone, Debug)]
pub struct DpopOptions {
    /// What they must be made for.
    pub target: Target,
    /// Whether they must hold a nonce of this server (`tokens.require_dpop_nonce`).
    pub requires_nonce: bool,
}

/// Which requests get a log line (`log.requests`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRequests {
    /// None.
    None,
    /// Those that failed.
    Failures,
    /// All.
    All,
}

/// Limits and timers of connections and requests (`[limits]`).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body.
    pub body_bytes_max: usize,
    /// Connections of a listener in all.
    pub connections_max: usize,
    /// Connections of one IPv4 address or IPv6 /64; 0: no limit.
    pub connections_per_source_max: usize,
    /// From the moment a request is read whole.
    pub request_deadline: Duration,
    /// A head, from its first byte.
    pub header_timeout: Duration,
    /// A body, in all.
    pub body_timeout: Duration,
    /// A TLS handshake, from accept.
    pub handshake_timeout: Duration,
    /// Before and between requests.
    pub idle_timeout: Duration,
    /// Age after which a connection is asked to close; zero: never.
    pub connection_age: Duration,
}

/// Who is at the other end of a connection, as the transport knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its address; `None` on a unix socket.
    pub source: Option<IpAddr>,
    /// The certificate that it proved in the TLS handshake; `None` where it showed none.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// It speaks plain HTTP where TLS is spoken: nothing that it sends is looked at.
    pub plain_on_tls: bool,
}

/// How far the admin listener reaches; decides what guards `/admin/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A unix socket: its file's mode guards it.
    UnixSocket,
    /// A loopback address, or TLS: its token guards it.
    Private,
    /// Any other address in plain http: never.
    Remote,
}
