//! A TCP proxy on loopback whose faults a test switches while it runs: it cuts, resets, holds, stalls one way, strands what is open,
//! delays, slices, doubles and changes.
//!
//! Invariants: what it passes keeps its order; a fault is in force for every byte that is passed once its method has returned;
//! [`ChaosProxy::mend`] ends every fault, and only what was stranded stays so.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::ports;

/// Pieces that may be on their way in one direction.
const UNDERWAY_MAX: usize = 64;

/// What becomes of a piece of bytes.
pub(crate) type Corruption = fn(&[u8]) -> Vec<u8>;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    There,
    /// To the client.
    Back,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
}

/// The faults of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    held: bool,
    delay: Duration,
    /// Bytes of a piece; 0: as they came.
    slice_bytes: usize,
    corruption: Option<Corruption>,
    /// After so many bytes more.
    ends_after: Option<(usize, End)>,
}

/// All faults.
#[derive(Clone, Copy, Debug)]
struct Weather {
    listens: bool,
    there: Lane,
    back: Lane,
    /// Connections that are older pass nothing any more.
    strands_older_than: u64,
    /// Connections that are older are reset.
    resets_older_than: u64,
    /// Of the next connection.
    age: u64,
}

/// A proxy before one address. Ends with all its connections on drop.
#[derive(Debug)]
pub(crate) struct ChaosProxy {
    port: u16,
    weather: watch::Sender<Weather>,
    listening: watch::Receiver<bool>,
    task: AbortHandle,
}

impl ChaosProxy {
    /// Begins to pass what comes to its port on to `port`, both on loopback.
    pub(crate) async fn before(port: u16) -> Self {
        let own_port = ports::free();
        let calm = Lane::default();
        let weather =
            Weather { listens: true, there: calm, back: calm, strands_older_than: 0, resets_older_than: 0, age: 0 };
        let (weather, _) = watch::channel(weather);
        let (say_listening, mut listening) = watch::channel(false);
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let task = tokio::spawn(serve(own_port, target, weather.clone(), say_listening)).abort_handle();
        listening.wait_for(|&listening| listening).await.expect("the proxy could not listen");
        Self { port: own_port, weather, listening, task }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections and refuses new ones.
    pub(crate) async fn cut(&mut self) {
        self.weather.send_modify(|weather| weather.listens = false);
        self.listening.wait_for(|&listening| !listening).await.expect("the proxy ended");
    }

    /// Ends every fault: passes everything on again, also what was held.
    pub(crate) async fn mend(&mut self) {
        self.weather.send_modify(|weather| {
            (weather.there, weather.back) = (Lane::default(), Lane::default());
            weather.listens = true;
        });
        self.listening.wait_for(|&listening| listening).await.expect("the proxy could not listen again");
    }

    /// Takes bytes and connections and passes nothing, with no end or reset.
    pub(crate) fn black_hole(&self) {
        self.stall(Way::There);
        self.stall(Way::Back);
    }

    /// Passes nothing in one direction.
    pub(crate) fn stall(&self, way: Way) {
        self.set(way, |lane| lane.held = true);
    }

    /// Passes nothing more on the connections that are open, for ever; new ones work.
    pub(crate) fn strand(&self) {
        self.weather.send_modify(|weather| weather.strands_older_than = weather.age);
    }

    /// Resets the connections that are open (RST); new ones work.
    pub(crate) fn reset(&self) {
        self.weather.send_modify(|weather| weather.resets_older_than = weather.age);
    }

    /// Ends each connection when so many bytes more have come back.
    pub(crate) fn end_after(&self, bytes: usize, end: End) {
        self.set(Way::Back, |lane| lane.ends_after = Some((bytes, end)));
    }

    /// Passes each piece that comes back changed.
    pub(crate) fn corrupt(&self, corruption: Corruption) {
        self.set(Way::Back, |lane| lane.corruption = Some(corruption));
    }

    /// Passes all bytes in pieces of this size at most.
    pub(crate) fn slice(&self, bytes: usize) {
        self.set(Way::There, |lane| lane.slice_bytes = bytes);
        self.set(Way::Back, |lane| lane.slice_bytes = bytes);
    }

    /// Passes each piece so much later, in both directions, however many are under way.
    pub(crate) fn delay(&self, delay: Duration) {
        self.set(Way::There, |lane| lane.delay = delay);
        self.set(Way::Back, |lane| lane.delay = delay);
    }

    fn set(&self, way: Way, change: impl FnOnce(&mut Lane)) {
        self.weather.send_modify(|weather| change(weather.lane_mut(way)));
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Weather {
    fn lane(&self, way: Way) -> &Lane {
        match way {
            Way::There => &self.there,
            Way::Back => &self.back,
        }
    }

    fn lane_mut(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::There => &mut self.there,
            Way::Back => &mut self.back,
        }
    }
}

async fn serve(port: u16, target: SocketAddr, weather: watch::Sender<Weather>, listening: watch::Sender<bool>) {
    let mut changes = weather.subscribe();
    loop {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the proxy cannot listen");
        listening.send_replace(true);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let mut age = 0;
                    weather.send_modify(|weather| {
                        age = weather.age;
                        weather.age += 1;
                    });
                    connections.spawn(pass(stream, target, weather.subscribe(), age));
                }
                Some(_) = connections.join_next() => {}
                cut = changes.wait_for(|weather| !weather.listens) => {
                    if cut.is_err() { return }
                    break;
                }
            }
        }
        drop(listener);
        connections.shutdown().await;
        listening.send_replace(false);
        if changes.wait_for(|weather| weather.listens).await.is_err() {
            return;
        }
    }
}

