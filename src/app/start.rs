//! From a configuration to what the threads are made of: sockets first, so that an address in use is said before anything starts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::certificates::ListenerTls;
use super::stores::Stores;
use super::workers::Materials;
use super::{Listening, REVISION, RunError, reload};
use crate::actors::courier::{Courier, courier};
use crate::actors::guesses::Guesses;
use crate::actors::verifier::VerifierHandle;
use crate::clock::Clock;
use crate::config::options::{Config, LimitsOptions};
use crate::config::{ListenAddress, Loaded};
use crate::http::Reach;
use crate::http::client_certificates::Mtls;
use crate::http::jwks_client::{JwksClient, Roots};
use crate::http::listener::{Listener, SocketGuard};
use crate::http::open_files;
use crate::http::proxies::CertificateHeader;
use crate::http::{DpopOptions, Limits, Shared};
use crate::lifecycle::Health;
use crate::oauth::client::Clients;
use crate::oauth::dpop::target::Target;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::remembered_secrets::MemoryKey;
use crate::oauth::time::Lifetime;
use crate::random::Random;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::failures::AuthenticationFailures;
use crate::telemetry::labels::Label;
use crate::telemetry::metrics::Metrics;
use crate::worker;

/// The listeners, bound.
pub(super) struct Sockets {
    pub(super) public: Listener,
    pub(super) mtls: Option<Listener>,
    pub(super) admin: Listener,
    pub(super) reach: Reach,
}

impl Sockets {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// One line that names the address and how to choose another.
    pub(super) fn bind(config: &Config) -> Result<Self, RunError> {
        // Who comes over a socket is believed what it says of certificates: not just any process of the machine.
        let guard = match config.public.proxies.certificate {
            CertificateHeader::None => SocketGuard::Umask,
            CertificateHeader::ClientCert | CertificateHeader::Xfcc => SocketGuard::OwnerAndGroup,
        };
        Ok(Self {
            public: bind(&config.public.listen, guard, "--listen")?,
            mtls: match &config.mtls {
                Some(mtls) => Some(bind(&mtls.listen, guard, "mtls.listen")?),
                None => None,
            },
            admin: bind(&config.admin.listen, SocketGuard::OwnerAndGroup, "--admin-listen")?,
            reach: match &config.admin.listen {
                _ if config.admin.tls.is_some() => Reach::Private,
                ListenAddress::Unix(_) => Reach::UnixSocket,
                ListenAddress::Tcp(address) if address.ip().is_loopback() => Reach::Private,
                ListenAddress::Tcp(_) => Reach::Remote,
            },
        })
    }

    /// Where they listen, with the ports that the system chose.
    pub(super) fn listening(&self, config: &Config) -> Result<Listening, RunError> {
        let listened = |listener: &Listener, configured: &ListenAddress| {
            listener.address().map_or_else(|| configured.clone(), ListenAddress::Tcp)
        };
        let public = listened(&self.public, &config.public.listen);
        let issuer = config.issuer_when_listening(&public);
        let issuer = issuer.map_err(|error| RunError::Configuration(error.to_string()))?;
        let public_tls = config.public.tls.is_some();
        let mtls = self.mtls.as_ref().zip(config.mtls.as_ref());
        let mtls = mtls.map(|(listener, options)| listened(listener, &options.listen));
        Ok(Listening { mtls, admin: listened(&self.admin, &config.admin.listen), public, public_tls, issuer })
    }
}

fn bind(address: &ListenAddress, guard: SocketGuard, flag: &str) -> Result<Listener, RunError> {
    let bound = match address {
        ListenAddress::Tcp(address) => Listener::tcp(*address),
        ListenAddress::Unix(path) => Listener::unix(path, guard),
    };
    bound.map_err(|error| {
        RunError::Refused(match error.kind() {
            io::ErrorKind::AddrInUse => format!("{address} is in use; {flag} chooses another address"),
            _ => format!("cannot listen on {address}: {error}; {flag} chooses another address"),
        })
    })
}

