//! The one place where a failure becomes a response.
//!
//! Invariants: no wildcard arm, so a new failure must choose its face before it compiles; a face is a status, a code and a sentence
//! that we chose, never the cause and never anything that a request sent; every 401 carries a challenge (RFC 9110 section 15.5.2)
//! and every 429
//! and 503 a `Retry-After`.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::reply::{self, Reply};
use crate::actors::ActorError;
use crate::oauth::dpop::nonce::Nonce;
use crate::oauth::error::ProtocolError;
use crate::oauth::standing::Standing;
use crate::telemetry::labels::{Endpoint, IntrospectionOutcome, RevocationOutcome, TokenOutcome};

/// Why a request gets no answer of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The protocol refuses it.
    Protocol(ProtocolError),
    /// An actor gave no answer.
    Actor(ActorError),
    /// It is no request that an endpoint sees.
    Http(HttpError),
    /// `/admin/` refuses it.
    Admin(AdminError),
    /// An endpoint panicked.
    Panic,
}

/// What is wrong with a request as HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpError {
    NotFound,
    /// The methods there are.
    MethodNotAllowed(&'static str),
    TargetTooLong,
    TooManyHeaders,
    /// HTTP/1.1 without one `Host`, or with more (RFC 9112 section 3.2).
    Host,
    ExpectationUnknown,
    BodyTooLarge,
    BodyTooSlow,
    BodyBroken,
    ContentEncoding,
    ContentType,
    /// On a listener with TLS.
    PlainOnTls,
}

/// Why `/admin/` refuses a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminError {
    NotSwitchedOn,
    NotOverPlainHttp,
    TokenMissing,
    TokenMalformed,
    TokenWrong,
}

/// What a client sees of a failure.
struct Face {
    status: StatusCode,
    code: &'static str,
    sentence: &'static str,
    retry_after_seconds: Option<u32>,
    challenges: &'static [&'static str],
    allow: Option<&'static str>,
    /// The next that a proof must hold.
    nonce: Option<Nonce>,
    /// What is left of its caller's limit.
    standing: Option<Standing>,
    closes: bool,
}

const BASIC: &str = "Basic realm=\"jeton\", charset=\"UTF-8\"";
const BEARER: &str = "Bearer realm=\"jeton\"";
const BEARER_INVALID: &str = "Bearer error=\"invalid_token\", realm=\"jeton\"";

/// Overload and a lost actor pass quickly.
const RETRY_SOON_SECONDS: u32 = 1;

impl Face {
    const fn new(status: StatusCode, code: &'static str, sentence: &'static str) -> Self {
        Self {
            status,
            code,
            sentence,
            retry_after_seconds: None,
            challenges: &[],
            allow: None,
            nonce: None,
            standing: None,
            closes: false,
        }
    }

    const fn invalid(status: StatusCode, sentence: &'static str) -> Self {
        Self::new(status, "invalid_request", sentence)
    }