async fn pass(mut near: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>, age: u64) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let mut lanes = weather.clone();
    let end = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        tokio::select! {
            end = carry(near_read, far_write, weather.clone(), Way::There, age) => end,
            end = carry(far_read, near_write, weather, Way::Back, age) => end,
            _ = lanes.wait_for(|weather| age < weather.resets_older_than) => End::Reset,
        }
    };
    if end == End::Reset {
        for stream in [&near, &far] {
            // Closed with no time to linger, a socket is reset.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Carries one direction of a connection, until either side or a fault ends it.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    way: Way,
    age: u64,
) -> End {
    let mut buffer = vec![0; 16 * 1024];
    let mut underway: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut passed_bytes = 0;
    let mut open = true;
    while open || !underway.is_empty() {
        let due = underway.front().map_or_else(Instant::now, |(due, _)| *due);
        tokio::select! {
            () = sleep_until(due), if !underway.is_empty() => {
                let Some((_, piece)) = underway.pop_front() else { continue };
                let held = |weather: &Weather| weather.lane(way).held || age < weather.strands_older_than;
                let Ok(lane) = weather.wait_for(|weather| !held(weather)).await.map(|weather| *weather.lane(way)) else {
                    return End::Close;
                };
                if let Some(end) = release(piece, &mut to, lane, &mut passed_bytes).await {
                    return end;
                }
            }
            read = from.read(&mut buffer), if open && underway.len() < UNDERWAY_MAX => match read {
                Ok(count @ 1..) => {
                    let delay = weather.borrow().lane(way).delay;
                    underway.push_back((Instant::now() + delay, buffer[..count].to_vec()));
                }
                Ok(0) | Err(_) => open = false,
            },
        }
    }
    End::Close
}

/// Passes one piece as the lane says, and tells how the connection ends if it does. `passed_bytes`: under a lane that ends after so many.
async fn release(mut piece: Vec<u8>, to: &mut WriteHalf<'_>, lane: Lane, passed_bytes: &mut usize) -> Option<End> {
    if let Some(corruption) = lane.corruption {
        piece = corruption(&piece);
    }
    let mut end = None;
    match lane.ends_after {
        None => *passed_bytes = 0,
        Some((after, how)) => {
            let left = after.saturating_sub(*passed_bytes);
            if piece.len() >= left {
                piece.truncate(left);
                end = Some(how);
            }
            *passed_bytes += piece.len();
        }
    }
    let slice_bytes = if lane.slice_bytes == 0 { piece.len().max(1) } else { lane.slice_bytes };
    for slice in piece.chunks(slice_bytes) {
        if write(to, slice).await.is_err() {
            return Some(End::Close);
        }
    }
    end
}

async fn write(to: &mut WriteHalf<'_>, slice: &[u8]) -> io::Result<()> {
    to.write_all(slice).await?;
    // Whoever reads may see it alone.
    tokio::task::yield_now().await;
    Ok(())
}
