//! What is noted of one request: its counters always, its log line where `log.requests` asks for it.
//!
//! Invariants: counted once, when its answer is known; a line holds a `jti`, never a token, and of the client only a registered id;
//! what a client sent is shortened and shown only where it is plain text.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::Failure;
use super::{LogRequests, PeerIdentity};
use crate::oauth::client::ClientId;
use crate::oauth::grant::Grant;
use crate::oauth::token::TokenAddress;
use crate::telemetry::labels::{
    ClientIntrospection, ClientToken, Code, Endpoint, IntrospectionOutcome, Label, RevocationOutcome, TokenOutcome,
};
use crate::telemetry::metrics::Metrics;

/// Characters of a client's own request id or trace that a line shows.
const CORRELATION_CHARS_MAX: usize = 128;

/// What became of a request, in the words of its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint has none of its own.
    #[default]
    Plain,
    Token(TokenOutcome),
    Introspection(IntrospectionOutcome),
    Revocation(RevocationOutcome),
}

/// What a log line says beyond that.
#[derive(Debug, Default)]
struct Line {
    client: Option<ClientId>,
    grant: Option<Arc<Grant>>,
    jti: Option<String>,
    reason: Option<&'static str>,
    request_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
}

/// Whom a request is counted for beside all.
#[derive(Debug, Default)]
enum Counted {
    /// Nobody is told of alone.
    #[default]
    Nobody,
    /// Nobody yet whose name is registered.
    Other,
    /// This client, which was named or has proved itself.
    Client(ClientId),
}

/// Filled by whoever learns something of the request on its way.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) outcome: Outcome,
    /// Whom it is counted for.
    counted: Counted,
    /// Where a line may be wanted.
    line: Option<Box<Line>>,
}

impl Notes {
    /// Of a request with these header fields.
    pub(crate) fn of(log: LogRequests, metrics: &Metrics, headers: &HeaderMap) -> Self {
        const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
        const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
        let line = (log != LogRequests::None).then(|| {
            let given = |name| headers.get(name).cloned();
            Box::new(Line { request_id: given(REQUEST_ID), traceparent: given(TRACEPARENT), ..Line::default() })
        });
        let counted = if metrics.tell_clients() { Counted::Other } else { Counted::Nobody };
        Self { outcome: Outcome::Plain, counted, line }
    }

    /// Who asks: a registered client.
    pub(crate) fn client(&mut self, client: &ClientId) {
        if !matches!(self.counted, Counted::Nobody) {
            self.counted = Counted::Client(client.clone());
        }
        if let Some(line) = &mut self.line {
            line.client = Some(client.clone());
        }
    }

    /// Which token it is about.
    pub(crate) fn token(&mut self, address: &TokenAddress) {
        if let Some(line) = &mut self.line {
            line.jti = Some(address.jti());
        }
    }

    /// What that token gives.
    pub(crate) fn grant(&mut self, grant: &Arc<Grant>) {
        if let Some(line) = &mut self.line {
            line.grant = Some(grant.clone());
        }
    }

    /// Why it was refused, beyond what its client is told; without it, what the client is told.
    pub(crate) fn reason(&mut self, reason: &'static str) {
        if let Some(line) = &mut self.line {
            line.reason = Some(reason);
        }
    }

    /// A failure at `endpoint`, in the words of the endpoint.
    pub(crate) fn failure(&mut self, endpoint: Endpoint, failure: Failure) {
        if let Some(line) = self.line.as_mut().filter(|line| line.reason.is_none()) {
            line.reason = Some(failure.sentence(endpoint));
        }
        self.outcome = match endpoint {
            Endpoint::Token => Outcome::Token(failure.token_outcome()),
            Endpoint::Introspect | Endpoint::AdminIntrospect => Outcome::Introspection(failure.introspection_outcome()),
            Endpoint::Revoke => Outcome::Revocation(failure.revocation_outcome()),
            Endpoint::Metadata
            | Endpoint::Alive
            | Endpoint::Ready
            | Endpoint::Metrics
            | Endpoint::AdminClients
            | Endpoint::Other => Outcome::Plain,
        };
    }

