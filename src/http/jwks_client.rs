//! Fetches a JWK set from where its owner publishes it: the one request that this service makes of its own accord, to a place that a
//! registration names. Row W14.
//!
//! Invariants: the address that is connected to is the one that was judged, since the name is resolved once and here; nothing is sent to an
//! address that is neither public nor allowed; the server proves its name; whatever it answers, it is asked for one thing alone: no redirect
//! is followed, no proxy is asked, nothing is unpacked, and no more is read than a set of keys has.

mod exchange;
mod freshness;
mod roots;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::select_ok;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use self::roots::{Roots, RootsError};
use crate::actors::courier::{FetchError, FetchKeys, FetchedKeys};
use crate::oauth::key_place::KeyPlace;
use crate::oauth::reachable::Reachable;
use crate::telemetry::labels::FetchOutcome;

/// Addresses of one name that are tried, all at once.
const ADDRESSES_MAX: usize = 6;

/// Questions to the operating system that may be open at once. One that hangs outlives the fetch that asked it.
const LOOKUPS_MAX: usize = 8;

/// Gets JWK sets. Cheap to clone; clones believe the same roots.
#[derive(Clone)]
pub struct JwksClient {
    reachable: Arc<Reachable>,
    roots: Arc<ArcSwap<Roots>>,
    lookups: Arc<Semaphore>,
}

impl JwksClient {
    /// One that connects to these addresses alone and believes these roots, as they are at the time.
    pub fn new(reachable: Reachable, roots: Arc<ArcSwap<Roots>>) -> Self {
        Self { reachable: Arc::new(reachable), roots, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    async fn connect(&self, place: &KeyPlace) -> Result<TcpStream, FetchError> {
        let found = match place.address() {
            Some(address) => vec![SocketAddr::new(address, place.port())],
            None => {
                let resolved = self.resolve(place.host(), place.port()).await;
                resolved
                    .map_err(|error| failed(FetchOutcome::Unresolved, format!("its name has no address: {error}")))?
            }
        };
        // Some of a name's addresses may be for those within a network alone.
        let reachable = found.iter().filter(|address| self.reachable.holds(address.ip())).take(ADDRESSES_MAX);
        let attempts: Vec<_> = reachable.map(|address| Box::pin(TcpStream::connect(*address))).collect();
        if attempts.is_empty() {
            let addresses: Vec<String> = found.iter().take(ADDRESSES_MAX).map(|found| found.ip().to_string()).collect();
            let what = format!(
                "its address is not public: {}; jwks.allowed_networks names those that may be reached all the same",
                addresses.join(" ")
            );
            return Err(failed(FetchOutcome::AddressRefused, what));
        }
        let connected = select_ok(attempts).await;
        let (stream, _) =
            connected.map_err(|error| failed(FetchOutcome::Unreachable, format!("no connection: {error}")))?;
        Ok(stream)
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = self.lookups.clone().acquire_owned().await.map_err(io::Error::other)?;
        let name = (host.to_owned(), port);
        let asked = spawn_blocking(move || {
            // As long as the question is open, and not only as long as somebody waits.
            let _permit = permit;
            Ok(name.to_socket_addrs()?.collect())
        });
        asked.await.map_err(io::Error::other)?
    }

    async fn secure(&self, place: &KeyPlace, stream: TcpStream) -> Result<TlsStream<TcpStream>, FetchError> {
        let refused = |what: String| failed(FetchOutcome::Tls, what);
        let name = ServerName::try_from(place.host().to_owned())
            .map_err(|_| refused("its host is no name that a certificate could bear".into()))?;
        let roots = match place.ca() {
            Some(ca) => Arc::new(Roots::these_alone(ca).map_err(|error| refused(error.to_string()))?),
            None => self.roots.load_full(),
        };
        let connected = TlsConnector::from(roots.config()).connect(name, stream).await;
        connected.map_err(|error| refused(format!("no TLS: {error}")))
    }
}

impl FetchKeys for JwksClient {
    async fn fetch(&self, place: &KeyPlace) -> Result<FetchedKeys, FetchError> {
        let stream = self.connect(place).await?;
        let stream = self.secure(place, stream).await?;
        exchange::get(place, stream).await
    }
}

fn failed(outcome: FetchOutcome, what: impl Into<String>) -> FetchError {
    FetchError { outcome, what: what.into() }
}

impl fmt::Debug for JwksClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksClient").field("reachable", &self.reachable).finish_non_exhaustive()
    }
}
