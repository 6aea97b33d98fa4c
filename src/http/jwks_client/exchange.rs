//! One request for a JWK set and its answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::{failed, freshness};
use crate::actors::courier::{FetchError, FetchedKeys};
use crate::oauth::jws::json;
use crate::oauth::jws::jwk::JwkError;
use crate::oauth::jws::jwk_set::JwkSet;
use crate::oauth::key_place::KeyPlace;
use crate::telemetry::labels::FetchOutcome;

/// Row W14. Several times what the largest set of [`crate::oauth::jws::jwk_set::KEYS_MAX`] keys takes.
const BODY_BYTES_MAX: usize = 65_536;
const HEAD_BYTES_MAX: usize = 16_384;
const HEADERS_MAX: usize = 64;
const TOKEN_BYTES_MAX: u64 = 16_384;

/// Asks for the set at this place over a connection that leads there.
pub(super) async fn get(
    place: &KeyPlace,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<FetchedKeys, FetchError> {
    let broken =
        |error: hyper::Error| failed(FetchOutcome::Broken, format!("it does not answer as HTTP does: {error}"));
    let request = request(place)?;
    let mut speaks = http1::Builder::new();
    speaks.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = speaks.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        read(answer).await
    };
    tokio::pin!(connection);
    tokio::pin!(answer);
    // The connection does its work only while it is polled; it may end first, and the answer then says why.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

fn request(place: &KeyPlace) -> Result<Request<Empty<Bytes>>, FetchError> {
    let mut request = Request::builder()
        .uri(place.target())
        .header(HOST, place.authority())
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, concat!("jeton/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = place.token_file() {
        let unreadable =
            |why: String| failed(FetchOutcome::Status, format!("the token for it: {}: {why}", path.display()));
        // Each time anew: such a token is good for an hour or less, and somebody else renews it.
        let bytes = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if bytes > TOKEN_BYTES_MAX {
            return Err(unreadable("too long for a token".into()));
        }
        let token = Zeroizing::new(std::fs::read(path).map_err(|error| unreadable(error.to_string()))?);
        let value = Zeroizing::new([b"Bearer ", token.trim_ascii()].concat());
        let value = HeaderValue::from_bytes(&value);
        let mut value = value.map_err(|_| unreadable("holds characters that a header cannot carry".into()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Empty::new());
    request.map_err(|error| failed(FetchOutcome::Broken, format!("no request can be made of its URL: {error}")))
}

async fn read(answer: Response<Incoming>) -> Result<FetchedKeys, FetchError> {
    let status = answer.status();
    if status != StatusCode::OK {
        let what = format!(
            "it answered {}{}",
            status.as_u16(),
            if status.is_redirection() { ": none is followed" } else { "" }
        );
        return Err(failed(FetchOutcome::Status, what));
    }
    if answer.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(failed(FetchOutcome::Broken, "its answer is compressed, which nobody asked for"));
    }
    let max_age = freshness::of(answer.headers());
    let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            failed(FetchOutcome::TooLarge, format!("its answer is longer than {BODY_BYTES_MAX} bytes"))
        } else {
            failed(FetchOutcome::Broken, format!("it broke off its answer: {error}"))
        }
    })?;
    Ok(FetchedKeys { keys: keys(&body.to_bytes())?, max_age })
}

/// What can be used of a set. Of keys that are meant for something else, or are of a kind that is not known here, the rest may be good; one
/// that everybody can sign with makes all of it doubtful.
fn keys(body: &[u8]) -> Result<JwkSet, FetchError> {
    let malformed = |what: String| failed(FetchOutcome::Malformed, what);
    let members = json::object(body)
        .ok_or_else(|| malformed("its answer is no JSON object, or one that names a member twice".into()))?;
    let (keys, left_out) =
        JwkSet::read(&members).map_err(|error| malformed(format!("its answer is no set of keys: {error}")))?;
    if left_out.contains(&JwkError::Private) {
        return Err(malformed(
            "it publishes a private key, with which everybody can sign: none of its keys is taken".into(),
        ));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
