//! The composition root: the one room that knows every other. It builds the house, and takes it down in order.
//!
//! The main thread holds the listeners, the admin endpoints and what is done by the clock; each worker is a thread with a house
//! of its own.

mod certificates;
mod reload;
mod shutdown;
mod start;
mod store_watch;
mod stores;
mod upkeep;
mod workers;

use std::fmt;
use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use tokio::sync::oneshot;

use self::reload::Reload;
use self::shutdown::{Drain, Signals};
use self::start::Sockets;
use self::upkeep::Upkeep;
use self::workers::Workers;
use crate::actors::supervisor::Crash;
use crate::config::options::LogFormat;
use crate::config::{ListenAddress, Loaded};
use crate::http::Reach;
use crate::http::acceptor::{self, Accepting, ConnectionLimits};
use crate::http::connections::{self, WorkerQueue};
use crate::http::listener::Listener;
use crate::http::open_files;
use crate::http::router::{MetricsText, Router};
use crate::http::tls::ServerTls;
use crate::http::{Services, Shared};
use crate::oauth::metadata::Issuer;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::labels;
use crate::telemetry::logging::{self, Format, Logging, StartError};
use crate::worker;

/// Connections of the admin listener: scrapers, probes and operators.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// The source that this binary was built from, where the build says so.
const REVISION: &str = match option_env!("JETON_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Where the service can be reached, once it can.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The public listener, with the port that the system chose for port 0.
    pub public: ListenAddress,
    /// Whether TLS is spoken there.
    pub public_tls: bool,
    /// The listener that asks for certificates, likewise.
    pub mtls: Option<ListenAddress>,
    /// The admin listener, likewise.
    pub admin: ListenAddress,
    /// The issuer, which with `--dev` follows from the public address.
    pub issuer: Issuer,
}

/// Why the service did not start, or ended by itself. A sentence for the operator.
#[derive(Debug)]
pub enum RunError {
    /// What was configured cannot be used.
    Configuration(String),
    /// The operating system refused something.
    Refused(String),
    /// Something without which it cannot go on died.
    Crashed(Crash),
    /// No worker could start.
    WorkersGone,
}

/// Runs the service until a signal ends it. `listening` is called once, when requests are accepted.
///
/// # Errors
/// [`RunError`].
pub fn run(loaded: Loaded, listening: impl FnOnce(&Listening)) -> Result<(), RunError> {
    let log = &loaded.config.log;
    let format = match log.format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let logging = logging::start(format, log.level.as_str()).map_err(|error| match error {
        StartError::Level(level) => RunError::Configuration(level.to_string()),
        StartError::Thread(refused) => refused.into(),
    })?;
    // The message of a panic may hold what a request sent: the place alone is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(event = "warning", place, "a panic");
    }));
    #[cfg(debug_assertions)]
    if let Some(folder) = crate::config::environment::fail_points() {
        crate::failpoint::arm(folder);
    }
    let runtime = worker::runtime()?;
    let ended = runtime.block_on(serve(loaded, logging.clone(), listening));
    logging.queue.flush();
    // Nobody waits for a thread on which the system's resolver hangs.
    runtime.shutdown_background();
    ended
}

