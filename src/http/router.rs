//! From a request to its endpoint, and from what the endpoint says to the answer: the same few steps for every path.
//!
//! Order of judgement: what every request must be, path, method; then size and type, where the body is read; then the endpoint.
//! Invariant: every request that hyper hands over is answered and counted once, a panic in an endpoint included.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio::time::Instant;

use super::activity::{Activity, Order, Timers};
use super::body::{self, BodyLimits};
use super::endpoints::metadata::Metadata;
use super::endpoints::{admin_clients, admin_introspect, health, introspect, revoke, token};
use super::error::{Failure, HttpError};
use super::head::Head;
use super::notes::Notes;
use super::reply::{self, Reply};
use super::{PeerIdentity, Reach, Services};
use crate::failpoint::{self, FailPoint};
use crate::oauth::time::Timestamp;
use crate::telemetry::labels::Endpoint;

pub use super::endpoints::metrics::MetricsText;

/// Bytes of a request's target (H16).
const TARGET_BYTES_MAX: usize = 8192;
/// Header fields of a request (H15).
const HEADERS_MAX: usize = 64;

const POST: &str = "POST";
const GET: &str = "GET, HEAD";

/// Everything that a listener's connections on one thread share. One a thread and listener.
#[derive(Debug)]
pub struct Router {
    services: Services,
    metadata: Metadata,
    door: Door,
}

/// Which listener it is.
#[derive(Debug)]
enum Door {
    Public,
    Admin {
        reach: Reach,
        metrics: MetricsText,
        /// When it was opened.
        since: Timestamp,
    },
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Token,
    Introspect,
    Revoke,
    Metadata,
    Alive,
    Ready,
    Metrics,
    AdminIntrospect,
    AdminClients,
}

impl Router {
    /// The public listener's paths.
    pub fn public(services: Services) -> Rc<Self> {
        Self::new(services, Door::Public)
    }

    /// The admin listener's paths.
    pub fn admin(services: Services, reach: Reach, metrics: MetricsText) -> Rc<Self> {
        let since = services.now();
        Self::new(services, Door::Admin { reach, metrics, since })
    }

    fn new(services: Services, door: Door) -> Rc<Self> {
        let metadata = {
            let shared = &services.shared;
            Metadata::of(&shared.issuer, shared.by_certificate(), shared.profile)
        };
        Rc::new(Self { services, metadata, door })
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    pub(crate) fn timers(&self) -> Timers {
        let limits = &self.services.shared.limits;
        Timers {
            idle: limits.idle_timeout,
            head: limits.header_timeout,
            body: limits.body_timeout,
            handshake: limits.handshake_timeout,
        }
    }

    /// Answers one request.
    ///
    /// Not an `async fn`: that would keep its arguments twice, and hyper moves what it gets.
    pub(crate) fn serve<B>(
        self: Rc<Self>,
        peer: Rc<PeerIdentity>,
        activity: Rc<Activity>,
        request: Request<B>,
    ) -> impl Future<Output = Response<Full<Bytes>>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        async move {
            let shared = &self.services.shared;
            let log_requests = **shared.log_requests.load();
            let head = Head::of(&parts);
            let mut notes = Notes::of(log_requests, &shared.metrics, head.fields());

            let route = self.route(head.path());
            let endpoint = route.map_or(Endpoint::Other, Route::endpoint);
            let answered = {
                let mut answer = pin!(self.answer(route, &peer, &activity, begun, &head, body, &mut notes));
                poll_fn(|cx| poll_unless_panicked(answer.as_mut(), cx)).await
            };
            let reply = answered.unwrap_or_else(|failure| {
                notes.failure(endpoint, failure);
                failure.into_reply(endpoint)
            });
            notes.close(&shared.metrics, endpoint, reply.status(), begun.elapsed(), log_requests, &peer);

            let is_head = head.method() == Method::HEAD;
            // HTTP/2 has no such field: there a stream ends, and nothing else (RFC 9113 section 8.2.2).
            let is_last = head.version() != Version::HTTP_2
                && (reply.closes() || activity.order() != Order::Serve || shared.health.draining());
            let mut response = reply.into_response(parts.headers);
            if is_last {
                response.headers_mut().insert(CONNECTION, reply::CLOSE);
            }
            if is_head {
                leave_body_out(&mut response);
            }
            response
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that is known of a request; a struct for one call would only rename them"
    )]
    async fn answer<'a, B>(
        &self,
        route: Option<Route>,
        peer: &PeerIdentity,
        activity: &Activity,
        begun: Instant,
        head: &'a Head<'a>,
        body: B,
        notes: &mut Notes,
    ) -> Result<Reply, Failure>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let route = match admit(head, route, peer) {
            Ok(route) => route,
            Err(refused) => {
                body::leave_unread(head.version(), &body, activity);
                return Err(refused.into());
            }
        };
        if route.methods() == GET {
            body::leave_unread(head.version(), &body, activity);
            return self.answer_get(route, head);
        }
        let services = &self.services;
        let limits = &services.shared.limits;
        let limits = BodyLimits {
            bytes_max: limits.body_bytes_max,
            timeout: limits.body_timeout,
            request_deadline: limits.request_deadline,
        };
        let asked = body::read_form(head, body, limits, peer, &services.shared.proxies, activity, begun).await?;
        failpoint::reach(FailPoint::Endpoint);
        match (route, &self.door) {
            (Route::Token, _) => token::serve(services, &asked, notes).await,
            (Route::Introspect, _) => introspect::serve(services, &asked, notes).await,
            (Route::Revoke, _) => revoke::serve(services, &asked, notes).await,
            (Route::AdminIntrospect, Door::Admin { reach, .. }) => {
                admin_introspect::serve(services, *reach, &asked, notes).await
            }
            _ => Err(HttpError::NotFound.into()),
        }
    }

    fn answer_get(&self, route: Route, head: &Head<'_>) -> Result<Reply, Failure> {
        let health = &self.services.shared.health;
        match (route, &self.door) {
            (Route::Metadata, _) => Ok(self.metadata.serve(head.fields())),
            (Route::Alive, _) => Ok(health::alive(health)),
            (Route::Ready, _) => Ok(health::ready(health)),
            (Route::Metrics, Door::Admin { metrics, .. }) => Ok(metrics.serve()),
            (Route::AdminClients, Door::Admin { reach, since, .. }) => {
                admin_clients::serve(&self.services, *reach, *since, head)
            }
            _ => Err(HttpError::NotFound.into()),
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        match (&self.door, path) {
            (_, "/health/alive") => Some(Route::Alive),
            (_, "/health/ready") => Some(Route::Ready),
            (Door::Public, path) => self.public_route(path),
            (Door::Admin { .. }, "/metrics") => Some(Route::Metrics),
            (Door::Admin { .. }, "/admin/oauth2/introspect") => Some(Route::AdminIntrospect),
            (Door::Admin { .. }, "/admin/clients") => Some(Route::AdminClients),
            (Door::Admin { .. }, _) => None,
        }
    }

    /// With an issuer that has a path the endpoints answer under it, as the metadata says, and without it, for a proxy that takes
    /// it off; the metadata where RFC 8414 section 3.1 inserts it.
    fn public_route(&self, path: &str) -> Option<Route> {
        let prefix = self.services.shared.issuer.path();
        match path.strip_prefix("/.well-known/oauth-authorization-server") {
            Some(rest) => (rest.is_empty() || rest == prefix).then_some(Route::Metadata),
            None => match path.strip_prefix(prefix).unwrap_or(path) {
                "/oauth2/token" => Some(Route::Token),
                "/oauth2/introspect" => Some(Route::Introspect),
                "/oauth2/revoke" => Some(Route::Revoke),
                "/.well-known/openid-configuration" => Some(Route::Metadata),
                _ => None,
            },
        }
    }
}

