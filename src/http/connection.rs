//! One connection, from its first byte to its end: tells the protocol, then lets hyper speak it.
//!
//! Invariant: the connection ends by its client, by its last answer, or by an order of its worker's sweep; whatever it spawned ends
//! with it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::PeerIdentity;
use super::activity::{Activity, CoarseClock, Order, Underway};
use super::io::{Protocol, Watched};
use super::notes;
use super::router::Router;
use crate::telemetry::labels::Endpoint;

/// A request's head (H15).
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What hyper reads ahead of an endpoint at most, and an answer that waits to be sent.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

const STREAMS_MAX: u32 = 128;
/// Streams that a client may have opened and reset before we have looked at them (CVE-2023-44487).
const RESET_STREAMS_PENDING_MAX: usize = 20;
/// Streams that we may reset for a client's mistakes before the connection ends.
const RESET_STREAMS_LOCAL_MAX: usize = 1024;
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one connection to its end.
pub(crate) async fn serve<S>(stream: S, peer: PeerIdentity, router: Rc<Router>, activity: Rc<Activity>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut stream = Watched::new(stream, activity.clone());
    let _ending = Ending(activity.clone());
    let protocol = until_ordered(&activity, Order::Cut, |cx| match stream.poll_protocol(cx) {
        Poll::Pending if activity.order() == Order::LeaveIfIdle && activity.is_idle() => Poll::Ready(Ok(None)),
        polled => polled,
    })
    .await;
    match protocol {
        Some(Ok(Some(Protocol::Http1))) => serve_http1(stream, peer, router, activity.clone()).await,
        Some(Ok(Some(Protocol::Http2))) => serve_http2(stream, peer, router, activity.clone()).await,
        Some(Ok(None) | Err(_)) | None => {}
    }
}

/// Serves one connection to its end that no worker sweeps, so no timer ends it: for a stream within the process.
pub async fn serve_unswept<S>(stream: S, router: Rc<Router>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    serve(stream, PeerIdentity::default(), router, Activity::new(CoarseClock::default(), None)).await;
}

/// Says that the connection has ended, by a panic too.
pub(super) struct Ending(pub(super) Rc<Activity>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn serve_http1<S>(stream: Watched<S>, peer: PeerIdentity, router: Rc<Router>, activity: Rc<Activity>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let metrics = router.services().shared.metrics.clone();
    let connection = http1::Builder::new()
        // Its own timer would cut idle connections: the timers are ours.
        .header_read_timeout(None)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        // A client that has closed its side still gets its answer, and no request costs a read that only asks whether it has.
        .half_close(true)
        // Head and body of an answer are small: copied together they cost less than a vectored write.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service(peer, router, activity.clone()));
    let mut connection = pin!(connection);
    let mut told_to_leave = false;
    let ended = until_ordered(&activity, Order::Cut, |cx| {
        loop {
            // First whatever has come, since bytes that have come are a request to be answered.
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            // hyper would close a connection whose next head is half read; an order to leave is then said by the answer.
            if told_to_leave || activity.order() < Order::LeaveIfIdle || !activity.is_idle() {
                return Poll::Pending;
            }
            told_to_leave = true;
            connection.as_mut().graceful_shutdown();
        }
    })
    .await;
    // What hyper answered by itself to a head that is no request.
    if let Some(Err(error)) = ended
        && let Some(status) = status_of(&error)
    {
        metrics.http_request(Endpoint::Other, notes::code(status), Duration::ZERO);
    }
}

/// What hyper asks for each request.
fn service(
    peer: PeerIdentity,
    router: Rc<Router>,
    activity: Rc<Activity>,
) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: 'static> {
    let peer = Rc::new(peer);
    service_fn(move |request: Request<Incoming>| {
        let underway = activity.request_began();
        let response = router.clone().serve(peer.clone(), activity.clone(), request);
        response.map(|response| Ok(response.map(|whole| Answer { whole, _underway: underway.answered() })))
    })
}

/// The body of an answer. Its request is under way until the body has been taken.
#[derive(Debug)]
struct Answer {
    whole: Full<Bytes>,
    _underway: Underway,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.whole).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.whole.size_hint()
    }
}

/// The status that hyper has sent for a head that it could not read.
fn status_of(error: &hyper::Error) -> Option<hyper::StatusCode> {
    if error.is_parse_too_large() {
        Some(hyper::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if error.is_parse() {
        Some(hyper::StatusCode::BAD_REQUEST)
    } else {
        None
    }
}

async fn serve_http2<S>(stream: Watched<S>, peer: PeerIdentity, router: Rc<Router>, activity: Rc<Activity>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    activity.is_multiplexed();
    let tasks = Tasks::default();
    let connection = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_pending_accept_reset_streams(RESET_STREAMS_PENDING_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_LOCAL_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service(peer, router, activity.clone()));
    let mut connection = pin!(connection);
    let mut told_to_leave = false;
    let ended = until_ordered(&activity, Order::Cut, |cx| {
        if !told_to_leave && activity.order() > Order::Serve {
            told_to_leave = true;
            connection.as_mut().graceful_shutdown();
        }
        tasks.reap(cx);
        connection.as_mut().poll(cx)
    })
    .await;
    if let Some(Err(error)) = ended {
        tracing::debug!(event = "warning", %error, "HTTP/2 connection ended");
    }
}

/// What `step` comes to, or `None` once the connection has been told `order` or more.
pub(super) async fn until_ordered<T>(
    activity: &Activity,
    order: Order,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|cx| {
        activity.watch(cx.waker());
        if activity.order() >= order { Poll::Ready(None) } else { step(cx).map(Some) }
    })
    .await
}

/// The streams of one HTTP/2 connection, as tasks of the worker's thread that end with it.
#[derive(Clone, Default)]
struct Tasks(Rc<RefCell<JoinSet<()>>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Tasks {
    fn execute(&self, stream: F) {
        self.0.borrow_mut().spawn_local(stream);
    }
}

impl Tasks {
    /// Forgets those that have ended.
    fn reap(&self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(_)) = self.0.borrow_mut().poll_join_next(cx) {}
    }
}

#[cfg(test)]
mod tests;
