//! Which room may import which, and which crate may be named where: the table of ARCHITECTURE.md.

use crate::paths::{self, Named};
use crate::source::{Breach, Source};

/// What a room may import of ours.
struct Room {
    name: &'static str,
    imports: &'static [&'static str],
    /// Modules of those rooms that stay closed to it all the same.
    closed: &'static [&'static str],
}

const LEAVES: [&str; 5] = ["clock", "random", "telemetry", "lifecycle", "failpoint"];

const ROOMS: &[Room] = &[
    Room { name: "oauth", imports: &[], closed: &[] },
    Room { name: "clock", imports: &[], closed: &[] },
    Room { name: "random", imports: &[], closed: &[] },
    Room { name: "telemetry", imports: &[], closed: &[] },
    Room { name: "lifecycle", imports: &[], closed: &[] },
    Room { name: "failpoint", imports: &[], closed: &[] },
    Room { name: "store", imports: &["oauth"], closed: &[] },
    Room { name: "actors", imports: &["oauth", "store"], closed: &["store::redis", "store::memory"] },
    Room {
        name: "http",
        imports: &["oauth", "actors"],
        closed: &["actors::mailbox", "actors::supervisor", "actors::deadlines"],
    },
];

/// Those that may import everything, and the crate's root, which only lists the rooms.
const UPPER: [&str; 8] = ["app", "worker", "cli", "config", "main", "fuzzing", "simulation", ""];

/// A crate and the places, as beginnings of paths, where alone it may be named.
const CRATES: &[(&str, &[&str])] = &[
    ("redis", &["src/store/redis"]),
    ("hyper", &["src/http", "src/cli"]),
    ("rustls", &["src/http", "src/store/redis", "src/cli", "src/main.rs"]),
    ("tokio_rustls", &["src/http", "src/store/redis", "src/cli", "src/main.rs"]),
];

/// What the pure room must not even mention.
const NOT_IN_OAUTH: [&str; 6] = ["tokio", "hyper", "http", "redis", "metrics", "tracing"];

/// The names of all rooms.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ROOMS.iter().map(|room| room.name).chain(UPPER).filter(|name| !name.is_empty())
}

/// Breaches of the import table, test code included but for a store to test an actor with.
pub(crate) fn imports(source: &Source) -> Vec<Breach> {
    let name = source.room();
    if UPPER.contains(&name.as_str()) {
        return Vec::new();
    }
    let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
        return vec![source.breach(1, format!("room `{name}` is not in the import table"))];
    };
    paths::named(source)
        .into_iter()
        .filter_map(|path| {
            let why = refuse(room, &path)?;
            Some(source.breach(path.line, format!("`{name}` {why}: `{}`", path.segments.join("::"))))
        })
        .collect()
}

fn refuse(room: &Room, path: &Named) -> Option<&'static str> {
    let target = path.ours()?;
    let first = target.first()?.as_str();
    let leaf = LEAVES.contains(&first) && !LEAVES.contains(&room.name) && room.name != "oauth";
    if first != room.name && !leaf && !room.imports.contains(&first) {
        return Some("may not import this room");
    }
    let joined = target.join("::");
    let closed = room.closed.iter().any(|c| joined == *c || joined.starts_with(&format!("{c}::")));
    (closed && !path.in_test).then_some("may not open this door of the room")
}

/// Crates named outside their rooms.
pub(crate) fn crates(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if source.room() == "oauth" {
        for token in &source.tokens {
            if let Some(word) = token.word().filter(|word| NOT_IN_OAUTH.contains(word)) {
                breaches.push(source.breach(token.line, format!("`oauth` names `{word}`")));
            }
        }
    }
    let named = paths::named(source);
    for (krate, places) in CRATES {
        if places.iter().any(|place| source.path.starts_with(place)) || stands_for_a_module(source, &named, krate) {
            continue;
        }
        for path in named.iter().filter(|path| path.segments[0] == *krate) {
            breaches.push(source.breach(path.line, format!("`{krate}` is named outside {places:?}")));
        }
    }
    breaches
}

/// Whether the bare name means a module of ours here: declared as a child, or imported.
fn stands_for_a_module(source: &Source, named: &[Named], krate: &str) -> bool {
    let declared = (0..source.tokens.len()).any(|at| source.reads(at, &format!("mod {krate} ;")));
    let imported = named
        .iter()
        .any(|path| path.imported && path.ours().and_then(<[String]>::last).is_some_and(|last| last == krate));
    declared || imported
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(check: fn(&Source) -> Vec<Breach>, path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn an_import_from_above_is_a_breach_however_it_is_written() {
        for (path, text) in [
            ("src/oauth/token.rs", "use crate::clock::Clock;"),
            ("src/oauth/token.rs", "fn f() { crate::store::memory::x() }"),
            ("src/oauth.rs", "use super::actors;"),
            ("src/telemetry/metrics.rs", "use crate::clock::Clock;"),
            ("src/store/memory.rs", "use crate::{oauth::token::Token, actors::ActorError};"),
            ("src/store/memory.rs", "use super::super::http::Limits;"),
            ("src/actors/minter.rs", "use crate::http::Services;"),
            ("src/actors/minter.rs", "use crate::store::redis::RedisStore;"),
            ("src/http/error.rs", "use crate::store::StoreError;"),
            ("src/http/error.rs", "use crate::actors::mailbox::Mailbox;"),
            ("src/cache.rs", ""),
        ] {
            assert_eq!(breaches(imports, path, text), 1, "{path}: {text}");
        }
    }

    #[test]
    fn an_import_from_below_is_fine() {
        for (path, text) in [
            ("src/oauth/token.rs", "use super::grant::Grant; use crate::oauth::scope;"),
            ("src/store/memory.rs", "use super::StoreError; use crate::{oauth::token::Token, random::Random};"),
            (
                "src/actors/minter.rs",
                "use crate::store::TokenStore; #[cfg(test)] use crate::store::memory::MemoryStore;",
            ),
            ("src/http/error.rs", "use crate::actors::ActorError; use crate::lifecycle::Health;"),
            ("src/worker.rs", "use crate::store::redis::RedisStore; use crate::http::Services;"),
            ("src/lib.rs", "pub use crate::app::run;"),
        ] {
            assert_eq!(breaches(imports, path, text), 0, "{path}: {text}");
        }
    }

    #[test]
    fn a_crate_outside_its_rooms_is_a_breach() {
        for (path, text) in [
            ("src/oauth/token.rs", "use tokio::time::Instant;"),
            ("src/oauth/token.rs", "fn f(http: u8) {}"),
            ("src/actors/minter.rs", "use redis::Cmd;"),
            ("src/worker.rs", "fn f() { ::redis::cmd(\"GET\") }"),
            ("src/worker.rs", "use hyper::body::Body;"),
            ("src/actors/minter.rs", "fn f(_: rustls::ServerConfig) {}"),
            ("src/config/tls.rs", "use tokio_rustls::TlsAcceptor;"),
        ] {
            assert_eq!(breaches(crates, path, text), 1, "{path}: {text}");
        }
        for (path, text) in [
            ("src/store/redis/wire.rs", "use redis::Cmd; use tokio_rustls::TlsConnector;"),
            ("src/store.rs", "pub mod redis; fn f() { redis::open() }"),
            ("src/worker.rs", "use crate::store::redis; fn f() { redis::open() }"),
            ("src/cli/client.rs", "use hyper::client::conn;"),
            ("src/main.rs", "fn main() { rustls::crypto::ring::default_provider(); }"),
        ] {
            assert_eq!(breaches(crates, path, text), 0, "{path}: {text}");
        }
    }
}
