//! Names made addresses, anew at each connect, since a name is how a Redis that moved is found.
//!
//! Invariants: a resolver that fails or hangs takes no address away that it gave before; at most one question to the operating system is
//! under way; of several addresses each gets its turn, also where the first takes connections and is of no use.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// Half of what opening a stream may take: the rest is for the addresses that are known.
const RESOLVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Finds the addresses of a name.
pub trait Resolver: 'static {
    /// All of them, the best first.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;
}

/// Asks the operating system, on a thread for what blocks. One that hangs is waited for by the next attempt: asked anew, each attempt would
/// leave one more thread behind.
#[derive(Debug, Default)]
pub(super) struct SystemResolver(RefCell<Option<JoinHandle<io::Result<Vec<SocketAddr>>>>>);

impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let name = (host.to_owned(), port);
        self.0.borrow_mut().get_or_insert_with(|| spawn_blocking(move || Ok(name.to_socket_addrs()?.collect())));
        let answered = poll_fn(|context| {
            let mut asked = self.0.borrow_mut();
            let answer = match asked.as_mut() {
                Some(asked) => ready!(Pin::new(asked).poll(context)),
                None => return Poll::Ready(Err(io::Error::other("nobody was asked"))),
            };
            *asked = None;
            Poll::Ready(answer.map_err(io::Error::other))
        });
        answered.await?
    }
}

/// One name, and what is known of it.
pub(super) struct Addresses<R> {
    resolver: R,
    host: String,
    port: u16,
    /// The last answer of the resolver.
    known: RefCell<Vec<SocketAddr>>,
    /// Which of them is tried first.
    turn: Cell<usize>,
}

impl<R: Resolver> Addresses<R> {
    pub(super) fn new(resolver: R, host: &str, port: u16) -> Self {
        Self { resolver, host: host.to_owned(), port, known: RefCell::default(), turn: Cell::new(0) }
    }

    /// The name.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// In the order in which they are to be tried now; the next time another is the first, unless this one was [`Addresses::served_by`].
    pub(super) async fn next(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let resolved = timeout(RESOLVE_TIMEOUT, self.resolver.resolve(&self.host, self.port)).await;
        let resolved = resolved.unwrap_or_else(|_| Err(io::Error::other("resolving the name took too long")));
        match resolved {
            Ok(addresses) if !addresses.is_empty() => *self.known.borrow_mut() = addresses,
            Err(error) if self.known.borrow().is_empty() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let mut addresses = self.known.borrow().clone();
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        if let Some(first) = turn.checked_rem(addresses.len()) {
            addresses.rotate_left(first);
        }
        Ok(addresses)
    }

    /// This address led to a server that serves: it is the first to be tried again.
    pub(super) fn served_by(&self, address: SocketAddr) {
        if let Some(at) = self.known.borrow().iter().position(|known| *known == address) {
            self.turn.set(at);
        }
    }
}

impl<R> fmt::Debug for Addresses<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").field("host", &self.host).field("known", &self.known).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers so, or with an error, or never.
    #[derive(Default)]
    struct Scripted(RefCell<Option<io::Result<Vec<SocketAddr>>>>);

    impl Resolver for Scripted {
        async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            let answer = self.0.borrow_mut().take();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 6379))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_known_is_kept_when_the_resolver_fails_hangs_or_finds_nothing() {
        let addresses = Addresses::new(Scripted::default(), "redis", 6379);
        let say = |answer| *addresses.resolver.0.borrow_mut() = Some(answer);
        assert!(addresses.next().await.unwrap_err().to_string().contains("too long"));
        say(Err(io::Error::other("no such name")));
        assert!(addresses.next().await.unwrap_err().to_string().contains("no such name"));
        say(Ok(vec![]));
        assert_eq!(addresses.next().await.unwrap(), []);
        say(Ok(vec![address(1)]));
        assert_eq!(addresses.next().await.unwrap(), [address(1)]);
        for failure in [Some(Err(io::Error::other("x"))), Some(Ok(vec![])), None] {
            *addresses.resolver.0.borrow_mut() = failure;
            assert_eq!(addresses.next().await.unwrap(), [address(1)]);
        }
        say(Ok(vec![address(2)]));
        assert_eq!(addresses.next().await.unwrap(), [address(2)], "it moved");
    }

    #[tokio::test]
    async fn each_address_gets_its_turn_until_one_serves() {
        let addresses = Addresses::new(Scripted::default(), "redis", 6379);
        let all = || Ok(vec![address(1), address(2), address(3)]);
        let mut firsts = Vec::new();
        for _ in 0..4 {
            *addresses.resolver.0.borrow_mut() = Some(all());
            firsts.push(addresses.next().await.unwrap()[0]);
        }
        assert_eq!(firsts, [address(1), address(2), address(3), address(1)]);
        addresses.served_by(address(3));
        *addresses.resolver.0.borrow_mut() = Some(all());
        assert_eq!(addresses.next().await.unwrap(), [address(3), address(1), address(2)]);
    }

    #[tokio::test]
    async fn an_address_is_not_asked_for_and_the_system_is() {
        let plain = Addresses::new(Scripted::default(), "::1", 1);
        assert_eq!(plain.next().await.unwrap(), [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1))]);
        let system = SystemResolver::default();
        for _ in 0..2 {
            let found = system.resolve("localhost", 7).await.unwrap();
            assert!(!found.is_empty() && found.iter().all(|found| found.ip().is_loopback() && found.port() == 7));
            assert!(system.0.borrow().is_none());
        }
    }
}