    const fn unauthorized(code: &'static str, sentence: &'static str, challenges: &'static [&'static str]) -> Self {
        let mut face = Self::new(StatusCode::UNAUTHORIZED, code, sentence);
        face.challenges = challenges;
        face
    }

    const fn unavailable(sentence: &'static str, retry_after_seconds: u32) -> Self {
        let mut face = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", sentence);
        face.retry_after_seconds = Some(retry_after_seconds);
        face
    }

    /// RFC 6585 section 4. RFC 6749 has no code for it.
    const fn too_many(sentence: &'static str, retry_after_seconds: u32) -> Self {
        let mut face = Self::unavailable(sentence, retry_after_seconds);
        face.status = StatusCode::TOO_MANY_REQUESTS;
        face
    }

    const fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    fn of(failure: Failure, endpoint: Endpoint) -> Self {
        match failure {
            Failure::Protocol(error) => Self::of_protocol(error, endpoint),
            Failure::Actor(error) => Self::of_actor(error),
            Failure::Http(error) => Self::of_http(error),
            Failure::Admin(error) => Self::of_admin(error),
            Failure::Panic => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "an error of this server"),
        }
    }

    fn of_protocol(error: ProtocolError, endpoint: Endpoint) -> Self {
        let (code, sentence) = (error.code(), error.description());
        match error {
            ProtocolError::InvalidRequest(_)
            | ProtocolError::UnauthorizedClient(_)
            | ProtocolError::UnsupportedGrantType
            | ProtocolError::InvalidScope(_)
            | ProtocolError::InvalidTarget(_)
            | ProtocolError::InvalidDpopProof(_) => Self::new(StatusCode::BAD_REQUEST, code, sentence),
            ProtocolError::UseDpopNonce(nonce) => {
                let mut face = Self::new(StatusCode::BAD_REQUEST, code, sentence);
                face.nonce = Some(nonce);
                face
            }
            // "the authorization server MUST respond with an HTTP 401 (Unauthorized) status code and include the
            // "WWW-Authenticate" response header field" (RFC 6749 section 5.2)
            ProtocolError::InvalidClient if endpoint == Endpoint::Introspect => {
                Self::unauthorized(code, sentence, &[BASIC, BEARER])
            }
            ProtocolError::InvalidClient => Self::unauthorized(code, sentence, &[BASIC]),
            ProtocolError::InvalidToken => Self::unauthorized(code, sentence, &[BEARER_INVALID]),
            ProtocolError::NotYet { retry_after_seconds } => Self::unavailable(sentence, retry_after_seconds),
            ProtocolError::TooManyFailures { retry_after_seconds }
            | ProtocolError::TooManyTokens { retry_after_seconds }
            | ProtocolError::TooManyGrants { retry_after_seconds } => Self::too_many(sentence, retry_after_seconds),
            ProtocolError::RateLimited(standing) | ProtocolError::QuotaExceeded(standing) => {
                let mut face = Self::too_many(sentence, standing.retry_after_seconds.unwrap_or(RETRY_SOON_SECONDS));
                face.standing = Some(standing);
                face
            }
        }
    }

    /// A fault is 503, never a statement about a client or a token.
    fn of_actor(error: ActorError) -> Self {
        match error {
            ActorError::Overloaded => Self::unavailable("overloaded", RETRY_SOON_SECONDS),
            ActorError::TimedOut => Self::unavailable("not done in time", RETRY_SOON_SECONDS),
            ActorError::Lost => Self::unavailable("interrupted", RETRY_SOON_SECONDS),
            ActorError::Store(fault) => Self::unavailable("the store cannot answer", fault.retry_after_seconds()),
            ActorError::KeysUnknown { retry_after_seconds } => {
                Self::unavailable("the keys that verify the assertion cannot be fetched", retry_after_seconds)
            }
        }
    }

    fn of_http(error: HttpError) -> Self {
        match error {
            HttpError::NotFound => Self::invalid(StatusCode::NOT_FOUND, "there is nothing here"),
            HttpError::MethodNotAllowed(methods) => {
                let mut face = Self::invalid(StatusCode::METHOD_NOT_ALLOWED, "not a method of this endpoint");
                face.allow = Some(methods);
                face
            }
            HttpError::TargetTooLong => Self::invalid(StatusCode::URI_TOO_LONG, "the target is too long").closing(),
            HttpError::TooManyHeaders => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                Self::invalid(status, "too many header fields").closing()
            }
            HttpError::Host => Self::invalid(StatusCode::BAD_REQUEST, "not one Host header field").closing(),
            HttpError::ExpectationUnknown => {
                Self::invalid(StatusCode::EXPECTATION_FAILED, "100-continue is the only expectation known here")
            }
            HttpError::BodyTooLarge => Self::invalid(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").closing(),
            HttpError::BodyTooSlow => {
                Self::invalid(StatusCode::REQUEST_TIMEOUT, "the body did not come in time").closing()
            }
            HttpError::BodyBroken => Self::invalid(StatusCode::BAD_REQUEST, "the body is not whole").closing(),
            HttpError::ContentEncoding => {
                Self::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no content encoding is taken here")
            }
            HttpError::ContentType => {
                Self::invalid(StatusCode::BAD_REQUEST, "the body is no application/x-www-form-urlencoded in UTF-8")
            }
            HttpError::PlainOnTls => {
                Self::invalid(StatusCode::BAD_REQUEST, "this is plain HTTP, and only https is spoken here").closing()
            }
        }
    }

    fn of_admin(error: AdminError) -> Self {
        match error {
            AdminError::NotSwitchedOn => Self::new(
                StatusCode::FORBIDDEN,
                "access_denied",
                "not switched on: give admin.token_file a file with a token of 32 characters or more",
            ),
            AdminError::NotOverPlainHttp => Self::new(
                StatusCode::FORBIDDEN,
                "access_denied",
                "never over plain http elsewhere than on loopback: give [admin.tls], listen on 127.0.0.1 or on a unix socket",
            ),
            // "If the request lacks any authentication information […], the resource server SHOULD NOT include an error code"
            // in the challenge (RFC 6750 section 3.1).
            AdminError::TokenMissing => Self::unauthorized("invalid_token", "a bearer token is needed", &[BEARER]),
            AdminError::TokenMalformed => Self::invalid(StatusCode::BAD_REQUEST, "the bearer token is malformed"),
            AdminError::TokenWrong => {
                Self::unauthorized("invalid_token", "the bearer token is not good for this", &[BEARER_INVALID])
            }
        }
    }
}

