//! Acceptor and worker on real sockets: limits, eviction, age and drain.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::acceptor::{self, Accepting, ConnectionLimits};
use super::super::listener::{Listener, SocketGuard};
use super::super::testing::{BILLING, TestService, get, limits, on_a_worker, post};
use super::*;
use crate::telemetry::labels;

struct Served {
    service: TestService,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
    load: Arc<Load>,
}

impl Served {
    async fn start(connections_max: usize, per_source_max: usize, age: Duration) -> Self {
        let service =
            TestService::start("https://as.example", super::super::Limits { connection_age: age, ..limits() });
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address().unwrap();
        let (queue, inbox) = queue();
        let load = queue.load().clone();
        let (stop, stopped) = oneshot::channel();
        let limits = ConnectionLimits { connections_max, per_source_max };
        let accepting = Accepting { listener, label: labels::Listener::Public, tls: None, limits };
        let metrics = service.services.shared.metrics.clone();
        let stopped = async { drop(stopped.await) };
        let accepting = acceptor::accept(accepting, metrics, vec![queue], stopped);
        let router = service.public();
        let worker = tokio::task::spawn_local(async move {
            let (accepted, ()) = tokio::join!(accepting, serve(router, inbox));
            accepted.unwrap();
        });
        Self { service, address, stop, worker, load }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn refused(&self, reason: &str) -> String {
        let series = format!("jeton_connections_refused_total{{listener=\"public\",reason=\"{reason}\"}}");
        self.service.metric(&series).unwrap()
    }
}

/// Sends a request and gives the text of its answer; empty where the connection ended.
async fn ask(stream: &mut TcpStream, request: impl AsRef<[u8]>) -> String {
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut [0; 16])).await;
    read.is_ok_and(|read| read.map_or(true, |bytes| bytes == 0))
}

#[tokio::test]
async fn the_longest_idle_connection_goes_for_a_new_one() {
    on_a_worker(async || {
        let served = Served::start(2, 0, Duration::ZERO).await;
        let (mut first, mut second) = (served.connect().await, served.connect().await);
        for stream in [&mut first, &mut second] {
            assert!(ask(stream, get("/health/alive")).await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(3 * SWEEP_INTERVAL).await;
        }
        let mut third = served.connect().await;
        assert!(ask(&mut third, get("/health/alive")).await.starts_with("HTTP/1.1 200"));
        assert!(is_closed(&mut first).await);
        assert!(ask(&mut second, get("/health/alive")).await.starts_with("HTTP/1.1 200"));
        assert_eq!(served.refused("total"), "0");

        // None is idle: the new one goes.
        for stream in [&mut second, &mut third] {
            stream.write_all(b"GET /health").await.unwrap();
        }
        tokio::time::sleep(3 * SWEEP_INTERVAL).await;
        assert!(is_closed(&mut served.connect().await).await);
        assert_eq!((served.refused("total"), served.load.connections()), ("1".into(), 2));
    })
    .await;
}

#[tokio::test]
async fn one_source_has_its_limit() {
    on_a_worker(async || {
        let served = Served::start(100, 2, Duration::ZERO).await;
        let (first, mut second) = (served.connect().await, served.connect().await);
        assert!(ask(&mut second, get("/health/alive")).await.starts_with("HTTP/1.1 200"));
        assert!(is_closed(&mut served.connect().await).await);
        assert_eq!(served.refused("source"), "1");
        drop(first);
        tokio::time::sleep(3 * SWEEP_INTERVAL).await;
        assert!(ask(&mut served.connect().await, get("/health/alive")).await.starts_with("HTTP/1.1 200"));
    })
    .await;
}

#[tokio::test]
async fn an_old_connection_is_asked_to_leave() {
    on_a_worker(async || {
        let served = Served::start(100, 0, Duration::from_secs(1)).await;
        let mut stream = served.connect().await;
        assert!(!ask(&mut stream, get("/health/alive")).await.contains("connection: close"));
        tokio::time::sleep(Duration::from_millis(1400)).await;
        assert!(ask(&mut stream, get("/health/alive")).await.contains("connection: close"));
        assert!(is_closed(&mut stream).await);
    })
    .await;
}

#[tokio::test]
async fn f21_a_drain_answers_everything_and_ends() {
    on_a_worker(async || {
        let served = Served::start(100, 0, Duration::ZERO).await;
        let request = post("/oauth2/token", BILLING, "grant_type=client_credentials");
        let mut used = served.connect().await;
        assert!(!ask(&mut used, &request).await.contains("connection: close"));
        let (mut idle, mut begun) = (served.connect().await, served.connect().await);
        begun.write_all(&request.as_bytes()[..30]).await.unwrap();

        served.service.services.shared.health.drain();
        // Still accepting, and each answer is the last of its connection.
        let mut late = served.connect().await;
        for stream in [&mut used, &mut late] {
            let answer = ask(stream, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"));
            assert!(is_closed(stream).await);
        }
        // In the backlog, with its request, when the acceptor is told to stop.
        let mut last = std::net::TcpStream::connect(served.address).unwrap();
        std::io::Write::write_all(&mut last, request.as_bytes()).unwrap();
        served.stop.send(()).unwrap();
        assert!(is_closed(&mut idle).await);
        let answer = ask(&mut begun, &request.as_bytes()[30..]).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"));
        last.set_nonblocking(true).unwrap();
        let mut last = TcpStream::from_std(last).unwrap();
        assert!(ask(&mut last, "").await.starts_with("HTTP/1.1 200"));
        drop((begun, last, used, late, idle));
        tokio::time::timeout(Duration::from_secs(3), served.worker).await.unwrap().unwrap();
        assert!(TcpStream::connect(served.address).await.is_err());
        assert_eq!(served.load.connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_is_served_too() {
    on_a_worker(async || {
        let service = TestService::start("https://as.example", limits());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (queue, inbox) = queue();
        let limits = ConnectionLimits { connections_max: 10, per_source_max: 1 };
        let metrics = service.services.shared.metrics.clone();
        let listener = Listener::unix(&path, SocketGuard::Umask).unwrap();
        let accepting = Accepting { listener, label: labels::Listener::Public, tls: None, limits };
        let accepting = acceptor::accept(accepting, metrics, vec![queue], std::future::pending());
        let asking = async {
            for _ in 0..2 {
                let mut stream = UnixStream::connect(&path).await.unwrap();
                stream.write_all(get("/health/alive").as_bytes()).await.unwrap();
                let mut answer = [0; 12];
                stream.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 200");
            }
        };
        tokio::select! {
            _ = accepting => unreachable!(),
            () = serve(service.public(), inbox) => unreachable!(),
            () = asking => {}
        }
    })
    .await;
}
