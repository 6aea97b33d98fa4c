//! Starts jeton as it is overloaded, and drives it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::OverloadArgs;
use super::memory::{self, Growth};
use crate::client::AuthMethod;
use crate::drive::{self, Harvest, Plan};
use crate::failure::{Context, Failure};
use crate::operation::{Operation, Shares};
use crate::report::Summary;
use crate::stock::Held;
use crate::turns::configuration::{Clients, Settings};
use crate::turns::process::Process;
use crate::turns::subject::{self, Redis, Subject};

/// How one window is driven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) operation: Operation,
    /// `None`: a closed loop.
    pub(super) rate: Option<f64>,
    pub(super) connections: usize,
    pub(super) warmup: Duration,
    pub(super) window: Duration,
}

#[derive(Debug)]
pub(super) struct Rig<'a> {
    pub(super) args: &'a OverloadArgs,
    folder: &'a Path,
    keys: PathBuf,
    clients: Clients,
}

/// A jeton under load.
#[derive(Debug)]
pub(super) struct Service {
    subject: Subject,
    pid: u32,
    /// Whom introspections ask about.
    tokens: Arc<[Held]>,
}

impl<'a> Rig<'a> {
    pub(super) fn new(args: &'a OverloadArgs, folder: &'a Path) -> Result<Self, Failure> {
        let keys = subject::make_keys(&args.stage.jeton, folder)?;
        Ok(Self { args, folder, keys, clients: Clients::write(folder, AuthMethod::Basic, "")? })
    }

    /// A share of the time that an overload of the store is watched for.
    pub(super) fn seconds(&self, share: f64) -> Duration {
        Duration::from_secs_f64(self.args.seconds * share)
    }

    pub(super) fn redis(&self) -> Result<Redis, Failure> {
        subject::start_redis(self.args.stage.load_core, self.folder, "overload")
    }

    pub(super) fn start(&self, name: &'static str, store_url: &str) -> Result<Service, Failure> {
        self.start_with(name, store_url, "")
    }

    /// With these clients beside the usual ones, behind a proxy that tells whom requests come from.
    pub(super) fn start_behind_proxy(&self, name: &'static str, clients: &str) -> Result<Service, Failure> {
        self.start_with(name, "memory:", clients)
    }

    fn start_with(&self, name: &'static str, store_url: &str, more_clients: &str) -> Result<Service, Failure> {
        let ports = (subject::free_port()?, subject::free_port()?);
        let clients_file = self.folder.join(format!("{name}-clients.toml"));
        let usual = fs::read_to_string(&self.clients.file).context(|| "reading the clients".to_owned())?;
        fs::write(&clients_file, usual + more_clients).context(|| "writing the clients".to_owned())?;
        let mut settings = Settings::new(ports, store_url, &self.keys, &clients_file);
        settings.behind_proxy = !more_clients.is_empty();
        settings.connections_max = Some(self.args.connections_max);
        let file = settings.write(self.folder, name)?;
        let (arguments, log) = (["serve", "--config", &file.to_string_lossy()], self.folder.join(name));
        let process = Process::start(name, &[self.args.stage.server_core], &self.args.stage.jeton, &arguments, log)?;
        let pid = process.pid();
        let subject = Subject::seen(&subject::local(ports.0), vec![process], &self.clients)?;
        let subject = subject.with_metrics(&subject::local(ports.1))?;
        Ok(Service::of(subject, pid))
    }

    /// A bare hyper server, which has nothing to do but HTTP.
    pub(super) fn start_baseline(&self) -> Result<Service, Failure> {
        let (process, url) = subject::start_baseline(self.args.stage.server_core, self.folder)?;
        let pid = process.pid();
        Ok(Service::of(Subject::seen(&url, vec![process], &self.clients)?, pid))
    }
}

impl Service {
    fn of(subject: Subject, pid: u32) -> Self {
        Self { subject, pid, tokens: Arc::default() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.subject.target.address
    }

    /// Drives it, and says what its memory did meanwhile.
    pub(super) fn drive(&mut self, load: Load) -> Result<(Summary, Option<Growth>), Failure> {
        self.measure(load, None)
    }

    /// Issues tokens for as long as `load` says, and keeps about so many to ask about.
    pub(super) fn keep_tokens(&mut self, load: Load, wanted: u64) -> Result<Summary, Failure> {
        let harvest = Arc::new(Harvest::of(wanted, wanted));
        let (summary, _) = self.measure(load, Some((Arc::clone(&harvest), wanted)))?;
        self.tokens = harvest.take().into();
        Ok(summary)
    }

    fn measure(
        &mut self,
        load: Load,
        harvest: Option<(Arc<Harvest>, u64)>,
    ) -> Result<(Summary, Option<Growth>), Failure> {
        self.subject.check()?;
        let Subject { target, clients, introspectors, name, .. } = &self.subject;
        let plan = Plan {
            given: Arc::clone(&self.tokens),
            tokens: harvest.as_ref().map_or(1, |(_, wanted)| *wanted as usize),
            harvest: harvest.map(|(harvest, _)| harvest),
            connections: load.connections,
            warmup: load.warmup,
            duration: load.window,
            rate: load.rate,
            ..Plan::new(target, Arc::clone(clients), introspectors.clone(), Shares::only(load.operation))
        };
        let started = Instant::now();
        let driven = memory::during(self.pid, || drive::run(plan.clone(), &self.subject.watched()));
        let (outcome, samples) = driven.context(|| format!("driving {name}"))?;
        let growth = samples.growth(started + load.warmup, outcome.elapsed);
        let summary = Summary::of(&plan, outcome)?;
        let p99 = summary.only_operation().map_or(f64::NAN, |operation| operation.latency_us.p99 / 1000.0);
        let pace = load.rate.map_or("closed loop".to_owned(), |rate| format!("asked {rate:.0}/s"));
        eprintln!(
            "{name:<16} {:<10} {:>5} connections  {pace:<14} right {:>7.0}/s  p99 {p99:>8.2} ms  others {}",
            summary.workload,
            load.connections,
            super::goal::goodput(&summary),
            summary.requests - summary.right
        );
        Ok((summary, growth))
    }
}
