//! The stream under a connection: hands bytes between hyper and the socket, and notes on the way what the timers need.
//!
//! Invariant: hyper sees exactly the bytes of the socket, those that were read to tell the protocol first; but a client of HTTP/2 that
//! sends too many frames which are no request is told to calm down, and to hyper it has closed its side.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::{Activity, Order};
use super::control_budget::ControlBudget;
use super::frames::Frames;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// GOAWAY (RFC 9113 section 6.8) without its last two fields: eight bytes of payload, on the connection itself.
const GOAWAY: [u8; 9] = [0, 0, 8, 7, 0, 0, 0, 0, 0];
const ENHANCE_YOUR_CALM: u32 = 0xb;

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
    lines: Lines,
    /// HTTP/2 alone.
    frames: Frames,
    budget: ControlBudget,
    /// It was told to calm down: nothing more is read for hyper, or written for it.
    let_go: bool,
    /// All that hyper has written is with the kernel, so a frame of ours may follow.
    flushed: bool,
    flush_stalled: bool,
    client_closed: bool,
    closed: bool,
}

/// How the lines of HTTP/1.1 end.
#[derive(Debug, Default)]
struct Lines {
    after_cr: bool,
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
            lines: Lines::default(),
            frames: Frames::default(),
            budget: ControlBudget::default(),
            let_go: false,
            flushed: true,
            flush_stalled: false,
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
            self.lines.read(&self.ahead[self.ahead_end..self.ahead_end + read], &self.activity);
            self.ahead_end += read;
            self.activity.bytes_came();
        }
    }

    /// Counts the frames among bytes of HTTP/2. Where they are too many: how many of the bytes hyper may still have.
    fn take_frames(&mut self, read: &[u8]) -> Option<usize> {
        let taken = self.frames.take(read);
        self.activity.frames_came(taken.ended, taken.unfinished);
        let within = self.budget.spend(self.activity.now(), taken.control, taken.requests);
        // Within a frame hyper would call the end of the bytes an error, and not see the connection out.
        if within { None } else { taken.whole }
    }

    fn let_go(&mut self, cx: &mut Context<'_>) {
        self.let_go = true;
        if self.flushed {
            let [last_stream, reason] = [self.frames.last_stream(), ENHANCE_YOUR_CALM].map(u32::to_be_bytes);
            let frame = [&GOAWAY[..], &last_stream, &reason].concat();
            // Where there is no room for so few bytes the client reads nothing, and would not read this.
            let _ = Pin::new(&mut self.stream).poll_write(cx, &frame);
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

impl Lines {
    /// "A recipient MAY recognize a single LF as a line terminator" (RFC 9112 section 2.2), and hyper does. One before us may not, and see
    /// one request where we see two; so the answer to the first is the last on that connection.
    fn read(&mut self, bytes: &[u8], activity: &Activity) {
        let is_bare = |at: usize| if at == 0 { !self.after_cr } else { bytes[at - 1] != b'\r' };
        if memchr_iter(b'\n', bytes).any(is_bare) {
            activity.tell(Order::Leave);
        }
        self.after_cr = bytes.last() == Some(&b'\r');
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.let_go {
            return Poll::Ready(Ok(()));
        }
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
            if let Some(whole) = this.take_frames(read) {
                into.set_filled(before + whole);
                this.let_go(cx);
            }
        } else {
            this.lines.read(read, &this.activity);
            this.activity.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.let_go {
            return Poll::Ready(Ok(bytes.len()));
        }
        self.flushed = false;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A plain socket has nothing to flush; under TLS what was written may wait here for a client that does not read.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            self.flush_stalled = true;
            self.activity.write_stalled();
        } else if std::mem::take(&mut self.flush_stalled) {
            self.activity.write_went();
        }
        ready!(flushed)?;
        // Both kinds of HTTP flush behind the last byte of what they had to say.
        self.flushed = true;
        Poll::Ready(Ok(()))
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
        if self.let_go {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        self.flushed = false;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.noted(written)
    }
}
