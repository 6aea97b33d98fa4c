//! A TCP proxy on loopback that a test can cut, mend, slow down and turn into a black hole.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::ports;

/// What the proxy does with the bytes.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Pass,
    /// Nobody listens, and what was open is closed.
    Cut,
    /// Connections are taken, and nothing passes.
    BlackHole,
    /// Each piece passes after so long.
    Delay(Duration),
    /// Each piece that comes back passes changed.
    Corrupt(Corruption),
}

/// What becomes of a piece of bytes.
pub(crate) type Corruption = fn(&[u8]) -> Vec<u8>;

/// A proxy before one address. Ends with all its connections on drop.
#[derive(Debug)]
pub(crate) struct ChaosProxy {
    port: u16,
    mode: watch::Sender<Mode>,
    listening: watch::Receiver<bool>,
    task: AbortHandle,
}

impl ChaosProxy {
    /// Begins to pass what comes to its port on to `port`, both on loopback.
    pub(crate) async fn before(port: u16) -> Self {
        let own_port = ports::free();
        let (mode, modes) = watch::channel(Mode::Pass);
        let (say_listening, mut listening) = watch::channel(false);
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let task = tokio::spawn(serve(own_port, target, modes, say_listening)).abort_handle();
        listening.wait_for(|&listening| listening).await.expect("the proxy could not listen");
        Self { port: own_port, mode, listening, task }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections and refuses new ones.
    pub(crate) async fn cut(&mut self) {
        self.mode.send_replace(Mode::Cut);
        self.listening.wait_for(|&listening| !listening).await.expect("the proxy ended");
    }

    /// Passes everything on again, also what waited in a black hole.
    pub(crate) async fn mend(&mut self) {
        self.mode.send_replace(Mode::Pass);
        self.listening.wait_for(|&listening| listening).await.expect("the proxy could not listen again");
    }

    /// Takes bytes and connections and passes nothing, with no end or reset.
    pub(crate) fn black_hole(&self) {
        self.mode.send_replace(Mode::BlackHole);
    }

    /// Passes each piece that comes back changed.
    pub(crate) fn corrupt(&self, corruption: Corruption) {
        self.mode.send_replace(Mode::Corrupt(corruption));
    }

    /// Passes each piece after so long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.mode.send_replace(Mode::Delay(delay));
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(port: u16, target: SocketAddr, mut modes: watch::Receiver<Mode>, listening: watch::Sender<bool>) {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the proxy cannot listen");
        listening.send_replace(true);
        let mut connections = JoinSet::new();
        let for_connections = modes.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    connections.spawn(pass(stream, target, for_connections.clone()));
                }
                cut = modes.wait_for(|mode| matches!(mode, Mode::Cut)) => {
                    if cut.is_err() { return }
                    break;
                }
            }
        }
        drop(listener);
        connections.shutdown().await;
        listening.send_replace(false);
        if modes.wait_for(|mode| !matches!(mode, Mode::Cut)).await.is_err() {
            return;
        }
    }
}

async fn pass(near: TcpStream, target: SocketAddr, modes: watch::Receiver<Mode>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = copy(near_read, far_write, modes.clone(), false) => {}
        () = copy(far_read, near_write, modes, true) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut modes: watch::Receiver<Mode>, back: bool) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let Ok(mode) = modes.wait_for(|mode| !matches!(mode, Mode::BlackHole)).await.map(|mode| *mode) else { return };
        let mut piece = buffer[..count].to_vec();
        match mode {
            Mode::Delay(delay) => tokio::time::sleep(delay).await,
            Mode::Corrupt(corruption) if back => piece = corruption(&piece),
            Mode::Corrupt(_) | Mode::Pass | Mode::Cut | Mode::BlackHole => {}
        }
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
}
