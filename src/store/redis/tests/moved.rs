//! Servers that are found by a name: one that moves, one with several addresses, a resolver that fails.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::net::sockopt;

use super::*;
use crate::store::redis::connector::{NetConnector, NetStream};
use crate::store::redis::resolver::Resolver;

/// Says what a test has put there; nothing: it fails.
#[derive(Clone, Default)]
struct Turned(Rc<RefCell<Vec<SocketAddr>>>);

impl Resolver for Turned {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!((host, port), ("redis.example", 6379));
        let addresses = self.0.borrow().clone();
        if addresses.is_empty() { Err(io::Error::other("the resolver fails")) } else { Ok(addresses) }
    }
}

impl Turned {
    fn to(&self, addresses: &[SocketAddr]) {
        *self.0.borrow_mut() = addresses.to_vec();
    }

    fn open(&self) -> Opened {
        let options = RedisOptions::parse_url("redis://redis.example").unwrap();
        let options = RedisOptions { operation_timeout: PATIENCE / 4, ..options };
        let access = Arc::clone(&options.access);
        open_with(NetConnector::with_resolver(options.endpoint.clone(), access, self.clone()), options)
    }
}

fn address(server: &Server) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port))
}

#[test]
fn a_server_that_moves_is_followed_and_a_resolver_that_fails_takes_nothing_away() {
    on_a_worker(async {
        let (mut one, other) = (Server::start(), Server::start());
        let name = Turned::default();
        let node = name.open();
        until(|| node.witness.saw("the resolver fails") == 1).await;
        name.to(&[address(&one)]);
        until(|| node.store.is_up()).await;
        let records = node.saved(1).await;

        name.to(&[]);
        one.kill();
        until(|| node.witness.saw("lost") == 2).await;
        one.restart();
        until(|| node.store.is_up()).await;
        assert_eq!(node.find(records[0].address).await, Ok(Lookup::NotFound), "it kept nothing");

        name.to(&[address(&other)]);
        let connection = node.store.0.ways.reads.state().connection();
        one.kill();
        until(|| node.store.0.ways.reads.state().connection() > connection).await;
        node.saved(1).await;
        assert!(!other.keys().is_empty());
    });
}

#[test]
fn all_addresses_are_tried_until_one_serves() {
    on_a_worker(async {
        let (replica, primary) = (Server::start(), Server::start());
        replica.command(&["REPLICAOF", "127.0.0.1", "1"]);
        let refusing = SocketAddr::from(([127, 0, 0, 1], 1));
        let name = Turned::default();
        // One that takes no connection, one that is of no use, one that answers nothing.
        let deaf = Deaf::new();
        name.to(&[
            deaf.listener.local_addr().unwrap(),
            refusing,
            address(&replica),
            address(&replica),
            address(&primary),
        ]);
        let node = name.open();
        until(|| node.store.is_up()).await;
        node.saved(1).await;
        assert!(!primary.keys().is_empty());
        // It is the first from now on.
        let lost = node.witness.saw("lost");
        let connection = node.store.0.ways.reads.state().connection();
        primary.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        until(|| node.store.0.ways.reads.state().connection() > connection).await;
        assert_eq!(node.witness.saw("lost"), lost);
    });
}

/// An address that answers no attempt: its listener takes nobody, and its queue is full.
struct Deaf {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Deaf {
    fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let _queue = std::iter::from_fn(connect).take(100).collect();
        Self { listener, _queue }
    }
}

#[test]
fn a_connection_notices_that_the_other_side_is_gone() {
    on_a_worker(async {
        let server = Server::start();
        let options = RedisOptions::parse_url(&format!("redis://127.0.0.1:{}", server.port)).unwrap();
        let NetStream::Tcp(stream) = NetConnector::new(&options).connect().await.unwrap() else { panic!("no TCP") };
        assert!(stream.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(5));
        assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), Duration::from_secs(1));
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 3);
        #[cfg(target_os = "linux")]
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 2000);
    });
}
