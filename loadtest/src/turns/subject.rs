//! What is driven: the baseline, jeton on the embedded store, jeton on a Redis of its own, and peers likewise. Each is
//! started and seen to answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::configuration::{self, Clients, Settings};
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

/// Reading a million clients takes long.
const START_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) target: Arc<Target>,
    /// What token requests ask for beside the grant type.
    pub(crate) token_form: String,
    pub(crate) clients: Arc<[Credential]>,
    pub(crate) introspectors: Vec<Credential>,
    pub(crate) server_cpu: CpuMeter,
    pub(crate) redis_cpu: Option<CpuMeter>,
    /// Its Prometheus metrics, where it has some.
    pub(crate) metrics: Option<Metrics>,
    /// What it is, with versions and settings, for the report.
    pub(crate) described: String,
    /// Ended in this order: a service before its Redis.
    processes: Vec<Process>,
}

/// Starts all, the baseline first.
pub(crate) fn start_all(args: &TurnsArgs, folder: &Path) -> Result<Vec<Subject>, Failure> {
    // Asked for none, jeton gives a client all its scopes, others give it none: beside peers every request names them.
    let token_form = if args.peer.is_empty() { "" } else { configuration::TOKEN_FORM };
    let clients = Clients::write(folder, args.auth, token_form)?;
    let keys = make_keys(&args.jeton, folder)?;
    let start_jeton = |name, store_url: &str| -> Result<_, Failure> {
        let ports = (free_port()?, free_port()?);
        let settings = Settings::new(ports, store_url, &keys, &clients.file);
        let file = settings.write(folder, name)?;
        let arguments = ["serve", "--config", &file.to_string_lossy()];
        let process = Process::start(name, &[args.server_core], &args.jeton, &arguments, folder.join(name))?;
        Ok((process, ports))
    };
    let jeton = version(&args.jeton);
    let (baseline, url) = start_baseline(args.server_core, folder)?;
    let baseline = Subject::seen(&url, vec![baseline], &clients)?;
    let mut subjects =
        vec![baseline.described("bare hyper that reads the body and answers 300 fixed bytes, one thread")];
    let [memory, redis] = JETONS;
    let (memory, ports) = start_jeton(memory, "memory:")?;
    let memory = Subject::seen(&local(ports.0), vec![memory], &clients)?.with_metrics(&local(ports.1))?;
    subjects.push(memory.described(&format!("{jeton}, one worker, tokens in its memory")));
    let store = start_redis(args.load_core, folder, redis)?;
    let redis_cpu = Some(CpuMeter::new(store.process.pid())?);
    let (on_redis, ports) = start_jeton(redis, &store.url())?;
    let on_redis =
        Subject::seen(&local(ports.0), vec![on_redis, store.process], &clients)?.with_metrics(&local(ports.1))?;
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
    pub(crate) fn seen(url: &str, mut processes: Vec<Process>, clients: &Clients) -> Result<Self, Failure> {
        let target = Arc::new(Target::new(url, Paths::default())?);
        let endpoint = Endpoint::new(&target, Operation::Issue, &clients.token_form);
        let mut request = Vec::new();
        Draft { endpoint: &endpoint, credential: &clients.issuing[0], token: b"" }.write_http1(&mut request);
        until(&mut processes, || {
            asked_once(&target, &request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })?;
        let service = processes.first().ok_or_else(|| Failure::new("a subject without a process"))?;
        Ok(Self {
            name: service.name(),
            target,
            token_form: clients.token_form.clone(),
            clients: Arc::clone(&clients.issuing),
            introspectors: clients.introspecting.clone(),
            server_cpu: CpuMeter::new(service.pid())?,
            redis_cpu: None,
            metrics: None,
            described: String::new(),
            processes,
        })
    }

    pub(crate) fn with_metrics(self, admin_url: &str) -> Result<Self, Failure> {
        Ok(Self { metrics: Some(Metrics::new(admin_url)?), ..self })
    }

    pub(crate) fn described(self, text: &str) -> Self {
        Self { described: text.to_owned(), ..self }
    }

    /// Of the service.
    pub(crate) fn pid(&self) -> u32 {
        self.processes.first().map_or(0, Process::pid)
    }

    pub(crate) fn watched(&self) -> Watched {
        let (server, redis) = (Some(self.server_cpu.clone()), self.redis_cpu.clone());
        Watched { server, redis, metrics: self.metrics.clone() }
    }

    /// Fails if one of its processes has ended.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        self.processes.iter_mut().try_for_each(Process::check)
    }
}

pub(crate) fn start_baseline(core: usize, folder: &Path) -> Result<(Process, String), Failure> {
    let program = std::env::current_exe()?;
    let mut process = Process::start("baseline", &[core], &program, &["baseline"], folder.join("baseline"))?;
    let log = process.log_file().to_owned();
    until(std::slice::from_mut(&mut process), || fs::read_to_string(&log).is_ok_and(|line| line.ends_with('\n')))?;
    let url = format!("http://{}", process.log().trim());
    Ok((process, url))
}

/// The key file of all jetons of one measurement.
pub(crate) fn make_keys(jeton: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let keys = folder.join("jeton.keys");
    let made = Command::new(jeton).args(["keys", "generate"]).arg(&keys).output();
    let made = made.context(|| format!("running {} (--jeton names another)", jeton.display()))?;
    if !made.status.success() {
        return Err(Failure::new(format!("jeton keys generate: {}", String::from_utf8_lossy(&made.stderr))));
    }
    Ok(keys)
}

/// A Redis that keeps nothing on disk.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The same on a unix socket.
    pub(crate) socket: PathBuf,
}

impl Redis {
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

/// Starts the Redis that `owner` has to itself.
pub(crate) fn start_redis(core: usize, folder: &Path, owner: &str) -> Result<Redis, Failure> {
    let program = redis_program(folder)?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let socket = folder.join(format!("redis.{owner}.socket"));
    let (port, socket_text, folder_text) =
        (address.port().to_string(), socket.to_string_lossy(), folder.to_string_lossy());
    let listening = ["--port", &port, "--bind", "127.0.0.1", "--unixsocket", &socket_text];
    let keeping = ["--save", "", "--appendonly", "no", "--dir", &folder_text];
    let log = folder.join(format!("redis-server.{owner}"));
    let arguments = [listening, keeping].concat();
    let mut process = Process::start("redis-server", &[core], &program, &arguments, log)?;
    until(std::slice::from_mut(&mut process), || {
        TcpStream::connect(address).is_ok_and(|stream| exchange(stream, b"PING\r\n").starts_with("+PONG"))
    })?;
    Ok(Redis { process, address, socket })
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
pub(crate) fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.split(" sha=").next().and_then(|said| said.lines().next()).unwrap_or("version unknown").to_owned()
}

pub(crate) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

pub(crate) fn free_port() -> Result<u16, Failure> {
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
