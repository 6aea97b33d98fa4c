//! The table itself: a row a key.

use super::{Key, Kind, Preset, key};

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
