//! A TCP proxy on loopback that makes the store behind it far away, or slow.
//!
//! Invariants:
//! - Bytes arrive unchanged and in order, each no earlier than its delay after it was read.
//! - With a rate set, no more bytes pass to the store in any second than that and one piece; time in which nothing came is not
//!   made up for.
//! - Little is held: who sends faster than the proxy passes on is held up by TCP.
//!
//! Plain threads, since a runtime's timers know no less than a millisecond, which is what is to be measured here.

mod lane;

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::failure::{Context, Failure};
use lane::{Bottleneck, Lane};

/// What is done to what passes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shaping {
    /// Each way: a round trip takes twice as much longer.
    pub(crate) delay: Duration,
    /// Bytes a second to the store, over all connections; what comes back is not limited.
    pub(crate) upstream_bytes_per_second: Option<f64>,
}

/// A running proxy; dropping it ends it for new connections. Those it has end with either of their sides.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes each connection on to `upstream`.
    pub(crate) fn start(upstream: SocketAddr, shaping: Shaping) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context(|| "starting the proxy".to_owned())?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let bottleneck = shaping.upstream_bytes_per_second.map(|rate| Arc::new(Bottleneck::new(rate)));
        let accept = move || {
            for client in listener.incoming() {
                if seen.load(Ordering::Acquire) {
                    return;
                }
                // Who cannot be passed on sees its connection end, as with a store that is away.
                let _ = client.and_then(|client| join(&client, upstream, shaping.delay, bottleneck.as_ref()));
            }
        };
        let acceptor = thread::Builder::new().name("proxy".to_owned()).spawn(accept)?;
        Ok(Self { address, ended, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // A connection wakes the acceptor. If none can be made, its thread ends with the process.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            drop(acceptor.join());
        }
    }
}

/// Opens the way to the store and passes bytes on, both ways, until a side ends.
fn join(
    client: &TcpStream,
    upstream: SocketAddr,
    delay: Duration,
    bottleneck: Option<&Arc<Bottleneck>>,
) -> io::Result<()> {
    let store = TcpStream::connect(upstream)?;
    for stream in [client, &store] {
        stream.set_nodelay(true)?;
    }
    Lane { from: client.try_clone()?, to: store.try_clone()?, delay, bottleneck: bottleneck.map(Arc::clone) }.open()?;
    let back = Lane { from: store, to: client.try_clone()?, delay, bottleneck: None };
    back.open().inspect_err(|_| drop(client.shutdown(Shutdown::Both)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::time::Instant;

    use super::*;

    /// A server that sends back what comes.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    fn through(shaping: Shaping) -> (Proxy, TcpStream) {
        let proxy = Proxy::start(echo(), shaping).unwrap();
        let stream = TcpStream::connect(proxy.address()).unwrap();
        (proxy, stream)
    }

    /// Sends `bytes`, reads as many, and says how long that took.
    fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
        let started = Instant::now();
        let mut sending = stream.try_clone().unwrap();
        let mut back = vec![0; bytes.len()];
        thread::scope(|scope| {
            scope.spawn(|| sending.write_all(bytes).unwrap());
            stream.read_exact(&mut back).unwrap();
        });
        assert!(back == bytes);
        started.elapsed()
    }

    #[test]
    fn bytes_pass_unchanged() {
        let (_proxy, mut stream) = through(Shaping::default());
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        round_trip(&mut stream, &bytes);
    }

    #[test]
    fn a_delay_is_added_each_way_and_does_not_add_up() {
        let delay = Duration::from_millis(20);
        let (_proxy, mut stream) = through(Shaping { delay, ..Shaping::default() });
        assert!(round_trip(&mut stream, b"PING") >= 2 * delay);
        // Many reads under way at once wait together, not one after the other.
        let took = round_trip(&mut stream, &vec![7; 4_000_000]);
        assert!(took >= 2 * delay, "{took:?}");
    }

    #[test]
    fn a_rate_holds_bytes_up() {
        let shaping = Shaping { upstream_bytes_per_second: Some(200_000.0), ..Shaping::default() };
        let (_proxy, mut stream) = through(shaping);
        let took = round_trip(&mut stream, &vec![7; 40_000]);
        assert!(took >= Duration::from_millis(190), "{took:?}");
    }

    #[test]
    fn the_end_of_either_side_is_passed_on() {
        let (proxy, stream) = through(Shaping::default());
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&stream).read(&mut [0; 1]).unwrap(), 0, "the echo server ended too");
        let address = proxy.address();
        drop(proxy);
        assert!(TcpStream::connect(address).is_err());
    }
}
