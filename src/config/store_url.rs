//! `store.url`: which store, and where it is.

use std::fmt;

use ::url::Url;

use super::hint::closest;
use crate::oauth::secret::Secret;
use crate::store::redis::options::Endpoint;
use crate::store::redis::url::{self, ParsedUrl};

/// The store that a URL names, without the credentials in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:`: in the process.
    Memory,
    /// One Redis (`redis://`, `rediss://`, `redis+unix://`), the primary of a Sentinel, or a cluster.
    Redis {
        /// Where it is.
        endpoint: Endpoint,
        /// The number of its database.
        database: u32,
    },
}

/// What stands in a URL of a store.
#[derive(Debug)]
pub(crate) struct ParsedStoreUrl {
    pub(crate) url: StoreUrl,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

/// Reads a URL. The error is for whoever wrote it and holds nothing of the URL, since a password may stand in it.
pub(crate) fn parse(text: &str) -> Result<ParsedStoreUrl, String> {
    if text == "memory:" || text == "memory://" {
        return Ok(ParsedStoreUrl { url: StoreUrl::Memory, username: None, password: None });
    }
    let ParsedUrl { endpoint, username, password, database } = url::parse(text).map_err(|error| error.to_string())?;
    Ok(ParsedStoreUrl { url: StoreUrl::Redis { endpoint, database }, username, password })
}

/// The scheme that was meant by one that names no store, if one is near it.
pub(crate) fn meant(text: &str) -> Option<&'static str> {
    const SCHEMES: [&str; 8] = [
        "memory",
        "redis",
        "rediss",
        "redis+unix",
        "redis+sentinel",
        "rediss+sentinel",
        "redis+cluster",
        "rediss+cluster",
    ];
    let (scheme, _) = text.split_once(':')?;
    closest(scheme, SCHEMES).filter(|near| *near != scheme)
}

/// A store's URL as it may be shown: a password in it, or a value that is no URL, is masked.
pub(crate) fn masked(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return masked_hosts(text).unwrap_or_else(|| "…".into()) };
    if url.password().is_some() && url.set_password(Some("masked")).is_err() {
        return "…".into();
    }
    if url.query().is_some() {
        url.set_query(Some("masked"));
    }
    url.to_string().replace(":masked@", ":…@").replace("?masked", "?…")
}

/// The same for a URL of several hosts, which is no URL to others.
fn masked_hosts(text: &str) -> Option<String> {
    url::parse(text).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let Some((user, hosts)) = rest.rsplit_once('@') else { return Some(text.into()) };
    let name = user.split_once(':').map_or(user, |(name, _)| name);
    Some(format!("{scheme}://{name}:…@{hosts}"))
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redis { endpoint: endpoint @ Endpoint::Unix { .. }, database } => {
                write!(f, "{endpoint}?db={database}")
            }
            Self::Redis { endpoint: endpoint @ Endpoint::Cluster { .. }, .. } => endpoint.fmt(f),
            Self::Redis { endpoint, database } => write!(f, "{endpoint}/{database}"),
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
        assert_eq!(read("redis+cluster://u:p@a:7000,b:7001").url.to_string(), "redis+cluster://a:7000,b:7001");
        let url = read("redis://jet%20on:p%40ss@redis.example:7/2");
        assert_eq!((url.username.as_deref(), url.password), (Some("jet on"), Some(Secret::new(b"p@ss"))));
        assert_eq!(read("redis://:only@h").username, None);
        let unix = read("redis+unix:///run/redis.sock?db=4&pass=x");
        assert_eq!(unix.url.to_string(), "redis+unix:///run/redis.sock?db=4");
        assert_eq!(unix.password, Some(Secret::new(b"x")));
        assert_eq!(read("redis+sentinel://:p@a,b:1/main/2").url.to_string(), "redis+sentinel://a:26379,b:1/main/2");
    }

    #[test]
    fn what_names_no_store_is_refused_without_being_repeated() {
        for text in
            ["http://u:hunter2@x", "redis://", "redis://h/x", "redis://h?hunter2=1", "redis://h#hunter2", "hunter2"]
        {
            assert!(!parse(text).unwrap_err().contains("hunter2"), "{text}");
        }
        assert!(parse("redis+cluster://h:7000/0").unwrap_err().contains("no databases"));
        assert!(parse("redis+unix://run/x").is_err() && parse("redis+unix:///").is_err());
    }

    #[test]
    fn a_mistyped_scheme_is_guessed() {
        assert_eq!(meant("redsi://h"), Some("redis"));
        assert_eq!(meant("redis+sentinels://h/m"), Some("redis+sentinel"));
        assert_eq!(meant("redis://h/x"), None);
        assert_eq!(meant("http://h"), None);
    }

    #[test]
    fn masking_leaves_no_secret() {
        assert_eq!(masked("redis://u:hunter2@h:1/0"), "redis://u:…@h:1/0");
        assert_eq!(masked("redis+unix:///s?pass=hunter2"), "redis+unix:///s?…");
        assert_eq!(masked("redis://h"), "redis://h");
        assert_eq!(masked("redis+sentinel://u:hunter2@a:1,b:2/m/0"), "redis+sentinel://u:…@a:1,b:2/m/0");
        assert_eq!(masked("redis+cluster://a:1,b:2"), "redis+cluster://a:1,b:2");
        assert_eq!(masked("redis+cluster://u:hunter2@a:1,b:2/0"), "…");
        assert_eq!(masked("hunter2"), "…");
    }
}
