//! Why clients get 401: one log line a minute for each registered client and reason, whatever the number of requests.
//!
//! Invariant: at most [`PAIRS_MAX`] pairs are kept, and no name that is not registered: an attacker can fill neither memory nor
//! log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Pairs of client and reason kept between two lines.
pub const PAIRS_MAX: usize = 1000;

/// Failed authentications since the last minute's lines. One for the process.
#[derive(Debug, Default)]
pub struct AuthenticationFailures {
    since: Mutex<HashMap<(Arc<str>, &'static str), Failures>>,
}

/// One client's failures for one reason.
#[derive(Clone, Debug)]
struct Failures {
    count: u64,
    first_unix_millis: u64,
    last_unix_millis: u64,
    source: Option<IpAddr>,
}

impl AuthenticationFailures {
    /// Notes one. `client`: the registered client that was named, `unknown` otherwise.
    pub fn note(&self, client: Option<&str>, reason: &'static str, source: Option<IpAddr>, unix_millis: u64) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (Arc::from(client.unwrap_or("unknown")), reason);
        if since.len() >= PAIRS_MAX && !since.contains_key(&pair) {
            return;
        }
        let failures = since.entry(pair).or_insert(Failures {
            count: 0,
            first_unix_millis: unix_millis,
            last_unix_millis: unix_millis,
            source,
        });
        failures.count += 1;
        failures.last_unix_millis = unix_millis;
        failures.source = source;
    }

    /// Writes what has been noted since the last time: a line a pair.
    pub fn log(&self) {
        let noted = std::mem::take(&mut *self.since.lock().unwrap_or_else(PoisonError::into_inner));
        for ((client, reason), failures) in noted {
            let stamp = |millis| {
                humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis))
            };
            tracing::warn!(
                event = "authentication_failed",
                client_id = &*client,
                reason,
                count = failures.count,
                first = %stamp(failures.first_unix_millis),
                last = %stamp(failures.last_unix_millis),
                source = failures.source.map(|source| source.to_string()),
                "client authentication failed",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_bounded_and_counted() {
        let failures = AuthenticationFailures::default();
        for n in 0..2 * PAIRS_MAX {
            failures.note(Some(&n.to_string()), "wrong_secret", None, 1);
            failures.note(Some("0"), "wrong_secret", None, 2);
        }
        let since = failures.since.lock().unwrap();
        assert_eq!(since.len(), PAIRS_MAX);
        let first = &since[&(Arc::from("0"), "wrong_secret")];
        assert_eq!((first.count, first.first_unix_millis, first.last_unix_millis), (2 * PAIRS_MAX as u64 + 1, 1, 2));
    }
}
