//! From raw settings to [`Config`]: the rules that one key's form cannot hold.

mod listeners;

use std::path::{Path, PathBuf};

use super::Dev;
use super::address::ListenAddress;
use super::mistake::{Mistake, Origin, Warning};
use super::options::{
    ClientsOptions, Config, KeysOptions, LimitsOptions, LogFormat, LogLevel, LogOptions, LogRequests, StoreOptions,
    StoreTlsOptions, TokensOptions,
};
use super::settings::{Settings, Value};
use super::store_url::{self, ParsedStoreUrl, StoreUrl};
use crate::oauth::profile::Profile;
use crate::oauth::secret::Secret;
use crate::store::redis::options::Endpoint;

/// The longest key of a page that Redis keeps in its smallest form, and what of it follows the prefix: `p:` and 12 characters.
const PAGE_KEY_CHARS_MAX: usize = 30;
const PAGE_KEY_SUFFIX_CHARS: usize = 14;
/// `{hh}`, in a cluster.
const TAG_CHARS: usize = 4;
const KEY_PREFIX_CHARS_MAX: usize = 128;
const TOKEN_PREFIX_CHARS_MAX: usize = 32;

/// What building found out.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) warnings: Vec<Warning>,
}

/// Builds the configuration, with defaults in the place of what is mistaken.
pub(crate) fn build(settings: &Settings, dev: Option<Dev>, findings: &mut Findings) -> Config {
    let mut builder = Builder { settings, dev, findings };
    let public = builder.public();
    let mtls = builder.mtls(&public);
    let admin = builder.admin(&public, mtls.as_ref());
    let store = builder.store();
    Config {
        issuer: builder.issuer(public.plain_http),
        profile: match builder.text("profile") {
            Some("bcp") => Profile::Bcp,
            _ => Profile::Default,
        },
        tokens: builder.tokens(),
        keys: builder.keys(&store.url),
        clients: ClientsOptions { file: builder.path("clients.file").unwrap_or_default() },
        jwks: builder.jwks(),
        limits: builder.limits(&store),
        log: builder.log(),
        metrics_per_client: builder.number("metrics.per_client"),
        client_ca_file: builder.path("mtls.client_ca_file"),
        public,
        mtls,
        admin,
        store,
    }
}

struct Builder<'a> {
    settings: &'a Settings,
    dev: Option<Dev>,
    findings: &'a mut Findings,
}

