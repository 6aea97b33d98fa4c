//! Every key of the configuration in one table: its name, form, default, and why the default is what it is.
//!
//! The readers of file, environment and flags, `config show`, the hints for unknown keys and the test of jeton.example.toml all
//! follow this table. To add a key: a row here, a field in `options`, a line in `build`, a line in jeton.example.toml.

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its section and name, with dots.
    pub(crate) path: &'static str,
    /// What its value looks like.
    pub(crate) kind: Kind,
    /// Its value where nobody gives one.
    pub(crate) preset: Preset,
    /// Unit and reason, for people.
    pub(crate) about: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is a secret or may hold one: never shown, and `<key>_file` may name a file with it.
    Secret,
    /// A URL in which a secret may stand: shown with that masked; `<key>_file` as above.
    SecretUrl,
    /// The path of a file.
    Path,
    /// An address to listen on.
    Address,
    /// true or false.
    Flag,
    /// A whole number between two bounds, both allowed.
    Number(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// None: absent unless given.
    Absent,
    /// A text, path, address or choice.
    Text(&'static str),
    /// A number.
    Number(u64),
    /// A flag.
    Flag(bool),
}

const fn key(path: &'static str, kind: Kind, preset: Preset, about: &'static str) -> Key {
    Key { path, kind, preset, about }
}

const MS_MAX: u64 = 86_400_000;

/// All keys, in the order of jeton.example.toml.
pub(crate) static KEYS: &[Key] = &[
    key(
        "issuer",
        Kind::Text,
        Preset::Absent,
        "The URL by which clients know this service, exactly. Required outside --dev: no default could be right.",
    ),
    key(
        "public.listen",
        Kind::Address,
        Preset::Text("127.0.0.1:4444"),
        "Where tokens are asked for; IP:PORT or unix:PATH. Loopback: what is not configured is not reachable.",
    ),
    key(
        "public.workers",
        Kind::Number(0, 1024),
        Preset::Number(0),
        "Threads; 0: one for each core that affinity and cgroup leave, since a worker never shares its core.",
    ),
    key(
        "public.plain_http",
        Kind::Choice(&["loopback", "any"]),
        Preset::Text("loopback"),
        "Where HTTP without TLS may be listened for; any: a proxy or mesh in front ends TLS.",
    ),
    key(
        "admin.listen",
        Kind::Address,
        Preset::Text("127.0.0.1:4445"),
        "Metrics, health and /admin/; IP:PORT or unix:PATH. Its own listener, so that it need not be published.",
    ),
    key(
        "admin.token",
        Kind::Secret,
        Preset::Absent,
        "What opens /admin/, 32 characters at least. Left out: /admin/ answers 403.",
    ),
    key(
        "store.url",
        Kind::SecretUrl,
        Preset::Absent,
        "memory: or redis:// rediss:// redis+unix:// redis+sentinel:// redis+cluster://. Required outside --dev: tokens in memory die with it.",
    ),
    key("store.username", Kind::Text, Preset::Absent, "User of the store, over the URL's."),
    key("store.password", Kind::Secret, Preset::Absent, "Password of the store, over the URL's."),
    key(
        "store.password_previous",
        Kind::Secret,
        Preset::Absent,
        "The password before that, tried where it is refused: while the store's changes, one of the two opens.",
    ),
    key(
        "store.key_prefix",
        Kind::Text,
        Preset::Text("jeton:"),
        "Before every key in Redis; no braces. Short, since keys beyond 30 characters cost memory a page.",
    ),
    key(
        "store.operation_timeout_ms",
        Kind::Number(1, 60_000),
        Preset::Number(250),
        "Milliseconds a trip to Redis may take. A quarter of the request's deadline: a stall is known while callers wait.",
    ),
    key(
        "store.require_noeviction",
        Kind::Flag,
        Preset::Flag(false),
        "true: a Redis that may evict keys is not used. false: it warns, since evicted tokens only end early.",
    ),
    key(
        "store.memory_tokens_max",
        Kind::Number(1, 10_000_000_000),
        Preset::Number(10_000_000),
        "Tokens that memory: holds; full means 503, never the end of a live one. About 2 GB.",
    ),
    key(
        "store.replicas",
        Kind::Number(0, 1000),
        Preset::Number(0),
        "Replicas of Redis that must have a token or revocation before it is acknowledged. 0: Redis alone, a failover may lose some.",
    ),
    key(
        "store.journal_file",
        Kind::Path,
        Preset::Absent,
        "A file of this node's own in which revocations outlive a restart. Left out: they are known in memory and to other nodes.",
    ),
    key(
        "store.tls.ca_file",
        Kind::Path,
        Preset::Absent,
        "PEM file of who signed the certificate of Redis. Left out: the usual roots.",
    ),
    key(
        "store.tls.certificate_file",
        Kind::Path,
        Preset::Absent,
        "PEM file of our certificate for Redis, where it asks for one.",
    ),
    key("store.tls.private_key_file", Kind::Path, Preset::Absent, "PEM file of that certificate's key."),
    key(
        "tokens.ttl_seconds",
        Kind::Number(1, 315_360_000),
        Preset::Number(3600),
        "Seconds a token lives where its client says nothing. An hour: what most clients expect.",
    ),
    key(
        "tokens.ttl_seconds_max",
        Kind::Number(1, 315_360_000),
        Preset::Number(86_400),
        "Seconds no client's tokens may outlive. Old keys must be kept so long.",
    ),
    key(
        "tokens.prefix",
        Kind::Text,
        Preset::Text("jt"),
        "Before each token and an underscore, so that scanners find leaked ones; A-Z a-z 0-9 - _, 32 at most.",
    ),
    key(
        "keys.file",
        Kind::Path,
        Preset::Absent,
        "The service's keys, made by `jeton keys generate`. Left out with memory: keys are made at start.",
    ),
    key(
        "clients.file",
        Kind::Path,
        Preset::Text("clients.toml"),
        "The registered clients: a file, or a folder whose *.toml are read in the order of their names.",
    ),
    key(
        "limits.body_bytes",
        Kind::Number(1024, 16_777_216),
        Preset::Number(16_384),
        "Bytes of a request's body. The largest honest request is far below.",
    ),
    key(
        "limits.connections",
        Kind::Number(1, 10_000_000),
        Preset::Number(10_000),
        "Connections, or what the open-files limit leaves. Full: the one idle for longest goes.",
    ),
    key(
        "limits.connections_per_source",
        Kind::Number(0, 10_000_000),
        Preset::Number(0),
        "Connections of one IPv4 address or IPv6 /64; 0: no limit, since behind a balancer all have one address.",
    ),
    key(
        "limits.request_deadline_ms",
        Kind::Number(1, MS_MAX),
        Preset::Number(1000),
        "Milliseconds from the moment a request is read whole, then 503: a caller can try elsewhere.",
    ),
    key(
        "limits.header_timeout_ms",
        Kind::Number(1, MS_MAX),
        Preset::Number(5000),
        "Milliseconds from a request's first byte to its header's last, against slow senders.",
    ),
    key(
        "limits.body_timeout_ms",
        Kind::Number(1, MS_MAX),
        Preset::Number(5000),
        "Milliseconds for a body, against slow senders.",
    ),
    key(
        "limits.idle_timeout_ms",
        Kind::Number(1, MS_MAX),
        Preset::Number(620_000),
        "Milliseconds a connection may be idle. Longer than load balancers (600 s), which must be the ones to close.",
    ),
    key(
        "limits.connection_age_ms",
        Kind::Number(0, MS_MAX),
        Preset::Number(600_000),
        "Milliseconds until a connection is asked to close (10 % either way), so that load finds new nodes; 0: never.",
    ),
    key(
        "limits.drain_delay_ms",
        Kind::Number(0, MS_MAX),
        Preset::Number(2000),
        "Milliseconds after SIGTERM in which connections are still taken while not ready: balancers need to see it.",
    ),
    key(
        "limits.drain_timeout_ms",
        Kind::Number(0, MS_MAX),
        Preset::Number(10_000),
        "Milliseconds in which what has begun is answered. With the delay well below the 30 s that orchestrators wait.",
    ),
    key(
        "log.format",
        Kind::Choice(&["auto", "text", "json"]),
        Preset::Text("auto"),
        "auto: text on a terminal, else a JSON object a line.",
    ),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        Preset::Text("info"),
        "The least important events that are logged. info tells changes of state alone.",
    ),
    key(
        "log.requests",
        Kind::Choice(&["none", "failures", "all"]),
        Preset::Text("none"),
        "Requests that get a line each. none: at full load lines cost more than tokens.",
    ),
];

