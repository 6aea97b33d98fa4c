//! How a byte stream to Redis is opened: TCP, TLS over it, or a unix socket.
//!
//! Invariant: an address that answers nothing keeps nobody from the next one.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::options::{Access, Endpoint, RedisOptions};
use super::resolver::{Addresses, Resolver, SystemResolver};

/// How long one address is waited for before the next is tried beside it.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Bytes that were sent and not acknowledged for so long end the connection: the other side is gone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX_MS: u32 = 2000;
/// A connection on which nothing is sent is asked after, so often, and given up when so many questions stay unanswered.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;

/// Opens streams. Called again for every new connection, so names are resolved anew each time.
pub trait Connector: 'static {
    /// What it opens.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Opens one; dropping the future gives up.
    fn connect(&self) -> impl Future<Output = io::Result<Self::Stream>>;

    /// On the stream that was opened last a server was found that serves.
    fn served(&self) {}
}

/// Two connections of one worker open their streams by one connector.
impl<C: Connector> Connector for Rc<C> {
    type Stream = C::Stream;

    async fn connect(&self) -> io::Result<Self::Stream> {
        C::connect(self).await
    }

    fn served(&self) {
        C::served(self);
    }
}

/// Opens streams to where the options say.
pub(super) struct NetConnector<R = SystemResolver> {
    way: Way<R>,
    access: Arc<ArcSwap<Access>>,
    /// Where the last stream leads.
    peer: Cell<Option<SocketAddr>>,
}

enum Way<R> {
    Tcp(Addresses<R>),
    Tls(Addresses<R>),
    Unix(PathBuf),
    /// To be found by asking others, which is not done here.
    Nowhere,
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
        Self::with_resolver(endpoint, access, SystemResolver::default())
    }
}

impl<R: Resolver> NetConnector<R> {
    /// Over addresses that `resolver` finds.
    pub(super) fn with_resolver(endpoint: Endpoint, access: Arc<ArcSwap<Access>>, resolver: R) -> Self {
        let way = match endpoint {
            Endpoint::Tcp { host, port } => Way::Tcp(Addresses::new(resolver, &host, port)),
            Endpoint::Tls { host, port } => Way::Tls(Addresses::new(resolver, &host, port)),
            Endpoint::Unix { path } => Way::Unix(path),
            Endpoint::Sentinel { .. } | Endpoint::Cluster { .. } => Way::Nowhere,
        };
        Self { way, access, peer: Cell::new(None) }
    }

    async fn tcp(&self, addresses: &Addresses<R>) -> io::Result<TcpStream> {
        self.peer.set(None);
        let stream = dial(addresses.next().await?).await?;
        self.peer.set(stream.peer_addr().ok());
        // A batch is written whole: to wait for more would only delay it.
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        sockopt::set_tcp_keepcnt(&stream, KEEPALIVE_RETRIES)?;
        #[cfg(target_os = "linux")]
        sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MAX_MS)?;
        Ok(stream)
    }

    async fn tls(&self, host: &str, stream: TcpStream) -> io::Result<NetStream> {
        let access = self.access.load_full();
        let tls = access.tls.as_ref().ok_or_else(|| io::Error::other("no TLS configuration"))?;
        let tls = TlsConnector::from(tls.config());
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(NetStream::Tls(Box::new(tls.connect(name, stream).await?)))
    }
}

impl<R: Resolver> Connector for NetConnector<R> {
    type Stream = NetStream;

    async fn connect(&self) -> io::Result<NetStream> {
        match &self.way {
            Way::Tcp(addresses) => self.tcp(addresses).await.map(NetStream::Tcp),
            Way::Tls(addresses) => self.tls(addresses.host(), self.tcp(addresses).await?).await,
            Way::Unix(path) => UnixStream::connect(path).await.map(NetStream::Unix),
            Way::Nowhere => Err(io::Error::other("no single server")),
        }
    }

    fn served(&self) {
        if let (Way::Tcp(addresses) | Way::Tls(addresses), Some(peer)) = (&self.way, self.peer.get()) {
            addresses.served_by(peer);
        }
    }
}

/// A stream to the first of these addresses that takes one.
async fn dial(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut untried = addresses.into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut failure = io::Error::other("the name has no address");
    loop {
        match untried.next() {
            Some(address) => under_way.push(TcpStream::connect(address)),
            None if under_way.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(ended) = under_way.next() => match ended {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep(NEXT_ADDRESS_AFTER), if untried.len() > 0 => {}
        }
    }
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

impl<R> fmt::Debug for NetConnector<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConnector").field("peer", &self.peer).finish_non_exhaustive()
    }
}
