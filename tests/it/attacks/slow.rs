//! Clients that are slow on purpose: each holds its connection as long as it is let, and costs nobody anything meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::{beside, beside_good_clients, h2, hpack, until_connections};
use crate::harness::clients::secret_of;
use crate::harness::http1::Wire;
use crate::harness::request::{FORM, METADATA, Request, TOKEN};
use crate::harness::wait::within_patience;
use crate::harness::{TestServer, until};

/// Between two bytes of one who drips.
const DRIP: Duration = Duration::from_millis(50);

/// In which way a client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slow {
    /// A head, byte by byte, for ever.
    Head,
    /// A body, byte by byte.
    Body,
    /// A chunked body, a chunk of one byte at a time.
    Chunks,
    /// Nothing at all.
    Idle,
    /// Asks and asks, and reads no answer.
    Reader,
    /// Half of HTTP/2's preface.
    Preface,
    /// HTTP/2: a header block that does not end.
    HeaderBlock,
    /// HTTP/2: a body, a frame of one byte at a time.
    Data,
    /// HTTP/2: half a frame of a body.
    HalfData,
    /// HTTP/2: asks, and never opens the window for the answers.
    Window,
}

impl Slow {
    pub(super) const ALL: [Self; 10] = [
        Self::Head,
        Self::Body,
        Self::Chunks,
        Self::Idle,
        Self::Reader,
        Self::Preface,
        Self::HeaderBlock,
        Self::Data,
        Self::HalfData,
        Self::Window,
    ];

    /// What holds it: the server's write stall is ten seconds and no option, the other timers are.
    pub(super) fn is_write_stall(self) -> bool {
        matches!(self, Self::Reader | Self::Window)
    }
}

/// Is slow until the server has had enough. To be bounded by the caller.
pub(super) async fn hold(how: Slow, to: SocketAddr) {
    match how {
        Slow::Head => drip(to, b"POST /oauth2/token HTTP/1.1\r\nhost: as.example\r\nx-slow: ".to_vec(), b"a").await,
        Slow::Body => drip(to, head("content-length: 10000\r\n"), b"a").await,
        Slow::Chunks => drip(to, head("transfer-encoding: chunked\r\n"), b"1\r\na\r\n").await,
        Slow::Idle => until_cut(&mut connect(to).await).await,
        Slow::Reader => read_nothing(to).await,
        Slow::Preface => say(to, b"PRI * HTTP/2.0\r\n\r\nSM".to_vec()).await,
        Slow::HeaderBlock => say_h2(to, h2::frame(h2::HEADERS, 0, 1, &hpack::post_token())).await,
        Slow::Data => drip_data(to).await,
        Slow::HalfData => {
            let data = h2::frame(h2::DATA, 0, 1, b"grant_type=client_credentials");
            say_h2(to, [open_post(), data[..20].to_vec()].concat()).await;
        }
        Slow::Window => {
            let closed = h2::frame(h2::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
            let asks = (0..10)
                .flat_map(|n| h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 2 * n + 1, &hpack::get()));
            say_h2(to, closed.into_iter().chain(asks).collect()).await;
        }
    }
}

fn head(framing: &str) -> Vec<u8> {
    let basic = Request::new("POST", TOKEN).basic("billing", &secret_of("billing")).headers.remove(0).1;
    let basic = String::from_utf8(basic).unwrap();
    let head =
        format!("POST {TOKEN} HTTP/1.1\r\nhost: a\r\nauthorization: {basic}\r\ncontent-type: {FORM}\r\n{framing}\r\n");
    head.into_bytes()
}

fn open_post() -> Vec<u8> {
    h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &hpack::post_token())
}

async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads until the server closes.
async fn until_cut(read: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 4096];
    while read.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}

async fn say(to: SocketAddr, bytes: Vec<u8>) {
    let mut stream = connect(to).await;
    stream.write_all(&bytes).await.unwrap();
    until_cut(&mut stream).await;
}

async fn say_h2(to: SocketAddr, bytes: Vec<u8>) {
    let (mut read, mut write) = h2::connect(to).await;
    write.write_all(&bytes).await.unwrap();
    until_cut(&mut read).await;
}

async fn drip(to: SocketAddr, opening: Vec<u8>, drop: &[u8]) {
    let (mut read, mut write) = connect(to).await.into_split();
    let dripping = async {
        let mut next = opening.as_slice();
        while write.write_all(next).await.is_ok() {
            next = drop;
            tokio::time::sleep(DRIP).await;
        }
    };
    tokio::select! { () = until_cut(&mut read) => {}, () = dripping => {} }
}

