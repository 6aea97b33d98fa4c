//! What TLS on the listeners counts.

use metrics::{Counter, Gauge};

use super::super::labels::{HandshakeOutcome, Label, Listener};
use super::registry::{Family, Family2, Names};

pub(super) const DESCRIPTIONS: [(&str, &str); 2] = [
    (
        "jeton_certificate_expiry_timestamp_seconds",
        "When the first certificate of the chain that a listener shows expires; +Inf where it speaks no TLS.",
    ),
    ("jeton_tls_handshakes_total", "TLS handshakes, by listener and outcome."),
];

#[derive(Debug)]
pub(super) struct TlsMetrics {
    expiry: Family<Gauge>,
    handshakes: Family2<Counter>,
}

impl TlsMetrics {
    pub(super) fn register(names: &Names<'_>) -> Self {
        let expiry = Family::new::<Listener>(names.gauge("jeton_certificate_expiry_timestamp_seconds"));
        // 0 would read as long past, and what is not there does not expire.
        Listener::ALL.iter().for_each(|listener| expiry.get(*listener).set(f64::INFINITY));
        Self {
            expiry,
            handshakes: Family2::new::<Listener, HandshakeOutcome>(names.counter("jeton_tls_handshakes_total")),
        }
    }

    pub(super) fn expires(&self, listener: Listener, unix_seconds: u64) {
        self.expiry.get(listener).set(unix_seconds as f64);
    }

    pub(super) fn handshake(&self, listener: Listener, outcome: HandshakeOutcome) {
        self.handshakes.get(listener, outcome).increment(1);
    }
}
