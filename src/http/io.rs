//! The stream under a connection: hands bytes between hyper and the socket, and notes on the way what the timers need.
//!
//! Invariant: hyper sees exactly the bytes of the socket, those that were read to tell the protocol first.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::frames::Frames;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes thrown away at a time from a client whose connection we have closed.
const DISCARD_BYTES: usize = 4096;

/// A socket whose connection is watched.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    activity: Rc<Activity>,
    /// Read to tell the protocol, and not yet given to hyper.
    ahead: [u8; PREFACE.len()],
    ahead_begin: usize,
    ahead_end: usize,
    /// HTTP/2 alone.
    frames: Frames,
    client_closed: bool,
    closed: bool,
}

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    pub(crate) fn new(stream: S, activity: Rc<Activity>) -> Self {
        Self {
            stream,
            activity,
            ahead: [0; PREFACE.len()],
            ahead_begin: 0,
            ahead_end: 0,
            frames: Frames::default(),
            client_closed: false,
            closed: false,
        }
    }

    /// Tells the protocol by the first bytes; `None` where the client closed before its first one.
    pub(crate) fn poll_protocol(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Protocol>>> {
        loop {
            if self.ahead[..self.ahead_end] != PREFACE[..self.ahead_end] {
                return Poll::Ready(Ok(Some(Protocol::Http1)));
            }
            if self.ahead_end == PREFACE.len() {
                return Poll::Ready(Ok(Some(Protocol::Http2)));
            }
            let mut buffer = ReadBuf::new(&mut self.ahead[self.ahead_end..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                // A part of the preface alone is no request either: hyper says so.
                self.client_closed = true;
                return Poll::Ready(Ok((self.ahead_end > 0).then_some(Protocol::Http1)));
            }
            self.ahead_end += read;
            self.activity.bytes_came();
        }
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.activity.write_stalled(),
            Poll::Ready(_) => self.activity.write_went(),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ahead_begin < this.ahead_end {
            let ahead = &this.ahead[this.ahead_begin..this.ahead_end];
            let taken = ahead.len().min(into.remaining());
            into.put_slice(&ahead[..taken]);
            this.ahead_begin += taken;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        let read = &into.filled()[before..];
        if read.is_empty() {
            this.client_closed = true;
        } else if this.activity.speaks_http2() {
            let (ended, unfinished) = this.frames.take(read);
            this.activity.frames_came(ended, unfinished);
        } else {
            this.activity.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our side, then reads on until the client has closed its own, or the sweep ends it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.closed {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.closed = true;
        }
        let mut discarded = [0; DISCARD_BYTES];
        while !this.client_closed && !this.activity.has_lingered() {
            this.activity.lingers();
            let mut buffer = ReadBuf::new(&mut discarded);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)) {
                Ok(()) => this.client_closed = buffer.filled().is_empty(),
                Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.noted(written)
    }
}