impl Route {
    fn endpoint(self) -> Endpoint {
        match self {
            Self::Token => Endpoint::Token,
            Self::Introspect => Endpoint::Introspect,
            Self::Revoke => Endpoint::Revoke,
            Self::Metadata => Endpoint::Metadata,
            Self::Alive => Endpoint::Alive,
            Self::Ready => Endpoint::Ready,
            Self::Metrics => Endpoint::Metrics,
            Self::AdminIntrospect => Endpoint::AdminIntrospect,
            Self::AdminClients => Endpoint::AdminClients,
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Token | Self::Introspect | Self::Revoke | Self::AdminIntrospect => POST,
            Self::Metadata | Self::Alive | Self::Ready | Self::Metrics | Self::AdminClients => GET,
        }
    }
}

/// What every request must be, then its path, then its method.
fn admit(head: &Head<'_>, route: Option<Route>, peer: &PeerIdentity) -> Result<Route, HttpError> {
    if peer.plain_on_tls {
        return Err(HttpError::PlainOnTls);
    }
    // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field
    // and to any request message that contains more than one" (RFC 9112 section 3.2); HTTP/2 has its authority.
    if head.hosts > 1 || (head.hosts == 0 && head.version() == Version::HTTP_11) {
        return Err(HttpError::Host);
    }
    if head.fields().len() > HEADERS_MAX {
        return Err(HttpError::TooManyHeaders);
    }
    if head.target_bytes() > TARGET_BYTES_MAX {
        return Err(HttpError::TargetTooLong);
    }
    let route = route.ok_or(HttpError::NotFound)?;
    let allowed = match *head.method() {
        Method::POST => POST,
        Method::GET | Method::HEAD => GET,
        _ => "",
    };
    if allowed == route.methods() { Ok(route) } else { Err(HttpError::MethodNotAllowed(route.methods())) }
}

/// A poll of an endpoint. The endpoint and all it held are dropped by a panic; the notes may lack something, which harms nobody.
fn poll_unless_panicked(
    answer: Pin<&mut impl Future<Output = Result<Reply, Failure>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Reply, Failure>> {
    catch_unwind(AssertUnwindSafe(|| answer.poll(cx))).unwrap_or(Poll::Ready(Err(Failure::Panic)))
}

/// "The server SHOULD send the same header fields in response to a HEAD request as it would have sent if the request method had been
/// GET" (RFC 9110 section 9.3.2).
fn leave_body_out(response: &mut Response<Full<Bytes>>) {
    if response.status() != StatusCode::NOT_MODIFIED {
        let bytes = response.body().size_hint().exact().unwrap_or(0);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    *response.body_mut() = Full::default();
}

#[cfg(test)]
mod tests;
