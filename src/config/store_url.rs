//! `store.url`: which store, and where it is.

use std::fmt;
use std::path::PathBuf;

use url::{Host, Url};

use crate::oauth::secret::Secret;

/// The store that a URL names, without the credentials in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:`: in the process.
    Memory,
    /// `redis://`, `rediss://`, `redis+unix://`: one Redis.
    Redis {
        /// Where it listens.
        endpoint: RedisEndpoint,
        /// The number of its database.
        database: u32,
    },
}

/// Where a Redis listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisEndpoint {
    /// A host name or IP address (IPv6 without brackets) and a port, inside TLS or not.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Whether to speak TLS: `rediss://`.
        tls: bool,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// What stands in a URL of a store.
#[derive(Debug)]
pub(crate) struct ParsedStoreUrl {
    pub(crate) url: StoreUrl,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

const REDIS_PORT: u16 = 6379;
const LATER_SCHEMES: [&str; 4] = ["redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

/// Reads a URL. The error is for whoever wrote it and holds nothing of the URL, since a password may stand in it.
pub(crate) fn parse(text: &str) -> Result<ParsedStoreUrl, &'static str> {
    if text == "memory:" || text == "memory://" {
        return Ok(ParsedStoreUrl { url: StoreUrl::Memory, username: None, password: None });
    }
    let scheme = text.split(':').next().unwrap_or_default();
    if LATER_SCHEMES.contains(&scheme) {
        return Err(
            "Sentinel and Cluster are not in this release yet; write memory:, redis://, rediss:// or redis+unix://",
        );
    }
    let url =
        Url::parse(text).map_err(|_| "is no URL; write memory:, redis://HOST:PORT, rediss:// or redis+unix:///PATH")?;
    if url.fragment().is_some() {
        return Err("has a fragment, which means nothing here");
    }
    match url.scheme() {
        "redis" => over_tcp(&url, false),
        "rediss" => over_tcp(&url, true),
        "redis+unix" | "unix" => over_unix(&url),
        _ => Err("names no store; write memory:, redis://, rediss:// or redis+unix://"),
    }
}

fn over_tcp(url: &Url, tls: bool) -> Result<ParsedStoreUrl, &'static str> {
    if url.query().is_some() {
        return Err("has a query, which means nothing here: the other options of the store stand in [store]");
    }
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        _ => return Err("names no host; write redis://HOST:PORT"),
    };
    let database = database(url.path().trim_start_matches('/'))?;
    let endpoint = RedisEndpoint::Tcp { host, port: url.port().unwrap_or(REDIS_PORT), tls };
    let password = url.password().map(percent_decoded).map(|bytes| Secret::new(&bytes));
    let username = Some(url.username()).filter(|name| !name.is_empty()).map(decoded_text).transpose()?;
    Ok(ParsedStoreUrl { url: StoreUrl::Redis { endpoint, database }, username, password })
}

fn over_unix(url: &Url) -> Result<ParsedStoreUrl, &'static str> {
    let path = decoded_text(url.path())?;
    if url.host_str().is_some_and(|host| !host.is_empty()) || path.len() < 2 {
        return Err("names no socket; write redis+unix:///PATH, with three slashes");
    }
    let (mut number, mut username, mut password) = (0, None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "db" => number = database(&value)?,
            "user" => username = Some(value.into_owned()),
            "pass" => password = Some(Secret::new(value.as_bytes())),
            _ => return Err("has an unknown parameter; redis+unix:// takes db, user and pass"),
        }
    }
    let url = StoreUrl::Redis { endpoint: RedisEndpoint::Unix(path.into()), database: number };
    Ok(ParsedStoreUrl { url, username, password })
}

fn database(text: &str) -> Result<u32, &'static str> {
    if text.is_empty() {
        Ok(0)
    } else {
        text.parse().map_err(|_| "names no database; it is a number, as in redis://HOST/0")
    }
}

fn decoded_text(text: &str) -> Result<String, &'static str> {
    String::from_utf8(percent_decoded(text)).map_err(|_| "holds percent-encoded bytes that are no UTF-8")
}

/// Percent-decoding as RFC 3986 has it; a percent sign that begins no escape stays.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let escape = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escape = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) if *byte == b'%' => {
                out.push(decoded);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

/// A store's URL as it may be shown: a password in it, or a value that is no URL, is masked.
pub(crate) fn masked(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "…".into() };
    if url.password().is_some() && url.set_password(Some("masked")).is_err() {
        return "…".into();
    }
    if url.query().is_some() {
        url.set_query(Some("masked"));
    }
    url.to_string().replace(":masked@", ":…@").replace("?masked", "?…")
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redis { endpoint: RedisEndpoint::Tcp { host, port, tls }, database } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(f, "{scheme}://{host}:{port}/{database}")
            }
            Self::Redis { endpoint: RedisEndpoint::Unix(path), database } => {
                write!(f, "redis+unix://{}?db={database}", path.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_shown_without_its_secret() {
        let read = |text| parse(text).unwrap();
        assert_eq!(read("memory:").url, StoreUrl::Memory);
        assert_eq!(read("redis://127.0.0.1").url.to_string(), "redis://127.0.0.1:6379/0");
        assert_eq!(read("rediss://[::1]:1/3").url.to_string(), "rediss://[::1]:1/3");
        let url = read("redis://jet%20on:p%40ss%zz@redis.example:7/2");
        assert_eq!((url.username.as_deref(), url.password), (Some("jet on"), Some(Secret::new(b"p@ss%zz"))));
        assert_eq!(read("redis://:only@h").username, None);
        let unix = read("redis+unix:///run/redis.sock?db=4&pass=x");
        assert_eq!(unix.url.to_string(), "redis+unix:///run/redis.sock?db=4");
        assert_eq!(unix.password, Some(Secret::new(b"x")));
    }

    #[test]
    fn what_names_no_store_is_refused_without_being_repeated() {
        for text in
            ["http://u:hunter2@x", "redis://", "redis://h/x", "redis://h?hunter2=1", "redis://h#hunter2", "hunter2"]
        {
            assert!(!parse(text).unwrap_err().contains("hunter2"), "{text}");
        }
        assert!(parse("redis+cluster://h").unwrap_err().contains("not in this release"));
        assert!(parse("redis+unix://run/x").is_err() && parse("redis+unix:///").is_err());
    }

    #[test]
    fn masking_leaves_no_secret() {
        assert_eq!(masked("redis://u:hunter2@h:1/0"), "redis://u:…@h:1/0");
        assert_eq!(masked("redis+unix:///s?pass=hunter2"), "redis+unix:///s?…");
        assert_eq!(masked("redis://h"), "redis://h");
        assert_eq!(masked("hunter2"), "…");
    }
}
