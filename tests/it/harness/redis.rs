//! A real `redis-server` of a test's own: on a free port of loopback, with its own folder, ended on drop.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use redis::{Client, Connection, FromRedisValue};
use rustix::process::Signal;
use tempfile::TempDir;

use super::ports;
use super::process::Process;
use super::wait::until;

/// A running (or stopped, or killed) `redis-server`.
#[derive(Debug)]
pub(crate) struct RedisServer {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    user: Option<(String, String)>,
    tls_port: Option<String>,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk and never evicts, and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`RedisServer::start`] with further arguments of `redis-server`.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::prepared(arguments);
        server.start_again().await;
        server
    }

    /// Starts one that copies what the one on this port of loopback has, and waits until it has begun to.
    pub(crate) async fn replica_of(port: u16) -> Self {
        let replica =
            Self::start_with(&["--replicaof", "127.0.0.1", &port.to_string(), "--repl-diskless-sync-delay", "0"]).await;
        until("a link to the primary", async || {
            let replication: String = replica.run("INFO replication");
            replication.contains("master_link_status:up").then_some(())
        })
        .await;
        replica
    }

    /// One that only user `name` with `password` may use.
    pub(crate) async fn start_with_user(name: &str, password: &str) -> Self {
        let mut server = Self::prepared(&[]);
        let acl = server.folder.path().join("users.acl");
        std::fs::write(&acl, format!("user default off\nuser {name} on >{password} ~* &* +@all\n")).unwrap();
        server.arguments = vec!["--aclfile".to_owned(), acl.to_str().unwrap().to_owned()];
        server.user = Some((name.to_owned(), password.to_owned()));
        server.start_again().await;
        server
    }

    /// One that is reached over TLS, as `localhost`, with this certificate and key; also plainly, for the test itself.
    pub(crate) async fn start_with_tls(certificate_pem: &str, private_key_pem: &str) -> Self {
        let mut server = Self::prepared(&[]);
        let path = |name: &str| server.folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("redis.crt"), certificate_pem).unwrap();
        std::fs::write(path("redis.key"), private_key_pem).unwrap();
        let tls_port = ports::free().to_string();
        let files = ["--tls-cert-file", &path("redis.crt"), "--tls-key-file", &path("redis.key")];
        server.arguments = [&["--tls-auth-clients", "no", "--tls-port", &tls_port], files.as_slice()]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        server.tls_port = Some(tls_port);
        server.start_again().await;
        server
    }

    /// Shows this certificate from the next connection on.
    pub(crate) fn use_certificate(&self, certificate_pem: &str, private_key_pem: &str) {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("next.crt"), certificate_pem).unwrap();
        std::fs::write(path("next.key"), private_key_pem).unwrap();
        self.run::<()>(&format!("CONFIG SET tls-cert-file {} tls-key-file {}", path("next.crt"), path("next.key")));
    }

    /// Reserves its port and folder, and starts nothing: a Redis that is not there.
    pub(crate) fn absent() -> Self {
        Self::absent_with(&[])
    }

    /// The same; once it is started, it is with these arguments.
    pub(crate) fn absent_with(arguments: &[&str]) -> Self {
        Self::prepared(arguments)
    }

    fn prepared(arguments: &[&str]) -> Self {
        let folder = TempDir::with_prefix("jeton-redis-").unwrap();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { folder, port: ports::free(), arguments, user: None, tls_port: None, process: None }
    }

    /// Starts it (again) on the same port, in the same folder, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        self.begin_to_start(&[]);
        until("an answer of redis-server", async || {
            let process = self.process.as_mut().unwrap();
            assert!(process.exited().is_none(), "redis-server ended at once: {:#?}", process.lines());
            self.try_ping()
        })
        .await;
    }

    /// Starts it (again) with these further arguments and waits for nothing.
    pub(crate) fn begin_to_start(&mut self, arguments: &[&str]) {
        assert!(self.process.is_none(), "redis-server runs already");
        let mut command = Command::new(binary(self.folder.path()));
        command.arg("--port").arg(self.port.to_string()).args(["--bind", "127.0.0.1"]);
        command.arg("--dir").arg(self.folder.path()).arg("--unixsocket").arg(self.socket_path());
        command.args(["--save", "", "--daemonize", "no", "--maxmemory-policy", "noeviction"]).args(&self.arguments);
        command.args(arguments);
        self.process = Some(Process::spawn("redis-server", &mut command));
    }

    /// Waits until one that was started with [`RedisServer::begin_to_start`] answers a command that needs what it keeps.
    pub(crate) async fn until_loaded(&self) {
        until("a server that has loaded what it kept", async || {
            self.try_run::<String>("INFO persistence").filter(|state| state.contains("loading:0"))
        })
        .await;
    }

    /// Starts it again with nothing in it.
    pub(crate) async fn start_again_empty(&mut self) {
        for name in ["dump.rdb", "appendonlydir"] {
            let path = self.folder.path().join(name);
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_dir_all(&path);
        }
        self.start_again().await;
    }

    /// Sets an option, now if it runs, and each time it is started.
    pub(crate) fn set_for_good(&mut self, name: &str, value: &str) {
        if self.process.is_some() {
            self.run::<()>(&format!("CONFIG SET {name} {value}"));
        }
        self.arguments.extend([format!("--{name}"), value.to_owned()]);
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("redis-server does not run").kill();
    }

    /// Asks it to end (SIGTERM), which makes it save where it is told to save at all, and waits for that.
    pub(crate) async fn terminate(&mut self) {
        let mut process = self.process.take().expect("redis-server does not run");
        process.signal(Signal::TERM);
        process.until_exit().await;
    }

    /// Stops it with SIGSTOP: it keeps its connections and answers nothing.
    pub(crate) fn freeze(&mut self) {
        self.process.as_mut().expect("redis-server does not run").signal(Signal::STOP);
    }

    /// Lets it go on with SIGCONT.
    pub(crate) fn thaw(&mut self) {
        self.process.as_mut().expect("redis-server does not run").signal(Signal::CONT);
    }

    /// `redis://…`
    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// `rediss://…`
    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port.as_ref().expect("it has no TLS"))
    }

    /// The URL of the same server seen through another port of loopback.
    pub(crate) fn url_at(&self, port: u16) -> String {
        let user = self.user.as_ref().map(|(name, password)| format!("{name}:{password}@"));
        format!("redis://{}127.0.0.1:{port}", user.unwrap_or_default())
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its unix socket.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Its folder, where `SAVE` puts `dump.rdb`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection of the test's own.
    pub(crate) fn connect(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection().expect("redis-server refuses the test")
    }

    /// Runs one command, words separated by spaces, and reads its reply.
    pub(crate) fn run<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut built = redis::cmd(words.next().unwrap());
        for word in words {
            built.arg(word);
        }
        built.query(&mut self.connect()).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// As [`RedisServer::run`] of one that may be away, or stand still.
    pub(crate) fn try_run<T: FromRedisValue>(&self, command: &str) -> Option<T> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let mut words = command.split(' ');
        let mut built = redis::cmd(words.next().unwrap());
        for word in words {
            built.arg(word);
        }
        let mut connection = Client::open(self.url()).unwrap().get_connection_with_timeout(PATIENCE).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        built.query(&mut connection).ok()
    }

    /// How often a command (in lower case) has run.
    pub(crate) fn calls_of(&self, command: &str) -> u64 {
        let statistics: String = self.run("INFO commandstats");
        let start = format!("cmdstat_{command}:calls=");
        let calls = statistics.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok());
        calls.unwrap_or(0)
    }

    /// All keys.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.run("KEYS *")
    }

    fn try_ping(&self) -> Option<()> {
        let mut connection = Client::open(self.url()).unwrap().get_connection().ok()?;
        redis::cmd("PING").exec(&mut connection).ok()
    }
}

/// `$REDIS_SERVER`, else `redis-server` on the PATH, else `redis-check-rdb` under the name that makes it a server.
pub(crate) fn binary(folder: &Path) -> PathBuf {
    if let Some(named) = std::env::var_os("REDIS_SERVER") {
        return named.into();
    }
    if let Some(found) = on_the_path("redis-server") {
        return found;
    }
    let twin =
        on_the_path("redis-check-rdb").expect("no redis-server: install redis, or set REDIS_SERVER to its binary");
    let link = folder.join("redis-server");
    if !link.exists() {
        std::os::unix::fs::symlink(twin, &link).unwrap();
    }
    link
}

fn on_the_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
