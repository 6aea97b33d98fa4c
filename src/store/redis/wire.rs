//! A byte stream that carries requests out and replies in, and believes nothing it reads to be small.
//!
//! Reading never waits for writing: a server that stops reading until its replies are taken blocks nobody.
//!
//! Invariant: no more than [`REPLY_BYTES_MAX`] bytes are read without a reply among them.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use redis::{Value, ValueCodec};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_util::codec::Decoder;

/// Bytes of one reply: `INFO` takes a few thousand, a grant as many as its claims.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The first bytes of replies, those of RESP2 and RESP3.
const REPLY_KINDS: &[u8] = b"+-:$*_,#!=(%~>|";
const READ_BYTES: usize = 16 * 1024;
/// Beyond this, memory for requests is given back once it is not needed.
const IDLE_BYTES_MAX: usize = 256 * 1024;

/// A connected stream with what is on its way out and what has come in.
pub(super) struct Wire<S> {
    stream: S,
    outbound: Vec<u8>,
    sent: usize,
    flushed: bool,
    inbound: BytesMut,
    codec: ValueCodec,
    /// Whether the codec has taken bytes of a reply that has not ended.
    partial: bool,
    /// Bytes taken since the last reply.
    taken: usize,
}

/// Why a wire is of no more use.
#[derive(Debug)]
pub(super) enum WireBroken {
    /// The other side closed it.
    Closed,
    /// The operating system says so.
    Io(io::Error),
    /// What came is no RESP, or too long.
    Garbled(String),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            outbound: Vec::new(),
            sent: 0,
            flushed: true,
            inbound: BytesMut::new(),
            codec: ValueCodec::default(),
            partial: false,
            taken: 0,
        }
    }

    /// Puts a request behind those that wait to be sent.
    pub(super) fn send(&mut self, request: &[u8]) {
        self.outbound.extend_from_slice(request);
        self.flushed = false;
    }

    /// Whether bytes have come that are no part of a reply taken yet.
    pub(super) fn has_left_over(&self) -> bool {
        self.partial || !self.inbound.is_empty()
    }

    /// Sends what waits, as far as the stream takes it.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireBroken>> {
        while self.sent < self.outbound.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.outbound[self.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(WireBroken::Closed));
            }
            self.sent += sent;
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.flushed = true;
            self.outbound.clear();
            self.outbound.shrink_to(IDLE_BYTES_MAX);
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// The next reply. Pushes, which answer nothing, are passed over.
    pub(super) fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<Result<Value, WireBroken>> {
        loop {
            match ready!(self.poll_value(context))? {
                Value::Push { .. } => {}
                reply => return Poll::Ready(Ok(reply)),
            }
        }
    }

    /// The next that comes, a reply or a push.
    pub(super) fn poll_value(&mut self, context: &mut Context<'_>) -> Poll<Result<Value, WireBroken>> {
        loop {
            if let Some(value) = self.decode()? {
                return Poll::Ready(Ok(value));
            }
            self.inbound.reserve(READ_BYTES);
            let read = ready!(pin!(self.stream.read_buf(&mut self.inbound)).poll(context))?;
            if read == 0 {
                return Poll::Ready(Err(WireBroken::Closed));
            }
        }
    }

    fn decode(&mut self) -> Result<Option<Value>, WireBroken> {
        if self.inbound.is_empty() {
            return Ok(None);
        }
        // The codec passes over a byte that begins no reply where it is all that has come.
        if !self.partial && !REPLY_KINDS.contains(&self.inbound[0]) {
            return Err(WireBroken::Garbled("a byte that begins no reply".into()));
        }
        let before = self.inbound.len();
        let decoded = self.codec.decode(&mut self.inbound).map_err(|error| WireBroken::Garbled(error.to_string()))?;
        self.taken += before - self.inbound.len();
        self.partial = decoded.is_none() && (self.partial || before > self.inbound.len());
        if matches!(decoded, Some(Value::Push { .. }) | None) {
            if self.taken + self.inbound.len() > REPLY_BYTES_MAX {
                return Err(WireBroken::Garbled("a reply without end".into()));
            }
        } else {
            self.taken = 0;
        }
        Ok(decoded)
    }
}

impl From<io::Error> for WireBroken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for WireBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the store closed the connection"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Garbled(what) => write!(f, "what came is no reply of Redis: {what}"),
        }
    }
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("outbound", &self.outbound.len()).field("inbound", &self.inbound.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn replies(bytes: &[u8], chunk: usize) -> (Vec<Value>, WireBroken) {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = duplex(64 * 1024 * 1024);
        for part in bytes.chunks(chunk) {
            theirs.write_all(part).await.unwrap();
        }
        drop(theirs);
        let mut wire = Wire::new(ours);
        let mut replies = Vec::new();
        loop {
            match poll_fn(|context| wire.poll_reply(context)).await {
                Ok(reply) => replies.push(reply),
                Err(broken) => return (replies, broken),
            }
        }
    }

    #[tokio::test]
    async fn replies_come_whole_however_they_are_cut_and_pushes_are_passed_over() {
        let bytes = b">2\r\n+invalidate\r\n*0\r\n$3\r\nabc\r\n_\r\n*2\r\n:1\r\n-ERR x\r\n";
        for chunk in [1, 2, 7, 1000] {
            let (replies, broken) = replies(bytes, chunk).await;
            assert_eq!(replies.len(), 3);
            assert_eq!(replies[..2], [Value::BulkString(b"abc".to_vec()), Value::Nil]);
            assert!(matches!(broken, WireBroken::Closed));
        }
    }

    #[tokio::test]
    async fn a_reply_without_end_and_garbage_are_cut_off() {
        let mut endless = b"*2147483647\r\n".to_vec();
        endless.extend(b":1\r\n".repeat(2 * 1024 * 1024));
        let mut long = b"$2147483647\r\n".to_vec();
        long.extend(vec![b'x'; 2 * REPLY_BYTES_MAX]);
        for bytes in [endless, long, b"HTTP/1.1 400 Bad Request\r\n".to_vec(), b":x\r\n".to_vec()] {
            let (replies, broken) = replies(&bytes, usize::MAX).await;
            assert!(replies.is_empty());
            assert!(matches!(broken, WireBroken::Garbled(_)), "{broken:?}");
        }
    }
}
