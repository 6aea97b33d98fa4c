//! What the service can be told, as plain typed values; units are in the names.
//!
//! Invariant: whatever made a [`Config`] checked it whole: every value is in its range and the rules between values hold. Defaults and
//! reasons stand in `table`.

use std::path::PathBuf;

use super::address::ListenAddress;
use super::store_url::StoreUrl;
use crate::http::proxies::{CertificateHeader, Proxies};
use crate::oauth::metadata::Issuer;
use crate::oauth::profile::Profile;
use crate::oauth::reachable::Reachable;
use crate::oauth::secret::Secret;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configured issuer. None only with `--dev`: then [`Config::issuer_when_listening`] makes one.
    pub issuer: Option<Issuer>,
    /// `profile`.
    pub profile: Profile,
    /// `[public]`.
    pub public: PublicOptions,
    /// `mtls.client_ca_file`: who may sign certificates of clients; none: nobody.
    pub client_ca_file: Option<PathBuf>,
    /// `[mtls]`; none: no listener asks for certificates.
    pub mtls: Option<MtlsOptions>,
    /// `[admin]`.
    pub admin: AdminOptions,
    /// `[store]`.
    pub store: StoreOptions,
    /// `[tokens]`.
    pub tokens: TokensOptions,
    /// `[keys]`.
    pub keys: KeysOptions,
    /// `[clients]`.
    pub clients: ClientsOptions,
    /// `[jwks]`.
    pub jwks: JwksOptions,
    /// `[limits]`.
    pub limits: LimitsOptions,
    /// `[log]`.
    pub log: LogOptions,
    /// `metrics.per_client`: how many clients have series of their own.
    pub metrics_per_client: usize,
}

/// `[jwks]`: how keys are fetched that others publish.
#[derive(Clone, Debug, Default)]
pub struct JwksOptions {
    /// Public addresses and `allowed_networks`.
    pub reachable: Reachable,
    /// Who vouches for servers beside the usual roots; none: nobody.
    pub ca_file: Option<PathBuf>,
}

/// `[public]`: the listener for clients and resource servers.
#[derive(Clone, Debug)]
pub struct PublicOptions {
    /// Where it listens.
    pub listen: ListenAddress,
    /// Worker threads; 0: one for each core that affinity and cgroup leave.
    pub workers: usize,
    /// Where HTTP without TLS is allowed.
    pub plain_http: PlainHttp,
    /// `[public.tls]`; none: plain HTTP.
    pub tls: Option<TlsOptions>,
    /// `trusted_proxies` and `client_certificate_header`.
    pub proxies: Proxies,
}

/// Where HTTP without TLS is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// On loopback and unix sockets.
    Loopback,
    /// Anywhere: something in front ends TLS.
    Any,
}

/// `[mtls]`: the listener that asks clients for a certificate.
#[derive(Clone, Debug)]
pub struct MtlsOptions {
    /// Where it listens.
    pub listen: ListenAddress,
    /// What it shows; whose is said by [`MtlsOptions::shows_its_own`].
    pub tls: TlsOptions,
    /// Whether that is its own certificate, and not the public listener's.
    pub shows_its_own: bool,
    /// By what URL clients know it; none: by the issuer's host and the port that is listened on.
    pub url: Option<Issuer>,
}

/// `[admin]`: the listener for operators.
#[derive(Clone, Debug)]
pub struct AdminOptions {
    /// Where it listens.
    pub listen: ListenAddress,
    /// What opens `/admin/`, 32 characters at least; none: it stays closed.
    pub token: Option<Secret>,
    /// `[admin.tls]`; none: plain HTTP.
    pub tls: Option<TlsOptions>,
}

/// What a listener shows in TLS: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificate, with those that lead to a root behind it.
    pub certificate_file: PathBuf,
    /// Its key.
    pub private_key_file: PathBuf,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Which store, and where.
    pub url: StoreUrl,
    /// The user: `store.username`, else the URL's.
    pub username: Option<String>,
    /// The password: `store.password`, else the URL's.
    pub password: Option<Secret>,
    /// The one before it, tried where it is refused.
    pub password_previous: Option<Secret>,
    /// Before every key.
    pub key_prefix: String,
    /// How long a trip may take.
    pub operation_timeout_ms: u64,
    /// Whether a Redis that may evict is refused.
    pub require_noeviction: bool,
    /// Replicas that must have a write before it is acknowledged.
    pub replicas: u32,
    /// Where revocations outlive a restart; none: nowhere.
    pub journal_file: Option<PathBuf>,
    /// What the memory store holds at most.
    pub memory_tokens_max: u64,
    /// `[store.tls]`.
    pub tls: StoreTlsOptions,
}