    /// Counts the request, and writes its line.
    pub(crate) fn close(
        self,
        metrics: &Metrics,
        endpoint: Endpoint,
        status: StatusCode,
        took: Duration,
        log: LogRequests,
        peer: &PeerIdentity,
    ) {
        metrics.http_request(endpoint, code(status), took);
        match self.outcome {
            Outcome::Plain => {}
            Outcome::Token(outcome) => metrics.token_request(outcome),
            Outcome::Introspection(outcome) => metrics.introspection(outcome),
            Outcome::Revocation(outcome) => metrics.revocation(outcome),
        }
        self.counted.count(metrics, endpoint, self.outcome, status);
        let failed = status.is_client_error() || status.is_server_error();
        if let Some(line) = self.line.filter(|_| log == LogRequests::All || failed) {
            line.write(endpoint, self.outcome, status, took, peer);
        }
    }
}

impl Counted {
    fn count(&self, metrics: &Metrics, endpoint: Endpoint, outcome: Outcome, status: StatusCode) {
        let client_id = match self {
            // Operators are no clients.
            Self::Nobody => return,
            _ if endpoint == Endpoint::AdminIntrospect => return,
            Self::Other => None,
            Self::Client(client_id) => Some(client_id.as_str()),
        };
        match outcome {
            Outcome::Token(TokenOutcome::Issued) => metrics.client_token(client_id, ClientToken::Issued),
            Outcome::Token(_) => metrics.client_token(
                client_id,
                match status {
                    StatusCode::UNAUTHORIZED => ClientToken::Unproven,
                    StatusCode::TOO_MANY_REQUESTS => ClientToken::RateLimited,
                    status if status.is_server_error() => ClientToken::Unavailable,
                    _ => ClientToken::Rejected,
                },
            ),
            Outcome::Introspection(IntrospectionOutcome::Active) => {
                metrics.client_introspection(client_id, ClientIntrospection::Active);
            }
            Outcome::Introspection(_) => metrics.client_introspection(
                client_id,
                match status {
                    StatusCode::OK => ClientIntrospection::Inactive,
                    StatusCode::UNAUTHORIZED => ClientIntrospection::Unproven,
                    StatusCode::TOO_MANY_REQUESTS => ClientIntrospection::RateLimited,
                    status if status.is_server_error() => ClientIntrospection::Unavailable,
                    _ => ClientIntrospection::Rejected,
                },
            ),
            Outcome::Plain | Outcome::Revocation(_) => {}
        }
    }
}

impl Line {
    fn write(&self, endpoint: Endpoint, outcome: Outcome, status: StatusCode, took: Duration, peer: &PeerIdentity) {
        let grant = self.grant.as_deref();
        tracing::info!(
            event = "request",
            endpoint = endpoint.as_str(),
            status = status.as_u16(),
            outcome = outcome.as_str(),
            reason = self.reason,
            client_id = self.client.as_ref().map(ClientId::as_str),
            jti = self.jti.as_deref(),
            scope = grant.map(|grant| grant.scope().as_str()),
            audience = grant.map(|grant| grant.audience().join(" ")),
            source = peer.source.map(|source| source.to_string()),
            x_request_id = self.request_id.as_ref().and_then(plain),
            traceparent = self.traceparent.as_ref().and_then(plain),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "request",
        );
    }
}

impl Outcome {
    fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Token(outcome) => Some(outcome.as_str()),
            Self::Introspection(outcome) => Some(outcome.as_str()),
            Self::Revocation(outcome) => Some(outcome.as_str()),
        }
    }
}

/// The value as text, cut to a fair length; `None` where it is anything but visible ASCII.
fn plain(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))?;
    Some(&text[..text.len().min(CORRELATION_CHARS_MAX)])
}

/// The label of a status that this service sends.
pub(crate) fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::OK => Code::Ok,
        StatusCode::NOT_MODIFIED => Code::NotModified,
        StatusCode::BAD_REQUEST => Code::BadRequest,
        StatusCode::UNAUTHORIZED => Code::Unauthorized,
        StatusCode::FORBIDDEN => Code::Forbidden,
        StatusCode::SERVICE_UNAVAILABLE => Code::ServiceUnavailable,
        rare => Code::of(rare.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_is_shown_only_as_short_plain_text() {
        assert_eq!(plain(&HeaderValue::from_static("00-4bf9-01")), Some("00-4bf9-01"));
        assert_eq!(plain(&HeaderValue::from_static("two words")), None);
        assert_eq!(plain(&HeaderValue::from_bytes(b"\xff").unwrap()), None);
        let long = "a".repeat(1000);
        assert_eq!(plain(&HeaderValue::from_str(&long).unwrap()).map(str::len), Some(CORRELATION_CHARS_MAX));
    }

    #[test]
    fn each_status_has_its_label() {
        for label in Code::ALL {
            let status = StatusCode::from_bytes(label.as_str().as_bytes()).unwrap();
            assert_eq!(code(status), *label);
        }
    }
}
