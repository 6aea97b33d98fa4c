//! Redis Sentinel: the way to the primary as the sentinels know it, which ends when they name another.
//!
//! # Invariants
//! - **The sentinels decide, the server confirms.** A connection goes to the primary that they name, and serves nobody before that
//!   server has said itself that it is a primary; it is asked again each second.
//! - **A connection to a former primary ends at once**, also while it is being opened and when it is silent.
//! - **What is older is not believed**: a sentinel that was cut off and names the primary before the last failover is passed over.
//!
//! Every attempt to connect is a reason to ask again, and so is whatever ends a connection: a refusal to write, a time-out, a break.

mod follower;
mod verdict;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::connector::{Connector, NetConnector, NetStream};
use super::endpoint::{Address, Endpoint};
use super::lookout::{Lookout, Primary};
use super::options::{Access, RedisOptions};

/// How long an attempt to connect waits for the first name of a primary.
const NAMING_TIMEOUT: Duration = Duration::from_millis(500);

/// Opens streams to the primary that the sentinels name.
pub(super) struct SentinelConnector {
    lookout: Arc<Lookout<Primary>>,
    access: Arc<ArcSwap<Access>>,
    tls: bool,
    /// The way to the primary that was named last, which remembers what it has learnt of the name.
    way: RefCell<Option<(Address, Rc<NetConnector>)>>,
}

/// A stream that ends when another primary is named.
pub(super) struct FollowedStream {
    stream: NetStream,
    turned: Turned,
    over: bool,
}

type Turned = Pin<Box<dyn Future<Output = ()>>>;

/// Serves, and follows the primary for all workers when it is this one's turn.
pub(super) async fn beside(serving: impl Future<Output = ()>, options: &RedisOptions, lookout: &Lookout<Primary>) {
    tokio::select! {
        biased;
        () = serving => {}
        () = lookout.take_turns(follower::follow(options, lookout)) => {}
    }
}

impl SentinelConnector {
    pub(super) fn new(lookout: Arc<Lookout<Primary>>, options: &RedisOptions) -> Self {
        let (access, tls) = (Arc::clone(&options.access), options.endpoint.speaks_tls());
        Self { lookout, access, tls, way: RefCell::new(None) }
    }

    async fn primary(&self) -> io::Result<Address> {
        let mut known = self.lookout.known();
        let named = timeout(NAMING_TIMEOUT, known.wait_for(Option::is_some)).await;
        let named = named.ok().and_then(Result::ok).and_then(|primary| primary.clone());
        let nobody = || io::Error::other(format!("no sentinel names a primary: {}", self.lookout.trouble()));
        named.map(|primary| primary.address.clone()).ok_or_else(nobody)
    }

    fn way_to(&self, primary: &Address) -> Rc<NetConnector> {
        let mut way = self.way.borrow_mut();
        let known = way.take().filter(|(address, _)| address == primary).map(|(_, connector)| connector);
        let connector = known
            .unwrap_or_else(|| Rc::new(NetConnector::to(Endpoint::one(primary, self.tls), Arc::clone(&self.access))));
        *way = Some((primary.clone(), Rc::clone(&connector)));
        connector
    }

    /// Ends when another primary than this one is named.
    fn turned(&self, from: &Address) -> Turned {
        let (mut known, from) = (self.lookout.known(), from.clone());
        Box::pin(async move {
            let turned =
                known.wait_for(|primary| primary.as_ref().is_some_and(|primary| primary.address != from)).await;
            drop(turned);
        })
    }
}

impl Connector for SentinelConnector {
    type Stream = FollowedStream;

    async fn connect(&self) -> io::Result<FollowedStream> {
        self.lookout.miss();
        let primary = self.primary().await?;
        let mut turned = self.turned(&primary);
        let connector = self.way_to(&primary);
        let stream = tokio::select! {
            biased;
            () = &mut turned => Err(another()),
            stream = connector.connect() => stream,
        };
        match stream {
            Ok(stream) => Ok(FollowedStream { stream, turned, over: false }),
            Err(error) => Err(io::Error::new(error.kind(), format!("{primary}: {error}"))),
        }
    }

    fn served(&self) {
        self.way.borrow().iter().for_each(|(_, connector)| connector.served());
    }
}

fn another() -> io::Error {
    io::Error::other("the sentinels name another primary")
}

impl AsyncRead for FollowedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.over = this.over || this.turned.as_mut().poll(context).is_ready();
        if this.over {
            return Poll::Ready(Err(another()));
        }
        Pin::new(&mut this.stream).poll_read(context, into)
    }
}

impl AsyncWrite for FollowedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl fmt::Debug for FollowedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowedStream").field("stream", &self.stream).field("over", &self.over).finish_non_exhaustive()
    }
}

impl fmt::Debug for SentinelConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelConnector").field("lookout", &self.lookout).finish_non_exhaustive()
    }
}
