//! A kept connection of either version of HTTP, and what became of a request on it.

use std::net::SocketAddr;
use std::time::Duration;

use super::expect::Answer;
use super::request::{Http, Request};
use super::{http1, http2};

/// One connection, used by one client for one request after another.
pub(crate) enum Channel {
    One {
        wire: http1::Wire,
        /// How long it pauses in the middle of each request.
        halves: Option<Duration>,
    },
    /// One of the streams of a connection.
    Two(http2::Wire),
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// It was answered, and the connection may be used again.
    Answered(Answer),
    /// It was answered, and the connection was told to end.
    AnsweredLast(Answer),
    /// The connection had told its end before the request was sent, and none of it was: another may take it.
    NotSent,
    /// It was sent, if only in part, and not answered.
    Failed(String),
}

impl Channel {
    /// Connects.
    pub(crate) async fn connect(to: SocketAddr, http: Http) -> std::io::Result<Self> {
        Ok(match http {
            Http::One => Self::One { wire: http1::Wire::try_connect(to).await?, halves: None },
            Http::Two => Self::Two(http2::Wire::try_connect(to).await?),
        })
    }

    /// The same, sending each request in two halves with this pause between them, where that is seen: in HTTP/1.1.
    pub(crate) fn in_halves(self, pause: Duration) -> Self {
        match self {
            Self::One { wire, .. } => Self::One { wire, halves: Some(pause) },
            two @ Self::Two(_) => two,
        }
    }

    /// What can be asked at once on this connection: so many streams, or itself alone where it has none.
    pub(crate) fn into_lanes(self, streams: usize) -> Vec<Self> {
        match self {
            one @ Self::One { .. } => vec![one],
            Self::Two(wire) => (0..streams).map(|_| Self::Two(wire.share())).collect(),
        }
    }

    /// Sends a request and waits for its answer; nothing is ever sent twice.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Exchange {
        match self {
            Self::One { wire, halves } => match wire.exchange(request, *halves).await {
                Ok(answer) if answer.header("connection") == Some("close") => Exchange::AnsweredLast(answer),
                Ok(answer) => Exchange::Answered(answer),
                Err(why) => Exchange::Failed(why),
            },
            Self::Two(wire) => match wire.exchange(request).await {
                Ok(answer) if wire.is_closed() => Exchange::AnsweredLast(answer),
                Ok(answer) => Exchange::Answered(answer),
                Err(http2::Unanswered::NotSent) => Exchange::NotSent,
                Err(http2::Unanswered::Failed(why)) => Exchange::Failed(why),
            },
        }
    }
}
