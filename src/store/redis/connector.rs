//! How a byte stream to Redis is opened: TCP, TLS over it, or a unix socket.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::options::{Access, Endpoint, RedisOptions};

/// Opens streams. Called again for every new connection, so names are resolved anew each time.
pub trait Connector: 'static {
    /// What it opens.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Opens one; dropping the future gives up.
    fn connect(&self) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// Opens streams to where the options say.
pub(super) struct NetConnector {
    endpoint: Endpoint,
    access: Arc<ArcSwap<Access>>,
}

/// A stream of any of the three kinds.
#[derive(Debug)]
pub(super) enum NetStream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl NetConnector {
    pub(super) fn new(options: &RedisOptions) -> Self {
        Self::to(options.endpoint.clone(), Arc::clone(&options.access))
    }

    /// To another place than the options say.
    pub(super) fn to(endpoint: Endpoint, access: Arc<ArcSwap<Access>>) -> Self {
        Self { endpoint, access }
    }

    async fn tls(&self, host: &str, stream: TcpStream) -> io::Result<NetStream> {
        let access = self.access.load_full();
        let tls = access.tls.as_ref().ok_or_else(|| io::Error::other("no TLS configuration"))?;
        let tls = TlsConnector::from(tls.config());
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(NetStream::Tls(Box::new(tls.connect(name, stream).await?)))
    }
}

impl Connector for NetConnector {
    type Stream = NetStream;

    async fn connect(&self) -> io::Result<NetStream> {
        match &self.endpoint {
            Endpoint::Tcp { host, port } => Ok(NetStream::Tcp(open_tcp(host, *port).await?)),
            Endpoint::Tls { host, port } => self.tls(host, open_tcp(host, *port).await?).await,
            Endpoint::Unix { path } => UnixStream::connect(path).await.map(NetStream::Unix),
            Endpoint::Sentinel { .. } | Endpoint::Cluster { .. } => Err(io::Error::other("no single server")),
        }
    }
}

async fn open_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // A batch is written whole: to wait for more would only delay it.
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(1));
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

impl AsyncRead for NetStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for NetStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl fmt::Debug for NetConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConnector").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