impl Builder<'_> {
    fn store(&mut self) -> StoreOptions {
        let parsed = self.store_url();
        let prefix = self.text("store.key_prefix").unwrap_or_default().to_owned();
        let tagged = matches!(parsed.url, StoreUrl::Redis { endpoint: Endpoint::Cluster { .. }, .. });
        let suffix = PAGE_KEY_SUFFIX_CHARS + if tagged { TAG_CHARS } else { 0 };
        if prefix.contains(['{', '}']) {
            self.mistake("store.key_prefix", "holds a brace: in a cluster it would move keys to another node");
        } else if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) || prefix.len() > KEY_PREFIX_CHARS_MAX {
            let what = format!("must be printable ASCII without spaces, {KEY_PREFIX_CHARS_MAX} characters at most");
            self.mistake("store.key_prefix", what);
        } else if prefix.len() + suffix > PAGE_KEY_CHARS_MAX && parsed.url != StoreUrl::Memory {
            let most = PAGE_KEY_CHARS_MAX - suffix;
            self.warn(
                "store.key_prefix",
                format!("has more than {most} characters: each page of tokens takes more memory in Redis"),
            );
        }
        StoreOptions {
            username: self.text("store.username").map(str::to_owned).or(parsed.username),
            password: self.secret("store.password").or(parsed.password),
            password_previous: self.secret("store.password_previous"),
            tls: self.store_tls(&parsed.url),
            replicas: self.number("store.replicas"),
            journal_file: self.journal_file(&parsed.url),
            url: parsed.url,
            key_prefix: prefix,
            operation_timeout_ms: self.number("store.operation_timeout_ms"),
            require_noeviction: self.flag("store.require_noeviction"),
            memory_tokens_max: self.number("store.memory_tokens_max"),
        }
    }

    fn store_url(&mut self) -> ParsedStoreUrl {
        let memory = ParsedStoreUrl { url: StoreUrl::Memory, username: None, password: None };
        let Some(secret) = self.secret("store.url") else {
            if self.dev.is_none() && self.settings.is_missing("store.url") {
                self.missing(
                    "store.url",
                    "write \"redis://127.0.0.1:6379\" or, for tokens that die with the process, \"memory:\"",
                );
            }
            return memory;
        };
        let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
        match store_url::parse(text) {
            Ok(parsed) => {
                if self.dev.is_none() && parsed.url == StoreUrl::Memory {
                    self.warn(
                        "store.url",
                        "keeps tokens in this process alone: they end with it, and no other node knows them",
                    );
                }
                parsed
            }
            Err(what) => {
                let mistake = Mistake::new(self.origin("store.url"), format!("`store.url`: {what}"));
                self.findings.mistakes.push(mistake.did_you_mean(store_url::meant(text)));
                memory
            }
        }
    }

    fn journal_file(&mut self, url: &StoreUrl) -> Option<PathBuf> {
        let file = self.path("store.journal_file");
        if *url == StoreUrl::Memory {
            for (path, given) in
                [("store.journal_file", file.is_some()), ("store.replicas", self.number::<u32>("store.replicas") > 0)]
            {
                if given {
                    self.warn(path, "is not used: memory: forgets no revocation before its tokens");
                }
            }
        }
        file
    }

    fn store_tls(&mut self, url: &StoreUrl) -> StoreTlsOptions {
        let tls = StoreTlsOptions {
            ca_file: self.path("store.tls.ca_file"),
            certificate_file: self.path("store.tls.certificate_file"),
            private_key_file: self.path("store.tls.private_key_file"),
        };
        for (given, other, there) in [
            ("store.tls.certificate_file", "store.tls.private_key_file", tls.private_key_file.is_some()),
            ("store.tls.private_key_file", "store.tls.certificate_file", tls.certificate_file.is_some()),
        ] {
            if self.settings.get(given).is_some() && !there {
                self.mistake(given, format!("needs {other} beside it"));
            }
        }
        let speaks_tls = matches!(url, StoreUrl::Redis { endpoint, .. } if endpoint.speaks_tls());
        let given = ["store.tls.ca_file", "store.tls.certificate_file"]
            .into_iter()
            .find(|path| self.settings.get(path).is_some());
        if let (Some(given), false) = (given, speaks_tls) {
            self.warn(given, "is not used: store.url does not begin with rediss");
        }
        tls
    }

    fn tokens(&mut self) -> TokensOptions {
        let (ttl_seconds, ttl_seconds_max) = (self.number("tokens.ttl_seconds"), self.number("tokens.ttl_seconds_max"));
        if ttl_seconds > ttl_seconds_max {
            self.mistake(
                "tokens.ttl_seconds",
                format!("{ttl_seconds} is more than tokens.ttl_seconds_max, {ttl_seconds_max}"),
            );
        }
        let prefix = self.text("tokens.prefix").unwrap_or_default().to_owned();
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if prefix.is_empty() || prefix.len() > TOKEN_PREFIX_CHARS_MAX || !prefix.bytes().all(is_fit) {
            let what = format!(
                "must be 1 to {TOKEN_PREFIX_CHARS_MAX} letters, digits, hyphens and underscores: what all clients can carry"
            );
            self.mistake("tokens.prefix", what);
        }
        TokensOptions {
            ttl_seconds,
            ttl_seconds_max,
            prefix,
            require_dpop_nonce: self.flag("tokens.require_dpop_nonce"),
        }
    }

    fn keys(&mut self, store: &StoreUrl) -> KeysOptions {
        let file = self.path("keys.file");
        let needed = self.dev.is_none() && *store != StoreUrl::Memory;
        if needed && file.is_none() && self.settings.is_missing("keys.file") {
            let hint = "make it with `jeton keys generate jeton.keys` and write keys.file = \"jeton.keys\"";
            self.missing("keys.file", &format!("with Redis every node needs the same keys; {hint}"));
        }
        KeysOptions { file }
    }

    fn limits(&mut self, store: &StoreOptions) -> LimitsOptions {
        let limits = LimitsOptions {
            body_bytes: self.number("limits.body_bytes"),
            connections: self.number("limits.connections"),
            connections_per_source: self.number("limits.connections_per_source"),
            wrong_proofs_per_minute: self.number("limits.wrong_proofs_per_minute"),
            live_tokens_per_client: self.number("limits.live_tokens_per_client"),
            request_deadline_ms: self.number("limits.request_deadline_ms"),
            handshake_timeout_ms: self.number("limits.handshake_timeout_ms"),
            header_timeout_ms: self.number("limits.header_timeout_ms"),
            body_timeout_ms: self.number("limits.body_timeout_ms"),
            idle_timeout_ms: self.number("limits.idle_timeout_ms"),
            connection_age_ms: self.number("limits.connection_age_ms"),
            drain_delay_ms: self.number("limits.drain_delay_ms"),
            drain_timeout_ms: self.number("limits.drain_timeout_ms"),
        };
        if limits.live_tokens_per_client > 0 && store.url != StoreUrl::Memory {
            let what = "counts the tokens in `memory:` alone; with Redis give clients a `rate_limit`";
            self.mistake("limits.live_tokens_per_client", what);
        }
        if store.operation_timeout_ms > limits.request_deadline_ms && store.url != StoreUrl::Memory {
            self.warn(
                "store.operation_timeout_ms",
                "is more than limits.request_deadline_ms: no caller waits that long",
            );
        }
        limits
    }

    fn log(&mut self) -> LogOptions {
        LogOptions {
            format: match self.text("log.format") {
                Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                _ => LogFormat::Auto,
            },
            level: match self.text("log.level") {
                Some("error") => LogLevel::Error,
                Some("warn") => LogLevel::Warn,
                Some("debug") => LogLevel::Debug,
                Some("trace") => LogLevel::Trace,
                _ => LogLevel::Info,
            },
            requests: match self.text("log.requests") {
                Some("failures") => LogRequests::Failures,
                Some("all") => LogRequests::All,
                _ => LogRequests::None,
            },
        }
    }
}

