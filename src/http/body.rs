//! Reads a request whole, or not at all: rows H04 to H11, H17, H18.
//!
//! Invariants: what is larger than the limit is refused as soon as that is known, by its `Content-Length` before a byte is read;
//! no partial body leaves this file.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::Version;
use hyper::body::Body;
use tokio::time::Instant;

use super::PeerIdentity;
use super::activity::{Activity, Order};
use super::client_certificates::PeerCertificate;
use super::error::{Failure, HttpError};
use super::head::Head;
use super::proxies::{Origin, Proxies};
use crate::actors::Deadline;

const FORM: &str = "application/x-www-form-urlencoded";

/// A request that has been read whole.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Head<'a>,
    /// Its form.
    pub(crate) body: Bytes,
    /// When its answer is worth nothing any more.
    pub(crate) by: Deadline,
    /// The address it came from.
    pub(crate) source: Option<IpAddr>,
    /// The certificate of the client.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
}

/// What holds for the reading of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    /// In all.
    pub(crate) timeout: Duration,
    /// From the moment it is read whole.
    pub(crate) request_deadline: Duration,
}

/// Reads a form, from a request whose head came at `begun`.
///
/// # Errors
/// [`HttpError`]: its size, then its type, then what came of it.
pub(crate) async fn read_form<'a, B>(
    head: &'a Head<'a>,
    mut body: B,
    limits: BodyLimits,
    peer: &PeerIdentity,
    proxies: &Proxies,
    activity: &Activity,
    begun: Instant,
) -> Result<Asked<'a>, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let judged = judge_type(head, body.is_end_stream());
    if let Err(refused) = judge_unread(head, limits.bytes_max, judged) {
        leave_unread(head.version(), &body, activity);
        return Err(refused.into());
    }
    let whole = if body.is_end_stream() {
        Bytes::new()
    } else if head.version() == Version::HTTP_2 {
        // Streams of one connection wait apart; what has come with the head needs no timer.
        let reading = std::pin::pin!(read(&mut body, limits.bytes_max));
        tokio::time::timeout_at(begun + limits.timeout, reading).await.unwrap_or(Err(HttpError::BodyTooSlow))?
    } else {
        activity.body_awaited(true);
        let whole = until_overdue(activity, read(&mut body, limits.bytes_max)).await;
        activity.body_awaited(false);
        whole?
    };
    judged?;
    let by = Deadline::after(Instant::now(), limits.request_deadline);
    let Origin { source, certificate } = proxies.origin(peer, head.fields());
    Ok(Asked { head, body: whole, by, source, certificate })
}

/// What must be refused before a byte of the body is read.
fn judge_unread(head: &Head<'_>, bytes_max: usize, judged_type: Result<(), HttpError>) -> Result<(), HttpError> {
    // "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a 417
    // (Expectation Failed) status code" (RFC 9110 section 10.1.1).
    if head.expect.iter().any(|expected| !expected.eq_ignore_ascii_case(b"100-continue")) {
        return Err(HttpError::ExpectationUnknown);
    }
    if head.announced_bytes().is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(HttpError::BodyTooLarge);
    }
    // A body of the wrong type is read, so that the connection stays good, unless its client waits to be told to send it.
    if head.expect.first.is_some() { judged_type } else { Ok(()) }
}

/// A body that stays unread ends an HTTP/1.1 connection: where the next request begins is not known.
pub(crate) fn leave_unread(version: Version, body: &impl Body, activity: &Activity) {
    if version != Version::HTTP_2 && !body.is_end_stream() {
        activity.tell(Order::Leave);
    }
}

async fn read<B>(body: &mut B, bytes_max: usize) -> Result<Bytes, HttpError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while !body.is_end_stream() {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| HttpError::BodyBroken)?;
        // Trailers mean nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + more.len() + data.len() > bytes_max {
            return Err(HttpError::BodyTooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}

/// HTTP/1.1: the connection's one body, under the eyes of the worker's sweep.
async fn until_overdue<T>(
    activity: &Activity,
    reading: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    let mut reading = std::pin::pin!(reading);
    poll_fn(|cx| match reading.as_mut().poll(cx) {
        Poll::Pending if activity.body_is_overdue() => Poll::Ready(Err(HttpError::BodyTooSlow)),
        polled => polled,
    })
    .await
}

/// A form in UTF-8, uncompressed; or nothing at all, of whatever type (H07).
fn judge_type(head: &Head<'_>, is_empty: bool) -> Result<(), HttpError> {
    if head.is_encoded {
        return Err(HttpError::ContentEncoding);
    }
    match (head.content_type.first, head.content_type.second) {
        (None, None) if is_empty => Ok(()),
        (Some(one), None) if one.to_str().is_ok_and(is_form) => Ok(()),
        _ => Err(HttpError::ContentType),
    }
}

/// `application/x-www-form-urlencoded`, whose charset, where one is named, is UTF-8 (RFC 6749 appendix B).
fn is_form(content_type: &str) -> bool {
    if content_type == FORM {
        return true;
    }
    let mut parts = content_type.split(';').map(str::trim);
    let is_form = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(FORM));
    is_form
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            let value = value.trim().trim_matches('"');
            !name.trim().eq_ignore_ascii_case("charset")
                || value.eq_ignore_ascii_case("utf-8")
                || value.eq_ignore_ascii_case("utf8")
        })
}

#[cfg(test)]
mod tests;
