//! What is driven: the baseline, jeton on the embedded store, jeton on a Redis of its own, and peers likewise. Each is
//! started and seen to answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::configuration::{self, Clients};
use super::peer;
use super::process::Process;
use crate::args::TurnsArgs;
use crate::client::Credential;
use crate::cpu::CpuMeter;
use crate::drive::Watched;
use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::report::beside::JETONS;
use crate::request::{Draft, Endpoint};
use crate::scrape::Metrics;
use crate::target::{Paths, Target};

const START_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) target: Arc<Target>,
    /// What token requests ask for beside the grant type.
    pub(super) token_form: &'static str,
    pub(super) clients: Vec<Credential>,
    pub(super) introspectors: Vec<Credential>,
    pub(super) server_cpu: CpuMeter,
    pub(super) redis_cpu: Option<CpuMeter>,
    /// Its Prometheus metrics, where it has some.
    pub(super) metrics: Option<Metrics>,
    /// What it is, with versions and settings, for the report.
    pub(super) described: String,
    /// Ended in this order: a service before its Redis.
    processes: Vec<Process>,
}

/// Starts all, the baseline first.
pub(super) fn start_all(args: &TurnsArgs, folder: &Path) -> Result<Vec<Subject>, Failure> {
    // Asked for none, jeton gives a client all its scopes, others give it none: beside peers every request names them.
    let token_form = if args.peer.is_empty() { "" } else { configuration::TOKEN_FORM };
    let clients = Clients::write(folder, args.auth, token_form)?;
    let keys = folder.join("jeton.keys");
    let made = Command::new(&args.jeton).args(["keys", "generate"]).arg(&keys).output();
    let made = made.context(|| format!("running {} (--jeton names another)", args.jeton.display()))?;
    if !made.status.success() {
        return Err(Failure::new(format!("jeton keys generate: {}", String::from_utf8_lossy(&made.stderr))));
    }
    let start_jeton = |name, store_url: &str| -> Result<_, Failure> {
        let ports = (free_port()?, free_port()?);
        let file = configuration::write(folder, name, ports, store_url, &keys, &clients)?;
        let arguments = ["serve", "--config", &file.to_string_lossy()];
        let process = Process::start(name, args.server_core, &args.jeton, &arguments, folder.join(name))?;
        Ok((process, ports))
    };
    let jeton = version(&args.jeton);
    let (baseline, url) = start_baseline(args, folder)?;
    let baseline = Subject::seen(&url, vec![baseline], &clients)?;
    let mut subjects =
        vec![baseline.described("bare hyper that reads the body and answers 300 fixed bytes, one thread")];
    let [memory, redis] = JETONS;
    let (memory, ports) = start_jeton(memory, "memory:")?;
    let memory = Subject::seen(&local(ports.0), vec![memory], &clients)?.with_metrics(&local(ports.1))?;
    subjects.push(memory.described(&format!("{jeton}, one worker, tokens in its memory")));
    let (store, store_url) = start_redis(args, folder, redis)?;
    let redis_cpu = Some(CpuMeter::new(store.pid())?);
    let (on_redis, ports) = start_jeton(redis, &store_url)?;
    let on_redis = Subject::seen(&local(ports.0), vec![on_redis, store], &clients)?.with_metrics(&local(ports.1))?;
    let redis = version(&redis_program(folder)?);
    let on_redis = on_redis.described(&format!("{jeton}, one worker, tokens in a Redis on loopback: {redis}"));
    subjects.push(Subject { redis_cpu, ..on_redis });
    for peer in &args.peer {
        subjects.push(peer::start(peer, args, folder, &clients)?);
    }
    Ok(subjects)
}