/// Keys and sections that a later release brings: named so that their users are told that, and not that they mistyped.
pub(crate) static LATER: &[&str] = &[
    "profile",
    "public.trusted_proxies",
    "public.client_certificate_header",
    "public.tls",
    "mtls",
    "admin.tls",
    "limits.live_tokens_per_client",
    "metrics.per_client",
];

/// What a name in a configuration stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// A key's own value.
    Value(&'static Key),
    /// `<key>_file`: the file that holds the value.
    FileOf(&'static Key),
    /// A section.
    Section,
    /// A key or section of a later release.
    Later,
}

impl Key {
    /// Whether `<key>_file` may name a file that holds the value.
    pub(crate) fn can_come_from_file(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::SecretUrl)
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        variable(self.path)
    }
}

/// The environment variable of a path.
pub(crate) fn variable(path: &str) -> String {
    format!("JETON_{}", path.replace('.', "__").to_ascii_uppercase())
}

/// What a dotted path stands for, if anything.
pub(crate) fn find(path: &str) -> Option<Named> {
    if let Some(key) = KEYS.iter().find(|key| key.path == path) {
        return Some(Named::Value(key));
    }
    let owner = path.strip_suffix("_file").and_then(|path| KEYS.iter().find(|key| key.path == path));
    if let Some(key) = owner.filter(|key| key.can_come_from_file()) {
        return Some(Named::FileOf(key));
    }
    if LATER.contains(&path) {
        return Some(Named::Later);
    }
    let within = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    names().any(|known| within(&known)).then_some(Named::Section)
}

