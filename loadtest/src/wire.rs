//! A way to ask and be answered, one request at a time, whatever the HTTP version beneath.

use crate::answer::Answer;
use crate::http1::Http1;
use crate::http2::Stream;
use crate::request::Draft;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WireError {
    NotConnected,
    Broken,
    Malformed,
}

impl WireError {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotConnected => "not connected",
            Self::Broken => "connection broken",
            Self::Malformed => "malformed answer",
        }
    }
}

#[derive(Debug)]
pub(crate) enum Wire {
    Http1(Http1),
    Http2(Stream),
}

impl Wire {
    /// Encodes a request for the next [`Wire::exchange`].
    pub(crate) fn load(&mut self, draft: Draft<'_>) {
        match self {
            Self::Http1(connection) => connection.load(draft),
            Self::Http2(stream) => stream.load(draft),
        }
    }

    /// Sends what was loaded and reads the answer whole. Has no deadline of its own.
    pub(crate) async fn exchange(&mut self) -> Result<Answer<'_>, WireError> {
        match self {
            Self::Http1(connection) => connection.exchange().await,
            Self::Http2(stream) => stream.exchange().await,
        }
    }

    /// Ends the connection; the next exchange opens another.
    pub(crate) async fn close(&mut self) {
        match self {
            Self::Http1(connection) => connection.close(),
            Self::Http2(stream) => stream.close().await,
        }
    }
}
