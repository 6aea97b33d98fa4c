//! What single clients do, where that is asked for (`metrics.per_client`).
//!
//! Invariant: who has series of its own was chosen at start, from those that are registered; whatever is sent adds none. All others, and who is
//! nobody, are counted together.

use std::collections::HashMap;

use metrics::{Counter, Label as KeyLabel};

use super::super::labels::{ClientIntrospection, ClientToken};
use super::registry::{Family, Names};

pub(super) const DESCRIPTIONS: [(&str, &str); 2] = [
    (TOKENS, "Token requests of single clients, by outcome (metrics.per_client)."),
    (INTROSPECTIONS, "Introspections by single clients, by outcome (metrics.per_client)."),
];

const TOKENS: &str = "jeton_client_token_requests_total";
const INTROSPECTIONS: &str = "jeton_client_introspections_total";
const CLIENT_ID: &str = "client_id";
/// Of all who have none of their own.
const OTHER: &str = "other";

/// The chosen ones, and the rest.
#[derive(Debug)]
pub(super) struct ClientMetrics {
    named: HashMap<Box<str>, ClientSeries>,
    other: ClientSeries,
}

#[derive(Debug)]
struct ClientSeries {
    tokens: Family<Counter>,
    introspections: Family<Counter>,
}

impl ClientMetrics {
    pub(super) fn register<'a>(names: &Names<'_>, client_ids: impl Iterator<Item = &'a str>) -> Self {
        let series = |client_id: &str| {
            let labelled = |mut labels: Vec<KeyLabel>| {
                labels.insert(0, KeyLabel::new(CLIENT_ID, client_id.to_owned()));
                labels
            };
            let (tokens, introspections) = (names.counter(TOKENS), names.counter(INTROSPECTIONS));
            ClientSeries {
                tokens: Family::new::<ClientToken>(|labels| tokens(labelled(labels))),
                introspections: Family::new::<ClientIntrospection>(|labels| introspections(labelled(labels))),
            }
        };
        Self { named: client_ids.map(|id| (id.into(), series(id))).collect(), other: series(OTHER) }
    }

    pub(super) fn token(&self, client_id: Option<&str>, outcome: ClientToken) {
        self.of(client_id).tokens.get(outcome).increment(1);
    }

    pub(super) fn introspection(&self, client_id: Option<&str>, outcome: ClientIntrospection) {
        self.of(client_id).introspections.get(outcome).increment(1);
    }

    fn of(&self, client_id: Option<&str>) -> &ClientSeries {
        client_id.and_then(|id| self.named.get(id)).unwrap_or(&self.other)
    }
}