async fn drip_data(to: SocketAddr) {
    let (mut read, mut write) = h2::connect(to).await;
    let dripping = async {
        let mut next = open_post();
        while write.write_all(&next).await.is_ok() {
            next = h2::frame(h2::DATA, 0, 1, b"a");
            tokio::time::sleep(DRIP).await;
        }
    };
    // A reset stream is the end of it, whatever becomes of the connection.
    tokio::select! { () = until_answered_or_cut(&mut read) => {}, () = dripping => {} }
}

/// Until the server has answered, reset or closed: the first frame on the stream.
async fn until_answered_or_cut(read: &mut (impl AsyncRead + Unpin)) {
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if read.read_exact(&mut vec![0; length]).await.is_err() || (head[8] == 1 && head[3] != h2::WINDOW_UPDATE) {
            return;
        }
    }
}

/// Asks until nothing more goes out, and waits for the end: writing fails then.
async fn read_nothing(to: SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    // Else the kernel takes megabytes of answers in our place.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let asks = format!("GET {METADATA} HTTP/1.1\r\nhost: as.example\r\n\r\n").repeat(64);
    while stream.write_all(asks.as_bytes()).await.is_ok() {}
}

#[tokio::test]
async fn the_slow_are_cut_and_harm_nobody() {
    let timers = ["header_timeout_ms", "body_timeout_ms", "idle_timeout_ms"];
    let builder = timers.iter().fold(TestServer::builder(), |all, name| all.set(&format!("limits.{name}"), 300));
    let server = builder.start().await;
    beside_good_clients(&server, async {
        let mut all = JoinSet::new();
        for how in Slow::ALL {
            for _ in 0..if how.is_write_stall() { 2 } else { 20 } {
                let to = server.public;
                all.spawn(async move { within_patience(&format!("{how:?}"), hold(how, to)).await });
            }
        }
        all.join_all().await;
    })
    .await;
    until_connections(&server, 0.0).await;
}

/// Half a head on every connection there is: new clients find no room for as long as that may take, old ones notice nothing.
#[tokio::test]
async fn a_flood_of_connections_lasts_no_longer_than_a_head_may() {
    let builder = TestServer::builder().set("limits.connections", 64).set("limits.header_timeout_ms", 2000);
    let server = builder.start().await;
    let mut flood = Vec::new();
    let (journal, _) = beside(
        &server,
        Box::pin(async {
            for _ in 0..500 {
                let mut stream = connect(server.public).await;
                let _ = stream.write_all(b"POST /oauth2").await;
                flood.push(stream);
            }
            let refused = ["listener=\"public\"", "reason=\"total\""];
            until("refusals", async || {
                (server.metric("jeton_connections_refused_total", &refused).await > 300.0).then_some(())
            })
            .await;
            let held = server.metric("jeton_connections", &["listener=\"public\""]).await;
            assert!(held <= 64.0, "{held}");
            for stream in &mut flood {
                within_patience("the end of half a head", until_cut(stream)).await;
            }
            // There is room again.
            server.client("billing").request_token("").await.expect_token();
        }),
    )
    .await;
    // A machine that stands still for a moment makes them idle, and then they may go.
    let failed = journal.failed.len() as u64;
    assert!(10 * failed <= journal.statuses[&200], "{failed} of {:?} failed", journal.statuses);
}

/// Without half a head they are idle, and each new one goes for the one that has been so for longest.
#[tokio::test]
async fn a_flood_of_idle_connections_keeps_nobody_out() {
    let server = TestServer::builder().set("limits.connections", 64).start().await;
    let mut flood = Vec::new();
    beside(&server, async {
        for n in 0..1000 {
            flood.push(connect(server.public).await);
            if n % 100 == 99 {
                // A newcomer finds a place as soon as one of them has been idle for a moment.
                until("a place", async || {
                    let mut wire = Wire::try_connect(server.public).await.ok()?;
                    wire.try_ask(&server.client("billing").token_request("")).await.map(|answer| answer.expect_token())
                })
                .await;
            }
        }
        let held = server.metric("jeton_connections", &["listener=\"public\""]).await;
        assert!(held <= 64.0, "{held}");
    })
    .await;
}
