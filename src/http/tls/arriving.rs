//! A connection on its way into TLS: the socket, whose first byte is looked at before the handshake.
//!
//! Invariant: whoever reads this stream gets every byte of the socket, the first one included.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What TLS can run on.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket for S {}

/// A socket, of whatever kind: one more call costs nothing beside the encryption, and TLS is compiled once.
pub(crate) struct Arriving {
    socket: Box<dyn Socket>,
    /// Read, and not yet given on.
    first: Option<u8>,
}

impl Arriving {
    /// A socket from which nothing has been read.
    pub(crate) fn new(socket: impl Socket + 'static) -> Self {
        Self { socket: Box::new(socket), first: None }
    }

    /// Looks at the first byte; `None` where the client closed before it.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        if self.first.is_none() {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            self.first = buffer.filled().first().copied();
        }
        Poll::Ready(Ok(self.first))
    }
}

impl AsyncRead for Arriving {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if into.remaining() > 0
            && let Some(first) = self.first.take()
        {
            into.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl AsyncWrite for Arriving {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }
}

impl std::fmt::Debug for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arriving").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_byte_that_was_looked_at_is_read_again() {
        let (mut client, server) = duplex(64);
        client.write_all(b"abc").await.unwrap();
        drop(client);
        let mut arriving = Arriving::new(server);
        for _ in 0..2 {
            assert_eq!(poll_fn(|cx| arriving.poll_first(cx)).await.unwrap(), Some(b'a'));
        }
        let mut all = Vec::new();
        arriving.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"abc");
        let (client, server) = duplex(64);
        drop(client);
        let mut arriving = Arriving::new(server);
        assert_eq!(poll_fn(|cx| arriving.poll_first(cx)).await.unwrap(), None);
    }
}