/// What every thread gets a copy of, and who fetches keys for all. The clients move out of `loaded`, the rest stays for reloads.
///
/// # Errors
/// Where a file of `[store.tls]` cannot be used, nor the journal's.
pub(super) fn materials(
    loaded: &mut Loaded,
    listening: &Listening,
    open_files: usize,
    exporter: &Exporter,
) -> Result<(Materials, Courier<JwksClient>), RunError> {
    let issuer = listening.issuer.clone();
    let config = &loaded.config;
    let (clock, random) = (Clock::service(), Random::system());
    let stores = Stores::new(config, &loaded.keys, clock.clone(), random.clone()).map_err(RunError::Configuration)?;
    let workers = if config.public.workers == 0 { worker::workers_by_default() } else { config.public.workers };
    let mut certificates = std::mem::take(&mut loaded.certificates);
    let roots = certificates.roots_of_jwks.take().map_or_else(Roots::usual, Ok);
    let roots_of_jwks = Arc::new(ArcSwap::from_pointee(roots.map_err(|error| RunError::Refused(error.to_string()))?));
    let clients = Arc::new(ArcSwap::from_pointee(std::mem::take(&mut loaded.clients.clients)));
    let metrics = Arc::new(metrics(config, exporter, workers, &clients.load()));
    let fetching = JwksClient::new(config.jwks.reachable.clone(), roots_of_jwks.clone());
    let memory_key = random.bytes().map_err(|error| RunError::Refused(error.to_string()))?;
    let memory_key = MemoryKey::new(&memory_key);
    let (courier, fetches) = courier(fetching, clients.clone(), metrics.clone(), clock.clone(), random.clone());
    let guesses = Arc::new(Guesses::new(config.limits.wrong_proofs_per_minute));
    let shared = Shared {
        courier,
        verifier: VerifierHandle::new(memory_key, guesses.clone(), metrics.clone()),
        profile: config.profile,
        mtls: mtls(config, listening),
        authorities: certificates.authorities.take().map(ArcSwap::from_pointee),
        proxies: config.public.proxies.clone(),
        keys: Arc::new(ArcSwap::new(loaded.keys.clone())),
        dpop: DpopOptions { target: Target::token_endpoint(&issuer), requires_nonce: config.tokens.require_dpop_nonce },
        issuer,
        token_prefix: config.tokens.prefix.as_str().into(),
        lifetime: Lifetime::from_seconds(config.tokens.ttl_seconds),
        admin_token: ArcSwap::from_pointee(config.admin.token.clone()),
        limits: limits(&config.limits, open_files),
        log_requests: ArcSwap::from_pointee(reload::log_requests(config.log.requests)),
        clock,
        // The workers', and the main thread's own.
        health: Arc::new(Health::new(workers + 1)),
        metrics,
        guesses,
        failures: Arc::new(AuthenticationFailures::default()),
    };
    let tls = ListenerTls::new(certificates);
    let tls = tls.map_err(|error| RunError::Refused(error.to_string()))?;
    tls.tell(&shared.metrics);
    Ok((Materials { stores, clients, random, tls, roots_of_jwks, shared: Arc::new(shared) }, fetches))
}

fn metrics(config: &Config, exporter: &Exporter, workers: usize, clients: &Clients) -> Metrics {
    if config.metrics_per_client == 0 {
        return exporter.register(workers);
    }
    let mut ids: Vec<&str> = clients.iter().map(|client| client.id().as_str()).collect();
    // The same at every start, on every node.
    ids.sort_unstable();
    exporter.register_with_clients(workers, ids.into_iter().take(config.metrics_per_client))
}

fn mtls(config: &Config, listening: &Listening) -> Option<Mtls> {
    let (options, listened) = (config.mtls.as_ref()?, listening.mtls.as_ref()?);
    let base_url = match (&options.url, listened) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, ListenAddress::Tcp(address)) => listening.issuer.at_port(address.port()),
        (None, ListenAddress::Unix(_)) => listening.issuer.as_str().to_owned(),
    };
    Some(Mtls { target: Target::post(&format!("{base_url}{}", Endpoint::Token.path())), base_url })
}

fn limits(options: &LimitsOptions, open_files: usize) -> Limits {
    Limits {
        body_bytes_max: options.body_bytes,
        connections_max: options.connections.min(open_files::connections_within(open_files)),
        connections_per_source_max: options.connections_per_source,
        request_deadline: Duration::from_millis(options.request_deadline_ms),
        handshake_timeout: Duration::from_millis(options.handshake_timeout_ms),
        header_timeout: Duration::from_millis(options.header_timeout_ms),
        body_timeout: Duration::from_millis(options.body_timeout_ms),
        idle_timeout: Duration::from_millis(options.idle_timeout_ms),
        connection_age: Duration::from_millis(options.connection_age_ms),
    }
}

/// What is about to run, in one line, and what of it can hardly be meant.
pub(super) fn log(loaded: &Loaded, listening: &Listening, materials: &Materials) {
    let shared = &materials.shared;
    let key_ids: Vec<String> = shared.keys.load().iter().map(|key| key.id().0.to_string()).collect();
    tracing::info!(
        event = "started",
        version = env!("CARGO_PKG_VERSION"),
        revision = REVISION,
        tls = materials.tls.iter().map(|tls| tls.listener().as_str()).collect::<Vec<_>>().join(" "),
        public = %listening.public,
        mtls = listening.mtls.as_ref().map(tracing::field::display),
        admin = %listening.admin,
        issuer = listening.issuer.as_str(),
        store = %materials.stores,
        workers = shared.health.workers() - 1,
        keys = key_ids.join(" "),
        clients = materials.clients.load().len(),
        connections_max = shared.limits.connections_max,
        dev = loaded.dev.is_some(),
        "started",
    );
    reload::warn(&loaded.warnings);
}