/// `[store.tls]`: PEM files.
#[derive(Clone, Debug, Default)]
pub struct StoreTlsOptions {
    /// Whom to believe; none: the usual roots.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate; there exactly when `private_key_file` is.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub private_key_file: Option<PathBuf>,
}

/// `[tokens]`.
#[derive(Clone, Debug)]
pub struct TokensOptions {
    /// A token's life where its client says nothing.
    pub ttl_seconds: u32,
    /// What no client's tokens may outlive.
    pub ttl_seconds_max: u32,
    /// Before each token and its underscore.
    pub prefix: String,
    /// Whether a proof of possession must hold a nonce of this server.
    pub require_dpop_nonce: bool,
}

/// `[keys]`.
#[derive(Clone, Debug)]
pub struct KeysOptions {
    /// The key file; none: keys are made at start (with `--dev` or `memory:` only).
    pub file: Option<PathBuf>,
}

/// `[clients]`.
#[derive(Clone, Debug)]
pub struct ClientsOptions {
    /// A file or a folder.
    pub file: PathBuf,
}

/// `[limits]`.
#[derive(Clone, Debug)]
pub struct LimitsOptions {
    /// Largest request body.
    pub body_bytes: usize,
    /// Connections at once, before the open-files limit is asked.
    pub connections: usize,
    /// Connections at once from one address; 0: no limit.
    pub connections_per_source: usize,
    /// What may be wrong about one client from one source.
    pub wrong_proofs_per_minute: u8,
    /// Live tokens that one client may have in the memory store; 0: half of what that holds.
    pub live_tokens_per_client: u64,
    /// From the moment a request is read whole.
    pub request_deadline_ms: u64,
    /// For a TLS handshake, from accept.
    pub handshake_timeout_ms: u64,
    /// From a request's first byte to the end of its header.
    pub header_timeout_ms: u64,
    /// For a body.
    pub body_timeout_ms: u64,
    /// Before and between requests.
    pub idle_timeout_ms: u64,
    /// Until a connection is asked to close; 0: never.
    pub connection_age_ms: u64,
    /// After SIGTERM: still accepting, no longer ready. 0 with `--dev`.
    pub drain_delay_ms: u64,
    /// Then answering what has begun.
    pub drain_timeout_ms: u64,
}

/// `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// How lines look.
    pub format: LogFormat,
    /// The least important events that are logged.
    pub level: LogLevel,
    /// Which requests get a line.
    pub requests: LogRequests,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// The least important events that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs somebody now.
    Error,
    /// What will need somebody.
    Warn,
    /// Changes of state.
    Info,
    /// Each failed request.
    Debug,
    /// Everything.
    Trace,
}

/// Which requests get a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRequests {
    /// None.
    None,
    /// Those not answered with success.
    Failures,
    /// All.
    All,
}

impl Config {
    /// Whether certificates of clients are asked for, or a proxy tells of them.
    pub fn takes_certificates(&self) -> bool {
        self.mtls.is_some() || self.public.proxies.certificate != CertificateHeader::None
    }

    /// The issuer once the public listener stands at `listened`: the configured one, else `http://` and a loopback address with its port.
    pub fn issuer_when_listening(
        &self,
        listened: &ListenAddress,
    ) -> Result<Issuer, crate::oauth::metadata::IssuerError> {
        match &self.issuer {
            Some(issuer) => Ok(issuer.clone()),
            None => Issuer::parse(&local_url(listened, self.public.tls.is_some()), false),
        }
    }
}

/// The URL by which this machine reaches a listener; a unix socket has none, it gets the default port's.
pub fn local_url(listened: &ListenAddress, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    match listened {
        ListenAddress::Tcp(address) if address.ip().is_loopback() => format!("{scheme}://{address}"),
        ListenAddress::Tcp(address) => format!("{scheme}://127.0.0.1:{}", address.port()),
        ListenAddress::Unix(_) => format!("{scheme}://127.0.0.1:4444"),
    }
}

impl LogRequests {
    /// The word for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failures => "failures",
            Self::All => "all",
        }
    }
}

impl LogLevel {
    /// The word for it, as filters of `tracing` know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
