//! When to stop: the signals, and the two steps of a drain.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::workers::Workers;
use crate::config::options::LimitsOptions;

/// The signals that stop the process, listened to from the start so that none is lost.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// How long each step of a drain may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// Not ready, but still accepting.
    pub(super) delay: Duration,
    /// Then answering what has begun.
    pub(super) timeout: Duration,
}

impl Signals {
    /// Listens. From now on SIGTERM and SIGINT stop nothing by themselves.
    ///
    /// # Errors
    /// Where the operating system refuses a handler.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for SIGTERM or SIGINT, and calls `reload` at each SIGHUP meanwhile.
    pub(super) async fn stop_or(&mut self, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                Some(()) = self.hang_up.recv() => reload(),
            }
        }
    }
}

impl Drain {
    /// The times that the configuration gives.
    pub(super) fn of(limits: &LimitsOptions) -> Self {
        Self {
            delay: Duration::from_millis(limits.drain_delay_ms),
            timeout: Duration::from_millis(limits.drain_timeout_ms),
        }
    }

    /// Accepts on for the delay, since balancers need a while to see that we are not ready; then calls `stop_accepting`, and waits
    /// until the backlog is served and every worker has ended. Whether all of it was done: a second signal, and the time-out,
    /// cut it short.
    pub(super) async fn run<T>(
        self,
        signals: &mut Signals,
        mut accepting: impl Future<Output = T> + Unpin,
        stop_accepting: impl FnOnce(),
        workers: Workers,
    ) -> bool {
        let story = async {
            tokio::select! {
                () = sleep(self.delay) => {
                    stop_accepting();
                    accepting.await;
                }
                _ = &mut accepting => {}
            }
            workers.ended().await;
        };
        tokio::select! {
            done = timeout(self.delay + self.timeout, story) => done.is_ok(),
            () = signals.stop() => false,
        }
    }
}
