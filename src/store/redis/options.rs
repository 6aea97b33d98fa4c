//! What the store in Redis can be told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use super::endpoint::{Address, Endpoint};
pub use super::epoch::Epochs;
use super::journal::RedisJournal;
use super::lookout::Whereabouts;
use super::tls::ClientTls;
use super::url::{self, ParsedUrl, UrlError};
use crate::oauth::secret::Secret;

/// Where Redis is, who we are there, and how long we wait.
#[derive(Clone)]
pub struct RedisOptions {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// What all workers know together of where that leads: [`Whereabouts::of`] the endpoint.
    pub whereabouts: Whereabouts,
    /// How it lets us in, read at each connect: what is put here serves from the next connection on.
    pub access: Arc<ArcSwap<Access>>,
    /// The database to select.
    pub database: u32,
    /// Stands before every key; see [`key_prefix_fault`].
    pub key_prefix: String,
    /// How long one trip to Redis may take.
    pub operation_timeout: Duration,
    /// The longest lifetime that a token may have: grants are kept for twice that and an hour.
    pub ttl_seconds_max: u32,
    /// Replicas that must have a write before it is acknowledged; 0: the primary alone.
    pub replicas: u32,
    /// The journal of revocations of this process.
    pub journal: Arc<RedisJournal>,
    /// Who of this process sees to the epochs.
    pub epochs: Arc<Epochs>,
    /// Whether a Redis that may evict keys is not used; otherwise it is a warning.
    pub require_noeviction: bool,
}

/// Who we are to Redis. May change while the service runs.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The ACL user; left out: `default`.
    pub username: Option<String>,
    /// Its password; left out: none is sent.
    pub password: Option<Secret>,
    /// The password before it, which is tried when that one is refused: while passwords change, one of the two opens.
    pub password_previous: Option<Secret>,
    /// TLS, for [`Endpoint::Tls`].
    pub tls: Option<ClientTls>,
}

/// The longest lifetime of a token, unless it is said.
const TTL_SECONDS_MAX: u32 = 86_400;

/// The longest key prefix: a page's key with it stays within 30 characters, for which a page's size is reckoned.
pub const KEY_PREFIX_BYTES_MAX: usize = 16;

impl RedisOptions {
    /// Options for the URL of a Redis, with everything else at its default and no TLS yet.
    ///
    /// # Errors
    /// [`UrlError`], which says what is wrong and what would be right.
    pub fn parse_url(url: &str) -> Result<Self, UrlError> {
        let ParsedUrl { endpoint, username, password, database } = url::parse(url)?;
        Ok(Self {
            whereabouts: Whereabouts::of(&endpoint),
            endpoint,
            access: Arc::new(ArcSwap::from_pointee(Access { username, password, ..Access::default() })),
            database,
            key_prefix: "jeton:".into(),
            operation_timeout: Duration::from_millis(250),
            ttl_seconds_max: TTL_SECONDS_MAX,
            replicas: 0,
            journal: Arc::new(RedisJournal::in_memory(TTL_SECONDS_MAX)),
            epochs: Arc::default(),
            require_noeviction: false,
        })
    }
}

/// What is wrong with a key prefix, if anything is.
pub fn key_prefix_fault(prefix: &str) -> Option<&'static str> {
    if prefix.len() > KEY_PREFIX_BYTES_MAX {
        Some("longer than 16 bytes, and every key would carry it")
    } else if prefix.contains(['{', '}']) {
        Some("braces are for the slots of a cluster")
    } else if prefix.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Some("spaces and control characters make keys that nobody can type")
    } else {
        None
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("endpoint", &self.endpoint)
            .field("access", &self.access)
            .field("database", &self.database)
            .field("key_prefix", &self.key_prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_short_and_plain() {
        for good in ["", "jeton:", "sixteen-letters:"] {
            assert_eq!(key_prefix_fault(good), None, "{good}");
        }
        for bad in ["seventeen-letters", "a{b", "a}b", "a b", "a\n"] {
            assert!(key_prefix_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn options_show_no_password() {
        let options = RedisOptions::parse_url("redis://jeton:s3cret@localhost/1").unwrap();
        assert!(!format!("{options:?}").contains("s3cret"));
        assert_eq!(options.endpoint.to_string(), "redis://localhost:6379");
    }
}
