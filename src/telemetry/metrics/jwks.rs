//! What fetching the keys of others counts.

use metrics::Counter;

use super::super::labels::FetchOutcome;
use super::registry::{Family, Names};

pub(super) const DESCRIPTIONS: [(&str, &str); 1] =
    [("jeton_jwks_fetches_total", "Fetches of keys that clients and trusted issuers publish at URLs, by outcome.")];

#[derive(Debug)]
pub(super) struct JwksMetrics {
    fetches: Family<Counter>,
}

impl JwksMetrics {
    pub(super) fn register(names: &Names<'_>) -> Self {
        Self { fetches: Family::new::<FetchOutcome>(names.counter("jeton_jwks_fetches_total")) }
    }

    pub(super) fn fetched(&self, outcome: FetchOutcome) {
        self.fetches.get(outcome).increment(1);
    }
}
