//! Bodies as they come: whole, in pieces, too large, of another type.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::Context;

use hyper::body::Frame;

use super::super::activity::CoarseClock;
use super::*;

const LIMITS: BodyLimits =
    BodyLimits { bytes_max: 10, timeout: Duration::from_secs(5), request_deadline: Duration::from_secs(1) };

/// A body of unknown length, piece by piece.
struct Pieces(VecDeque<&'static str>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

async fn read(headers: &[(&'static str, &'static str)], pieces: &[&'static str]) -> (Result<String, Failure>, Order) {
    let mut request = hyper::Request::new(Pieces(pieces.iter().copied().collect()));
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let activity = Activity::new(CoarseClock::default(), None);
    let (parts, body) = request.into_parts();
    let head = Head::of(&parts);
    let peer = PeerIdentity::default();
    let asked = read_form(&head, body, LIMITS, &peer, &Proxies::default(), &activity, Instant::now()).await;
    (asked.map(|asked| String::from_utf8(asked.body.to_vec()).unwrap()), activity.order())
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn pieces_become_one_body() {
    for (pieces, whole) in
        [(&["0123456789"][..], "0123456789"), (&["0", "", "123", "456789"], "0123456789"), (&["", "0"], "0"), (&[], "")]
    {
        assert_eq!(read(&[FORM], pieces).await, (Ok(whole.into()), Order::Serve));
    }
}

#[tokio::test]
async fn h09_h10_what_is_too_large_is_refused_as_soon_as_that_is_known() {
    let too_large = Err(HttpError::BodyTooLarge.into());
    assert_eq!(read(&[FORM], &["0123456789", "0"]).await.0, too_large);
    let (refused, order) = read(&[FORM, ("content-length", "11")], &["0"]).await;
    // Nothing of it is read, so the connection cannot go on.
    assert_eq!((refused, order), (too_large, Order::Leave));
}

#[tokio::test]
async fn h04_to_h08_h18_types() {
    let other = Err(HttpError::ContentType.into());
    for good in [
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"utf-8\"",
        "Application/X-WWW-Form-Urlencoded",
        "  application/x-www-form-urlencoded  ;  charset = utf-8 ; x=y",
    ] {
        assert_eq!(read(&[("content-type", good)], &["a"]).await.0, Ok("a".into()), "{good}");
    }
    for bad in [
        "application/json",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=iso-8859-1",
        "application/x-www-form-urlencodedx",
        "",
    ] {
        // Read all the same, so that the connection stays good.
        assert_eq!(read(&[("content-type", bad)], &["a"]).await, (other.clone(), Order::Serve), "{bad}");
    }
    assert_eq!(read(&[FORM, FORM], &["a"]).await.0, other);
    assert_eq!(read(&[], &["a"]).await.0, other);
    assert_eq!(read(&[], &[]).await.0, Ok(String::new()));
    let encoded = [FORM, ("content-encoding", "gzip")];
    assert_eq!(read(&encoded, &["a"]).await.0, Err(HttpError::ContentEncoding.into()));
    assert_eq!(read(&[FORM, ("content-encoding", "identity")], &["a"]).await.0, Ok("a".into()));
}

#[tokio::test]
async fn h17_a_client_that_waits_is_answered_before_it_sends() {
    let waits = ("expect", "100-Continue");
    assert_eq!(read(&[FORM, waits], &["a"]).await, (Ok("a".into()), Order::Serve));
    let json = ("content-type", "application/json");
    assert_eq!(read(&[json, waits], &["a"]).await, (Err(HttpError::ContentType.into()), Order::Leave));
    let twice = [FORM, waits, ("expect", "foo")];
    assert_eq!(read(&twice, &["a"]).await, (Err(HttpError::ExpectationUnknown.into()), Order::Leave));
    let foreign = [FORM, ("expect", "foo")];
    assert_eq!(read(&foreign, &["a"]).await, (Err(HttpError::ExpectationUnknown.into()), Order::Leave));
}