impl Failure {
    /// What an endpoint's caller gets.
    pub(crate) fn into_reply(self, endpoint: Endpoint) -> Reply {
        let face = Face::of(self, endpoint);
        // Codes and sentences are ours and hold no character that JSON escapes.
        let body = format!("{{\"error\":\"{}\",\"error_description\":\"{}\"}}", face.code, face.sentence);
        let mut reply = reply::json(face.status, Bytes::from(body)).closing(face.closes);
        for challenge in face.challenges {
            reply = reply.with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = face.retry_after_seconds {
            reply = reply.with(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = face.allow {
            reply = reply.with(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(nonce) = &face.nonce {
            reply = reply.with_nonce(nonce);
        }
        if let Some(standing) = &face.standing {
            reply = reply.with_standings(std::slice::from_ref(standing));
        }
        reply
    }

    /// What is said of it to the caller.
    pub(crate) fn sentence(self, endpoint: Endpoint) -> &'static str {
        Face::of(self, endpoint).sentence
    }

    /// What it counts as at the token endpoint.
    pub(crate) fn token_outcome(self) -> TokenOutcome {
        match self {
            Self::Protocol(error) => match error {
                ProtocolError::InvalidRequest(_) => TokenOutcome::InvalidRequest,
                ProtocolError::InvalidClient | ProtocolError::InvalidToken => TokenOutcome::InvalidClient,
                ProtocolError::UnauthorizedClient(_) => TokenOutcome::UnauthorizedClient,
                ProtocolError::UnsupportedGrantType => TokenOutcome::UnsupportedGrantType,
                ProtocolError::InvalidScope(_) => TokenOutcome::InvalidScope,
                ProtocolError::InvalidTarget(_) => TokenOutcome::InvalidTarget,
                ProtocolError::InvalidDpopProof(_) => TokenOutcome::InvalidDpopProof,
                ProtocolError::UseDpopNonce(_) => TokenOutcome::UseDpopNonce,
                ProtocolError::NotYet { .. } => TokenOutcome::NotBefore,
                ProtocolError::TooManyFailures { .. }
                | ProtocolError::TooManyTokens { .. }
                | ProtocolError::TooManyGrants { .. }
                | ProtocolError::RateLimited(_) => TokenOutcome::RateLimited,
                ProtocolError::QuotaExceeded(_) => TokenOutcome::QuotaExceeded,
            },
            Self::Actor(error) => match error {
                ActorError::Overloaded => TokenOutcome::Overloaded,
                ActorError::TimedOut => TokenOutcome::Deadline,
                ActorError::Store(fault) if fault.is_full() => TokenOutcome::StoreFull,
                ActorError::Lost | ActorError::Store(_) => TokenOutcome::StoreUnavailable,
                ActorError::KeysUnknown { .. } => TokenOutcome::KeysUnavailable,
            },
            Self::Http(_) | Self::Admin(_) => TokenOutcome::InvalidRequest,
            Self::Panic => TokenOutcome::ServerError,
        }
    }

    /// What it counts as at introspection, the operators' too.
    pub(crate) fn introspection_outcome(self) -> IntrospectionOutcome {
        match self {
            Self::Protocol(error) => match error {
                ProtocolError::InvalidClient => IntrospectionOutcome::InvalidClient,
                ProtocolError::InvalidToken => IntrospectionOutcome::InvalidToken,
                ProtocolError::TooManyFailures { .. }
                | ProtocolError::TooManyTokens { .. }
                | ProtocolError::TooManyGrants { .. }
                | ProtocolError::RateLimited(_)
                | ProtocolError::QuotaExceeded(_) => IntrospectionOutcome::RateLimited,
                ProtocolError::InvalidRequest(_)
                | ProtocolError::UnauthorizedClient(_)
                | ProtocolError::UnsupportedGrantType
                | ProtocolError::InvalidScope(_)
                | ProtocolError::InvalidTarget(_)
                | ProtocolError::InvalidDpopProof(_)
                | ProtocolError::UseDpopNonce(_)
                | ProtocolError::NotYet { .. } => IntrospectionOutcome::InvalidRequest,
            },
            Self::Actor(error) => match error {
                ActorError::Overloaded => IntrospectionOutcome::Overloaded,
                ActorError::TimedOut => IntrospectionOutcome::Deadline,
                ActorError::Lost | ActorError::Store(_) => IntrospectionOutcome::StoreUnavailable,
                ActorError::KeysUnknown { .. } => IntrospectionOutcome::KeysUnavailable,
            },
            Self::Http(_) => IntrospectionOutcome::InvalidRequest,
            Self::Admin(error) => match error {
                AdminError::NotSwitchedOn | AdminError::NotOverPlainHttp => IntrospectionOutcome::AccessDenied,
                AdminError::TokenMalformed => IntrospectionOutcome::InvalidRequest,
                AdminError::TokenMissing | AdminError::TokenWrong => IntrospectionOutcome::InvalidToken,
            },
            Self::Panic => IntrospectionOutcome::ServerError,
        }
    }

    /// What it counts as at revocation.
    pub(crate) fn revocation_outcome(self) -> RevocationOutcome {
        match self {
            Self::Protocol(error) => match error {
                ProtocolError::InvalidClient | ProtocolError::InvalidToken => RevocationOutcome::InvalidClient,
                ProtocolError::UnauthorizedClient(_) => RevocationOutcome::NotOwner,
                ProtocolError::TooManyFailures { .. }
                | ProtocolError::TooManyTokens { .. }
                | ProtocolError::TooManyGrants { .. }
                | ProtocolError::RateLimited(_)
                | ProtocolError::QuotaExceeded(_) => RevocationOutcome::RateLimited,
                ProtocolError::InvalidRequest(_)
                | ProtocolError::UnsupportedGrantType
                | ProtocolError::InvalidScope(_)
                | ProtocolError::InvalidTarget(_)
                | ProtocolError::InvalidDpopProof(_)
                | ProtocolError::UseDpopNonce(_)
                | ProtocolError::NotYet { .. } => RevocationOutcome::InvalidRequest,
            },
            Self::Actor(error) => match error {
                ActorError::Overloaded => RevocationOutcome::Overloaded,
                ActorError::TimedOut => RevocationOutcome::Deadline,
                ActorError::Lost | ActorError::Store(_) => RevocationOutcome::StoreUnavailable,
                ActorError::KeysUnknown { .. } => RevocationOutcome::KeysUnavailable,
            },
            Self::Http(_) | Self::Admin(_) => RevocationOutcome::InvalidRequest,
            Self::Panic => RevocationOutcome::ServerError,
        }
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<ActorError> for Failure {
    fn from(error: ActorError) -> Self {
        Self::Actor(error)
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        Self::Admin(error)
    }
}

#[cfg(test)]
mod tests;