/// Typed access to settings, and findings at their places.
impl<'a> Builder<'a> {
    fn text(&self, path: &str) -> Option<&'a str> {
        match &self.settings.get(path)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn secret(&self, path: &str) -> Option<Secret> {
        match &self.settings.get(path)?.value {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    fn flag(&self, path: &str) -> bool {
        matches!(self.settings.get(path).map(|setting| &setting.value), Some(Value::Flag(true)))
    }

    /// A number; its range in the table fits its type.
    fn number<N: TryFrom<u64> + Default>(&self, path: &str) -> N {
        match self.settings.get(path).map(|setting| &setting.value) {
            Some(Value::Number(number)) => N::try_from(*number).unwrap_or_default(),
            _ => N::default(),
        }
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        let setting = self.settings.get(path)?;
        self.text(path).map(|text| setting.folder.join(text))
    }

    fn address(&mut self, path: &str) -> ListenAddress {
        let folder = self.settings.get(path).map_or(Path::new(""), |setting| &setting.folder);
        let text = self.text(path).unwrap_or_default();
        match ListenAddress::parse(text, folder) {
            Ok(address) => {
                if self.dev.is_some_and(|dev| !dev.allow_remote) && !address.is_local() {
                    let what = format!("{address} is not loopback, and the secrets of --dev are known to everybody");
                    self.mistake_with_hint(
                        path,
                        what,
                        "--dev-allow-remote says that it is meant, as inside a container",
                    );
                }
                address
            }
            Err(hint) => {
                self.mistake_with_hint(path, format!("`{text}` is no address"), &hint);
                ListenAddress::Unix(PathBuf::new())
            }
        }
    }

    fn origin(&self, path: &str) -> Origin {
        self.settings.get(path).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    fn mistake(&mut self, path: &str, what: impl Into<String>) {
        self.findings.mistakes.push(Mistake::new(self.origin(path), format!("`{path}`: {}", what.into())));
    }

    fn mistake_with_hint(&mut self, path: &str, what: impl Into<String>, hint: &str) {
        let mistake = Mistake::new(self.origin(path), format!("`{path}`: {}", what.into()));
        self.findings.mistakes.push(mistake.hint(hint));
    }

    fn missing(&mut self, path: &str, hint: &str) {
        self.findings.mistakes.push(Mistake::new(Origin::Default, format!("`{path}` is missing")).hint(hint));
    }

    fn warn(&mut self, path: &str, what: impl Into<String>) {
        self.findings.warnings.push(Warning::new(self.origin(path), format!("`{path}` {}", what.into())));
    }
}
