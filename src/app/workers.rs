//! The worker threads: started with their share of what is shared, watched for what a worker cannot mend.
//!
//! Invariant: a thread that dies ends the process, in order: one worker fewer would serve on at half the rate, its share of the
//! connections lost each time, with nobody told but a log.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::certificates::ListenerTls;
use super::stores::Stores;
use crate::actors::supervisor::Crash;
use crate::failpoint::{self, FailPoint};
use crate::http::Shared;
use crate::http::connections::{self, Load, WorkerInbox, WorkerQueue};
use crate::http::jwks_client::Roots;
use crate::http::router::Router;
use crate::oauth::client::Clients;
use crate::random::Random;
use crate::worker::{self, House};

/// What every worker gets a copy of.
#[derive(Clone)]
pub(super) struct Materials {
    pub(super) stores: Stores,
    pub(super) clients: Arc<ArcSwap<Clients>>,
    pub(super) random: Random,
    pub(super) tls: ListenerTls,
    /// Who signs certificates of servers that keys are fetched from, as of now.
    pub(super) roots_of_jwks: Arc<ArcSwap<Roots>>,
    pub(super) shared: Arc<Shared>,
}

impl Materials {
    /// Opens the house of the calling thread. `speaks`: whether it is the one that logs what all threads see.
    pub(super) fn open_house(&self, speaks: bool) -> House {
        self.stores.open_house(self.clients.clone(), self.random.clone(), self.shared.clone(), speaks)
    }
}

/// What a worker says of itself.
#[derive(Debug)]
pub(super) struct WorkerLoad {
    connections: Arc<Load>,
    busy_millis: AtomicU64,
}

/// The worker threads.
pub(super) struct Workers {
    /// Where the acceptor puts connections. Once all are dropped, the workers see their connections out and end.
    pub(super) queues: Vec<WorkerQueue>,
    pub(super) loads: Vec<Arc<WorkerLoad>>,
    /// Each thread holds a sender for as long as it lives.
    crashes: mpsc::Receiver<Crash>,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// Where the operating system gives no thread or no poll descriptor; those already started then end by themselves.
    pub(super) fn start(count: usize, materials: &Materials) -> io::Result<Self> {
        let (crashed, crashes) = mpsc::channel(1);
        let mut workers = Self { queues: Vec::new(), loads: Vec::new(), crashes };
        for index in 0..count {
            let (queue, inbox) = connections::queue();
            workers.loads.push(Arc::new(WorkerLoad::new(queue.load().clone())));
            workers.queues.push(queue);
            let load = workers.loads[index].clone();
            let (materials, crashed) = (materials.clone(), crashed.clone());
            let body = move || {
                let worked = catch_unwind(AssertUnwindSafe(|| work(index, &materials, inbox, load, &crashed)));
                if worked.is_err() {
                    // Full: one is enough.
                    let _ = crashed.try_send(Crash::Worker);
                }
            };
            thread::Builder::new().name(format!("jeton-{index}")).spawn(body)?;
        }
        Ok(workers)
    }

    /// Waits until something of some worker has died for good.
    pub(super) async fn crash(&mut self) -> Crash {
        match self.crashes.recv().await {
            Some(crash) => crash,
            None => std::future::pending().await,
        }
    }

    /// Waits until every thread has ended.
    pub(super) async fn ended(mut self) {
        while self.crashes.recv().await.is_some() {}
    }
}

impl WorkerLoad {
    /// Of a worker with these connections.
    pub(super) fn new(connections: Arc<Load>) -> Self {
        Self { connections, busy_millis: AtomicU64::new(0) }
    }

    /// Says once a second how much CPU time the calling thread has used.
    pub(super) async fn report_for_ever(&self) {
        loop {
            let busy = u64::try_from(worker::thread_busy().as_millis()).unwrap_or(u64::MAX);
            self.busy_millis.store(busy, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Open connections.
    pub(super) fn connections(&self) -> usize {
        self.connections.connections()
    }

    /// CPU time of its thread, as it last said.
    pub(super) fn busy(&self) -> Duration {
        Duration::from_millis(self.busy_millis.load(Ordering::Relaxed))
    }
}

/// The body of a worker's thread.
fn work(index: usize, materials: &Materials, inbox: WorkerInbox, load: Arc<WorkerLoad>, crashed: &mpsc::Sender<Crash>) {
    let runtime = match worker::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(event = "warning", worker = index, %error, "a worker could not start");
            let _ = crashed.try_send(Crash::Worker);
            return;
        }
    };
    runtime.block_on(async {
        // The main thread's house, which every process has, speaks for all.
        let mut house = materials.open_house(false);
        house.keep_alive("report of a worker's load", async move || load.report_for_ever().await);
        let mut connections = pin!(connections::serve(Router::public(house.services.clone()), inbox));
        let mut serving = poll_fn(|cx| {
            failpoint::reach(FailPoint::Worker);
            connections.as_mut().poll(cx)
        });
        tokio::select! {
            () = &mut serving => return,
            crash = house.crash() => {
                let _ = crashed.try_send(crash);
            }
        }
        // Without what died every answer is a 503 at once, until the drain that now begins has closed the queue.
        serving.await;
    });
    // Nobody waits for a thread on which the system's resolver hangs.
    runtime.shutdown_background();
}
