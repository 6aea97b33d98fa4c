//! The URL of a Redis: `redis://user:password@host:6379/0`, `rediss://…` with TLS, `redis+unix:///path?db=0` or `unix:/path`; those
//! that name several hosts are read in [`hosts`].
//!
//! Invariant: no error repeats the URL, which may hold a password.

mod hosts;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use url::{Host, Url};

pub use super::endpoint::Endpoint;
use crate::oauth::secret::Secret;

const PORT: u16 = 6379;

/// What is wrong with a URL, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(String);

/// What a URL says.
#[derive(Debug)]
pub struct ParsedUrl {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// The ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The database to select.
    pub database: u32,
}

/// Reads a URL.
///
/// # Errors
/// [`UrlError`].
pub fn parse(text: &str) -> Result<ParsedUrl, UrlError> {
    if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| hosts::are_named_by(scheme)) {
        return hosts::parse(scheme, rest);
    }
    let url = Url::parse(text).map_err(|error| not_a_url(&error.to_string()))?;
    if url.fragment().is_some() {
        return Err(refuse("nothing may stand behind #; in a password write it as %23"));
    }
    match url.scheme() {
        "redis" | "rediss" => parse_net(&url),
        "redis+unix" | "unix" => parse_unix(&url),
        scheme if hosts::are_named_by(scheme) => Err(refuse(format!("write it as {scheme}://host:7000,host2:7001"))),
        other => Err(refuse(format!(
            "unknown scheme {other:?}; one of memory, redis, rediss, redis+unix, redis+sentinel, redis+cluster"
        ))),
    }
}

fn parse_net(url: &Url) -> Result<ParsedUrl, UrlError> {
    if url.query().is_some() {
        return Err(refuse("it takes no parameters behind ?, which in a password is written as %3F"));
    }
    let host = match url.host() {
        // The url crate takes these schemes for unknown ones and reads an IPv4 address as a name, which resolves to itself.
        Some(Host::Domain(name)) if !name.is_empty() => decode(name, "the host")?.into_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => return Err(refuse("the host is missing; write redis://host:6379")),
    };
    let port = url.port().unwrap_or(PORT);
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => database(number)?,
    };
    let tls = url.scheme() == "rediss";
    Ok(ParsedUrl {
        endpoint: if tls { Endpoint::Tls { host, port } } else { Endpoint::Tcp { host, port } },
        username: username(url)?,
        password: password(url)?,
        database,
    })
}

fn parse_unix(url: &Url) -> Result<ParsedUrl, UrlError> {
    if url.host_str().is_some_and(|host| !host.is_empty()) {
        return Err(refuse("a socket's path is absolute: three slashes, as in redis+unix:///run/redis.sock"));
    }
    let path = decode(url.path(), "the path")?;
    if !path.starts_with('/') || path.len() < 2 {
        return Err(refuse("the socket's path is missing; write redis+unix:///run/redis.sock"));
    }
    let mut parsed = ParsedUrl {
        endpoint: Endpoint::Unix { path: PathBuf::from(path.as_ref()) },
        username: username(url)?,
        password: password(url)?,
        database: 0,
    };
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "db" => parsed.database = database(&value)?,
            "user" => parsed.username = Some(value.into_owned()),
            "pass" => parsed.password = Some(Secret::new(value.as_bytes())),
            _ => return Err(refuse("an unknown parameter; one of db, user, pass")),
        }
    }
    Ok(parsed)
}

fn username(url: &Url) -> Result<Option<String>, UrlError> {
    let user = decode(url.username(), "the user")?;
    Ok((!user.is_empty()).then(|| user.into_owned()))
}

fn password(url: &Url) -> Result<Option<Secret>, UrlError> {
    let password = url.password().filter(|password| !password.is_empty());
    password.map(|password| Ok(Secret::new(decode(password, "the password")?.as_bytes()))).transpose()
}

fn database(text: &str) -> Result<u32, UrlError> {
    text.parse().map_err(|_| refuse("the database is a number, as in redis://host:6379/0"))
}

/// Undoes percent-encoding; an escape that is none is refused, not kept.
fn decode<'a>(text: &'a str, what: &str) -> Result<Cow<'a, str>, UrlError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let fault = || refuse(format!("{what} has a % that is no escape; write it as %25"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        if byte == b'%' {
            let (digits, behind) = behind.split_first_chunk::<2>().ok_or_else(fault)?;
            let digits = std::str::from_utf8(digits).map_err(|_| fault())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| fault())?);
            rest = behind;
        } else {
            bytes.push(byte);
            rest = behind;
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| refuse(format!("{what} is not UTF-8")))
}

fn not_a_url(error: &str) -> UrlError {
    let hint = "a URL of Redis is like redis://user:password@host:6379/0 or redis+unix:///run/redis.sock";
    refuse(format!(
        "not a URL ({error}); {hint}; in user and password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25"
    ))
}

fn refuse(why: impl Into<String>) -> UrlError {
    UrlError(why.into())
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.into(), port }
    }

    #[test]
    fn urls_say_where_and_who() {
        let cases = [
            ("redis://localhost", tcp("localhost", 6379), None, None, 0),
            ("redis://127.0.0.1:7000/3", tcp("127.0.0.1", 7000), None, None, 3),
            ("redis://[::1]:7000/", tcp("::1", 7000), None, None, 0),
            ("redis://jeton:p%40ss%25@h", tcp("h", 6379), Some("jeton"), Some("p@ss%"), 0),
            ("redis://:only@h", tcp("h", 6379), None, Some("only"), 0),
            ("rediss://h:1/2", Endpoint::Tls { host: "h".into(), port: 1 }, None, None, 2),
            ("redis+unix:///run/r%20s.sock?db=4&user=u&pass=p", unix("/run/r s.sock"), Some("u"), Some("p"), 4),
            ("unix:///run/r.sock", unix("/run/r.sock"), None, None, 0),
            ("unix:/run/r.sock", unix("/run/r.sock"), None, None, 0),
        ];
        for (url, endpoint, user, password, database) in cases {
            let parsed = parse(url).unwrap();
            assert_eq!(parsed.endpoint, endpoint, "{url}");
            assert_eq!(parsed.username.as_deref(), user, "{url}");
            assert_eq!(parsed.password.as_ref().map(Secret::expose), password.map(str::as_bytes), "{url}");
            assert_eq!(
                (parsed.database, matches!(parsed.endpoint, Endpoint::Tls { .. })),
                (database, url.starts_with("rediss")),
                "{url}"
            );
        }
    }

    fn unix(path: &str) -> Endpoint {
        Endpoint::Unix { path: path.into() }
    }

    #[test]
    fn bad_urls_are_refused_with_a_hint_and_without_the_password() {
        let cases = [
            ("localhost:6379", "unknown scheme"),
            ("//h", "not a URL"),
            ("", "not a URL"),
            ("http://h", "one of memory, redis"),
            ("redis://", "host is missing"),
            ("redis:///0", "host is missing"),
            ("redis://h/abc", "database is a number"),
            ("redis://h/0/1", "database is a number"),
            ("redis://h:99999", "not a URL"),
            ("redis://u:s3cret/@h", "%40"),
            ("redis://u:s3cret#x@h", "%23"),
            ("redis://u:s3cret%zz@h", "%25"),
            ("redis://u:s3cret%ff@h", "not UTF-8"),
            ("redis://u:1?s3cret@h", "%3F"),
            ("redis+unix://run/redis.sock", "three slashes"),
            ("redis+unix://", "path is missing"),
            ("redis+unix:///r?x=1", "one of db"),
        ];
        for (url, expected) in cases {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{url}: {error}");
        }
    }
}
