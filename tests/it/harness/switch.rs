//! An address behind which one server stands, then another: what a client of a failover sees.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// A TCP proxy whose target can be changed. Ends with all its connections on drop.
#[derive(Debug)]
pub(crate) struct Switch {
    port: u16,
    target: watch::Sender<u16>,
    task: AbortHandle,
}

impl Switch {
    /// Leads to `port` on loopback.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the switch cannot listen");
        let own_port = listener.local_addr().unwrap().port();
        let (target, targets) = watch::channel(port);
        let task = tokio::spawn(serve(listener, targets)).abort_handle();
        Self { port: own_port, target, task }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections, and leads to `port` from now on.
    pub(crate) fn turn_to(&self, port: u16) {
        self.target.send_replace(port);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, mut targets: watch::Receiver<u16>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            turned = targets.changed() => {
                if turned.is_err() { return }
                connections.shutdown().await;
            }
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { continue };
                let target = SocketAddr::from(([127, 0, 0, 1], *targets.borrow()));
                connections.spawn(pass(near, target));
            }
        }
    }
}

async fn pass(mut near: TcpStream, target: SocketAddr) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let _ = copy_bidirectional(&mut near, &mut far).await;
}
