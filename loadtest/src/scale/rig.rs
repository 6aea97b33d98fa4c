//! Jetons to be compared, each started as asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::ScaleArgs;
use super::clients::{self, FEW, Registered, Secret, Wanted};
use super::gauge::{self, Resident};
use crate::client::Credential;
use crate::cpu::CpuMeter;
use crate::drive::{self, Harvest, Outcome, Plan};
use crate::failure::Failure;
use crate::operation::{Operation, Shares};
use crate::request::Endpoint;
use crate::stock::Held;
use crate::turns::configuration::Settings;
use crate::turns::process::Process;
use crate::turns::subject::{self, Redis, Subject};

/// What is started, and how it is driven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) registered: Wanted,
    pub(super) workers: usize,
    pub(super) connections: usize,
    /// Requests under way at once.
    pub(super) asking_max: Option<usize>,
    /// Tokens issued in a window live for a second only, so that what lives is what was there before.
    pub(super) issues_short_lived: bool,
}

/// What the goals for memory assume, at 64 connections.
pub(super) const USUAL: Wish = Wish {
    registered: Wanted { clients: FEW, scopes: 2 },
    workers: 1,
    connections: 64,
    asking_max: None,
    issues_short_lived: false,
};

/// One value of what grows: a jeton and how it is driven.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) value: String,
    subject: Subject,
    pid: u32,
    wish: Wish,
    short_lived: Arc<[Credential]>,
    /// Whom introspections ask about.
    pub(super) given: Arc<[Held]>,
    pub(super) started_in: Duration,
    /// What only this row has to say.
    pub(super) notes: Vec<String>,
    pub(super) bytes_a_token: Option<f64>,
}

/// Where all is started.
#[derive(Debug)]
pub(super) struct Rig<'a> {
    pub(super) args: &'a ScaleArgs,
    pub(super) folder: &'a Path,
    pub(super) open_files: u64,
    pub(super) keys: PathBuf,
    secret: Secret,
    started: usize,
}

/// Room for the largest number of tokens and what the windows issue.
const MEMORY_TOKENS_MAX: u64 = 20_000_000;

impl<'a> Rig<'a> {
    pub(super) fn new(args: &'a ScaleArgs, folder: &'a Path, open_files: u64) -> Result<Self, Failure> {
        let (keys, secret) = (subject::make_keys(&args.stage.jeton, folder)?, Secret::new(&args.stage.jeton)?);
        Ok(Self { args, folder, open_files, keys, secret, started: 0 })
    }

    /// A name for files that nothing else has.
    pub(super) fn fresh_name(&mut self) -> String {
        self.started += 1;
        format!("scale-{}", self.started)
    }

    pub(super) fn register(&mut self, wanted: Wanted) -> Result<Registered, Failure> {
        clients::write(self.folder.join(format!("{}.clients.toml", self.fresh_name())), wanted, &self.secret)
    }

    pub(super) fn redis(&mut self) -> Result<Redis, Failure> {
        subject::start_redis(self.args.stage.load_core, self.folder, &self.fresh_name())
    }

    /// A jeton on a store that is there already, whose CPU is read where a meter is given.
    pub(super) fn start(
        &mut self,
        value: &str,
        wish: Wish,
        store_url: &str,
        redis: Option<Process>,
        redis_cpu: Option<CpuMeter>,
    ) -> Result<Variant, Failure> {
        let Registered { clients, short_lived } = self.register(wish.registered)?;
        let (name, ports) = (self.fresh_name(), (subject::free_port()?, subject::free_port()?));
        let mut settings = Settings::new(ports, store_url, &self.keys, &clients.file);
        settings.workers = wish.workers;
        settings.connections_max = Some(wish.connections.max(1000) + 1000);
        settings.memory_tokens_max = Some(MEMORY_TOKENS_MAX);
        let file = settings.write(self.folder, &name)?;
        let arguments = ["serve", "--config", &file.to_string_lossy()];
        let both = [self.args.stage.server_core, self.args.stage.load_core];
        let cores = &both[..wish.workers.clamp(1, 2)];
        let begun = Instant::now();
        let jeton = Process::start("jeton", cores, &self.args.stage.jeton, &arguments, self.folder.join(&name))?;
        let pid = jeton.pid();
        let mut subject =
            Subject::seen(&subject::local(ports.0), std::iter::once(jeton).chain(redis).collect(), &clients)?;
        let started_in = begun.elapsed();
        subject.redis_cpu = redis_cpu;
        let (given, notes) = (Arc::default(), Vec::new());
        let value = value.to_owned();
        Ok(Variant { value, subject, pid, wish, short_lived, given, started_in, notes, bytes_a_token: None })
    }

    /// A jeton on a Redis of its own, and where that listens.
    pub(super) fn start_on_redis(&mut self, value: &str, wish: Wish) -> Result<Variant, Failure> {
        let redis = self.redis()?;
        let (url, cpu) = (redis.url(), CpuMeter::new(redis.process.pid())?);
        self.start(value, wish, &url, Some(redis.process), Some(cpu))
    }
}

impl Variant {
    pub(super) fn resident(&self) -> Result<Resident, Failure> {
        gauge::resident(self.pid)
    }

    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.subject.check()
    }

    /// A window of one workload, by default over what is given.
    pub(super) fn plan(&self, args: &ScaleArgs, operation: Operation) -> Plan {
        let subject = &self.subject;
        let short = self.wish.issues_short_lived && operation == Operation::Issue;
        let clients = Arc::clone(if short { &self.short_lived } else { &subject.clients });
        // All must have connected before anything is counted.
        let connecting = 0.0002 * self.wish.connections as f64;
        let shares = Shares::only(operation);
        Plan {
            endpoints: Operation::ALL.map(|operation| Endpoint::new(&subject.target, operation, &subject.token_form)),
            given: Arc::clone(&self.given),
            connections: self.wish.connections,
            asking_max: self.wish.asking_max,
            warmup: Duration::from_secs_f64(args.warmup_seconds + connecting),
            duration: Duration::from_secs_f64(args.seconds),
            ..Plan::new(&subject.target, clients, subject.introspectors.clone(), shares)
        }
    }

    pub(super) fn drive(&self, plan: Plan) -> Result<Outcome, Failure> {
        drive::run(plan, &self.subject.watched())
    }

    /// Issues so many tokens as fast as it goes, and keeps some for introspections to ask about. How many were issued.
    pub(super) fn fill(&mut self, args: &ScaleArgs, tokens: u64, keep: u64) -> Result<u64, Failure> {
        let harvest = Arc::new(Harvest::of(keep, tokens));
        let plan = Plan {
            harvest: Some(Arc::clone(&harvest)),
            clients: Arc::clone(&self.subject.clients),
            tokens: 2 * keep as usize,
            connections: self.wish.connections.clamp(64, 256),
            asking_max: None,
            warmup: Duration::ZERO,
            duration: FILL_MAX,
            requests_max: Some(tokens),
            ..self.plan(args, Operation::Issue)
        };
        let issued = self.drive(plan)?.tally.rights();
        self.given = harvest.take().into();
        if issued < tokens {
            return Err(Failure::new(format!("only {issued} of {tokens} tokens were issued in {FILL_MAX:?}")));
        }
        Ok(issued)
    }
}

/// Filling is not waited for longer.
const FILL_MAX: Duration = Duration::from_secs(900);