async fn serve(mut loaded: Loaded, logging: Logging, listening: impl FnOnce(&Listening)) -> Result<(), RunError> {
    let mut signals = Signals::listen()?;
    let open_files = open_files::raise();
    let sockets = Sockets::bind(&loaded.config)?;
    let listens = sockets.listening(&loaded.config)?;
    let drain = Drain::of(&loaded.config.limits);

    let exporter = Exporter::new(env!("CARGO_PKG_VERSION"), REVISION);
    let (materials, mut courier) = start::materials(&mut loaded, &listens, open_files, &exporter)?;
    start::log(&loaded, &listens, &materials);
    let shared = materials.shared.clone();
    let mut workers = Workers::start(shared.health.workers() - 1, &materials)?;
    let tls = materials.tls.clone();
    let mut house = materials.open_house(true);
    let mut upkeep = Upkeep::new(&materials, exporter.clone(), workers.loads.clone(), logging.queue);
    house.keep_alive("upkeep", async move || upkeep.run().await);
    house.keep_alive("courier", async move || courier.run().await);
    house.keep("admin listener", admin(sockets.admin, sockets.reach, tls.admin, &house.services, exporter));
    let public = (sockets.public, labels::Listener::Public, tls.public);
    let mtls = sockets.mtls.map(|listener| (listener, labels::Listener::Mtls, tls.mtls));
    let queues = std::mem::take(&mut workers.queues);
    let (stop, accepting) = accept_clients(std::iter::once(public).chain(mtls).collect(), &shared, &queues);
    drop(queues);
    let mut accepting = Box::pin(accepting);

    let (hang_up, hang_ups) = sync_channel(1);
    let reload = Reload::new(loaded, materials, logging.level);
    let reload = thread::Builder::new().name("jeton-reload".into()).spawn(move || reload.run(&hang_ups))?;
    listening(&listens);

    let crash = tokio::select! {
        // Full: a reload is about to begin anyway.
        () = signals.stop_or(|| { let _ = hang_up.try_send(()); }) => None,
        crash = workers.crash() => Some(crash),
        crash = house.crash() => Some(crash),
        ended = &mut accepting => return Err(ended.err().map_or(RunError::WorkersGone, RunError::from)),
    };
    shared.health.drain();
    match crash {
        None => tracing::info!(event = "drain_started", "draining"),
        Some(crash) => tracing::error!(event = "drain_started", %crash, "draining: {crash}"),
    }
    let drained = drain.run(&mut signals, accepting, stop, workers).await;
    drop(hang_up);
    let _ = reload.join();
    shared.failures.log();
    tracing::info!(event = "stopped", drained, "stopped");
    crash.map_or(Ok(()), |crash| Err(RunError::Crashed(crash)))
}

/// Accepts clients on these listeners and hands them to the workers, until the closure is called and the backlogs are empty.
fn accept_clients(
    listeners: Vec<(Listener, labels::Listener, Option<ServerTls>)>,
    shared: &Shared,
    queues: &[WorkerQueue],
) -> (impl FnOnce() + use<>, impl Future<Output = io::Result<()>> + use<>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) }.boxed_local().shared();
    let limits = ConnectionLimits {
        connections_max: shared.limits.connections_max,
        per_source_max: shared.limits.connections_per_source_max,
    };
    let accepting = listeners.into_iter().map(|(listener, label, tls)| {
        let accepting = Accepting { listener, label, tls, limits };
        acceptor::accept(accepting, shared.metrics.clone(), queues.to_vec(), stopped.clone())
    });
    let accepting = try_join_all(accepting.collect::<Vec<_>>());
    (move || drop(stop), async move { accepting.await.map(drop) })
}

/// Serves scrapers, probes and operators on the main thread, for as long as that lives.
fn admin(
    listener: Listener,
    reach: Reach,
    tls: Option<ServerTls>,
    services: &Services,
    exporter: Exporter,
) -> impl Future<Output = ()> + use<> {
    let limits = ConnectionLimits { connections_max: ADMIN_CONNECTIONS_MAX, per_source_max: 0 };
    let router = Router::admin(services.clone(), reach, MetricsText::new(move || exporter.render()));
    let (queue, inbox) = connections::queue();
    let metrics = services.shared.metrics.clone();
    let for_ever = std::future::pending();
    let accepting = Accepting { listener, label: labels::Listener::Admin, tls, limits };
    let accepting = acceptor::accept(accepting, metrics, vec![queue], for_ever);
    async move {
        let (accepted, ()) = tokio::join!(accepting, connections::serve(router, inbox));
        if let Err(error) = accepted {
            tracing::error!(event = "warning", %error, "the admin listener cannot be watched");
        }
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(what) | Self::Refused(what) => f.write_str(what),
            Self::Crashed(crash) => crash.fmt(f),
            Self::WorkersGone => f.write_str("no worker is left"),
        }
    }
}

impl std::error::Error for RunError {}