/// Every path that may be written: keys, their `_file` twins, and what comes later.
pub(crate) fn names() -> impl Iterator<Item = String> {
    let keys = KEYS.iter().flat_map(|key| {
        let twin = key.can_come_from_file().then(|| format!("{}_file", key.path));
        std::iter::once(key.path.to_owned()).chain(twin)
    });
    keys.chain(LATER.iter().map(|path| (*path).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.path != key.path), "{} stands twice", key.path);
            assert!(key.about.ends_with('.') && !LATER.contains(&key.path), "{}", key.path);
            let fits = match (key.kind, key.preset) {
                (_, Preset::Absent) => true,
                (Kind::Number(min, max), Preset::Number(number)) => (min..=max).contains(&number),
                (Kind::Flag, Preset::Flag(_)) => true,
                (Kind::Choice(words), Preset::Text(word)) => words.contains(&word),
                (Kind::Text | Kind::Path | Kind::Address, Preset::Text(_)) => true,
                _ => false,
            };
            assert!(fits, "the default of {} is not of its kind", key.path);
        }
    }

    #[test]
    fn names_are_found() {
        assert!(matches!(find("admin.token_file"), Some(Named::FileOf(key)) if key.path == "admin.token"));
        assert!(matches!(find("store.tls"), Some(Named::Section)));
        assert!(matches!(find("metrics"), Some(Named::Section)) && matches!(find("mtls"), Some(Named::Later)));
        assert!(find("stor").is_none() && find("keys.file_file").is_none());
        assert_eq!(variable("store.tls.ca_file"), "JETON_STORE__TLS__CA_FILE");
    }
}