impl Subject {
    /// Waits until the first of `processes` issues a token.
    pub(super) fn seen(url: &str, mut processes: Vec<Process>, clients: &Clients) -> Result<Self, Failure> {
        let target = Arc::new(Target::new(url, Paths::default())?);
        let endpoint = Endpoint::new(&target, Operation::Issue, clients.token_form);
        let mut request = Vec::new();
        Draft { endpoint: &endpoint, credential: &clients.issuing[0], token: b"" }.write_http1(&mut request);
        until(&mut processes, || {
            asked_once(&target, &request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })?;
        let service = processes.first().ok_or_else(|| Failure::new("a subject without a process"))?;
        Ok(Self {
            name: service.name(),
            target,
            token_form: clients.token_form,
            clients: clients.issuing.clone(),
            introspectors: clients.introspecting.clone(),
            server_cpu: CpuMeter::new(service.pid())?,
            redis_cpu: None,
            metrics: None,
            described: String::new(),
            processes,
        })
    }

    fn with_metrics(self, admin_url: &str) -> Result<Self, Failure> {
        Ok(Self { metrics: Some(Metrics::new(admin_url)?), ..self })
    }

    pub(super) fn described(self, text: &str) -> Self {
        Self { described: text.to_owned(), ..self }
    }

    pub(super) fn watched(&self) -> Watched {
        let (server, redis) = (Some(self.server_cpu.clone()), self.redis_cpu.clone());
        Watched { server, redis, metrics: self.metrics.clone() }
    }

    /// Fails if one of its processes has ended.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.processes.iter_mut().try_for_each(Process::check)
    }
}

fn start_baseline(args: &TurnsArgs, folder: &Path) -> Result<(Process, String), Failure> {
    let program = std::env::current_exe()?;
    let mut process = Process::start("baseline", args.server_core, &program, &["baseline"], folder.join("baseline"))?;
    let log = process.log_file().to_owned();
    until(std::slice::from_mut(&mut process), || fs::read_to_string(&log).is_ok_and(|line| line.ends_with('\n')))?;
    let url = format!("http://{}", process.log().trim());
    Ok((process, url))
}

/// Starts the Redis that `owner` has to itself.
pub(super) fn start_redis(args: &TurnsArgs, folder: &Path, owner: &str) -> Result<(Process, String), Failure> {
    let program = redis_program(folder)?;
    let port = free_port()?;
    let (port_text, folder_text) = (port.to_string(), folder.to_string_lossy());
    let arguments =
        ["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &folder_text];
    let log = folder.join(format!("redis-server.{owner}"));
    let process = Process::start("redis-server", args.load_core, &program, &arguments, log)?;
    let mut processes = [process];
    until(&mut processes, || {
        TcpStream::connect(("127.0.0.1", port)).is_ok_and(|stream| exchange(stream, b"PING\r\n").starts_with("+PONG"))
    })?;
    let [process] = processes;
    Ok((process, format!("redis://127.0.0.1:{port}")))
}

/// `$REDIS_SERVER`, else `redis-server`, else Debian's `redis-check-rdb`, which is the server under another name.
fn redis_program(folder: &Path) -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("REDIS_SERVER") {
        return Ok(PathBuf::from(named));
    }
    if let Some(server) = on_path("redis-server") {
        return Ok(server);
    }
    let checker = on_path("redis-check-rdb")
        .ok_or_else(|| Failure::new("no redis-server on the PATH: install redis, or name one in REDIS_SERVER"))?;
    let link = folder.join("redis-server.program");
    if !link.exists() {
        symlink(checker, &link)?;
    }
    Ok(link)
}

/// What a program says of its version; of Redis' line without the particulars of its build.
pub(super) fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.split(" sha=").next().and_then(|said| said.lines().next()).unwrap_or("version unknown").to_owned()
}

pub(super) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

pub(super) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Tries until it holds, as long as the processes live and no longer than a start may take.
fn until(processes: &mut [Process], mut holds: impl FnMut() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + START_MAX;
    while !holds() {
        processes.iter_mut().try_for_each(Process::check)?;
        if Instant::now() > deadline {
            let logs: Vec<_> = processes.iter().map(Process::log_end).collect();
            return Err(Failure::new(format!("not ready after {START_MAX:?}:\n{}", logs.join("\n"))));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn asked_once(target: &Target, request: &[u8]) -> Option<String> {
    Some(exchange(TcpStream::connect(target.address).ok()?, request))
}

/// What comes back first; empty when nothing does.
fn exchange(mut stream: TcpStream, request: &[u8]) -> String {
    let mut answer = [0; 1024];
    let read = stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| stream.write_all(request))
        .and_then(|()| stream.read(&mut answer));
    String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned()
}
