//! Redis under Sentinel: a primary, a replica and three sentinels, all real, on free ports of loopback, ended on drop.

use std::process::Command;

use redis::{Client, FromRedisValue};
use tempfile::TempDir;

use super::chaos::ChaosProxy;
use super::ports;
use super::process::Process;
use super::redis::{self as server, RedisServer};
use super::wait::until;

/// What the sentinels call the primary and its replica.
pub(crate) const SERVICE: &str = "mymaster";
/// How many sentinels must find the primary gone.
const QUORUM: usize = 2;
const SENTINELS: usize = 3;
/// How long a server is silent until a sentinel takes it for gone; and while nothing is to happen, so that a busy machine does not look
/// like a dead server.
const WATCHFUL_MILLIS: u32 = 1000;
const CALM_MILLIS: u32 = 60_000;
/// A sentinel's configuration, which it rewrites as it learns.
const FILE: &str = "sentinel.conf";

/// Two servers, one of them the primary, and those who watch over them.
#[derive(Debug)]
pub(crate) struct SentinelGroup {
    servers: Vec<RedisServer>,
    /// Where the sentinels find them.
    ports: Vec<u16>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    /// It writes its state there.
    folder: TempDir,
    process: Option<Process>,
}

impl SentinelGroup {
    /// Starts them, and waits until every sentinel knows the replica and the other sentinels: from then on they fail over.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`SentinelGroup::start`], with further arguments for both servers.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_at(arguments, async |port| port).await
    }

    /// As [`SentinelGroup::start_with`], with a proxy before each server, which is where everybody finds it.
    pub(crate) async fn start_behind_proxies(arguments: &[&str]) -> (Self, Vec<ChaosProxy>) {
        let mut proxies = Vec::new();
        let group = Self::start_at(arguments, async |port| {
            let proxy = ChaosProxy::before(port).await;
            let port = proxy.port();
            proxies.push(proxy);
            port
        })
        .await;
        (group, proxies)
    }

    /// `door`: where a server on this port is found.
    async fn start_at(arguments: &[&str], mut door: impl AsyncFnMut(u16) -> u16) -> Self {
        let arguments = [&["--repl-diskless-sync-delay", "0"], arguments].concat();
        let mut primary = RedisServer::start_with(&arguments).await;
        let port = door(primary.port()).await;
        primary.set_for_good("replica-announce-port", &port.to_string());
        let follow = ["--replicaof", "127.0.0.1", &port.to_string()];
        let mut replica = RedisServer::absent_with(&[&arguments[..], &follow].concat());
        let ports = vec![port, door(replica.port()).await];
        replica.set_for_good("replica-announce-port", &ports[1].to_string());
        replica.start_again().await;
        // A sentinel that begins earlier hears of the replica only ten seconds later.
        until("a replica that follows", async || {
            let follows = |state: &String| state.contains(&format!("port={},state=online", ports[1]));
            info(&primary, "replication").filter(follows)
        })
        .await;
        let sentinels = (0..SENTINELS).map(|_| Sentinel::start(&port.to_string())).collect();
        let group = Self { servers: vec![primary, replica], ports, sentinels };
        group.until_whole().await;
        group
    }

    /// Both servers, whatever they are now.
    pub(crate) fn servers_mut(&mut self) -> &mut [RedisServer] {
        &mut self.servers
    }

    /// `redis+sentinel://…`
    pub(crate) fn url(&self) -> String {
        let addresses: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/{SERVICE}", addresses.join(","))
    }

    /// Which server every sentinel takes for the primary, once they agree.
    pub(crate) async fn primary(&self) -> usize {
        until("sentinels that agree on a primary", async || self.agreed()).await
    }

    /// One of the two servers.
    pub(crate) fn server(&mut self, at: usize) -> &mut RedisServer {
        &mut self.servers[at]
    }

    /// Kills the primary, and returns which it was: another one is made primary.
    pub(crate) async fn kill_primary(&mut self) -> usize {
        let primary = self.primary().await;
        self.judge_silence_after(WATCHFUL_MILLIS);
        self.servers[primary].kill();
        primary
    }

    /// From now on the replica hears of nothing that the primary writes, until [`SentinelGroup::kill_primary_ahead`].
    pub(crate) async fn cut_replica_off(&mut self) {
        let primary = self.primary().await;
        self.servers[1 - primary].freeze();
        // What waits in a socket would still be read.
        let _: i64 = self.servers[primary].run("CLIENT KILL TYPE replica");
    }

    /// As [`SentinelGroup::kill_primary`]; the replica goes on without what it has missed. Also returns how many bytes of writes that is.
    pub(crate) async fn kill_primary_ahead(&mut self) -> (usize, u64) {
        let primary = self.primary().await;
        let written = self.offset(primary, "master_repl_offset:").expect("the primary's offset");
        self.kill_primary().await;
        self.servers[1 - primary].thaw();
        let has = until("the replica's offset", async || self.offset(1 - primary, "slave_repl_offset:")).await;
        (primary, written.saturating_sub(has))
    }

    /// Stops the primary with SIGSTOP, and returns which it was: another one is made primary.
    pub(crate) async fn freeze_primary(&mut self) -> usize {
        let primary = self.primary().await;
        self.judge_silence_after(WATCHFUL_MILLIS);
        self.servers[primary].freeze();
        primary
    }

    /// Waits until another server is primary than this one.
    pub(crate) async fn until_replaced(&self, old: usize) {
        until("another primary", async || self.agreed().filter(|&now| now != old)).await;
        self.judge_silence_after(CALM_MILLIS);
    }

    fn judge_silence_after(&self, millis: u32) {
        for sentinel in &self.sentinels {
            let set = ["SENTINEL", "SET", SERVICE, "down-after-milliseconds", &millis.to_string()];
            let () = sentinel.ask(&set).expect("a sentinel does not answer");
        }
    }

    /// Ends the sentinels, which leaves the servers as they are.
    pub(crate) fn stop_sentinels(&mut self) {
        self.sentinels.iter_mut().for_each(|sentinel| sentinel.process = None);
    }

    /// Starts them again where they were.
    pub(crate) fn start_sentinels(&mut self) {
        self.sentinels.iter_mut().for_each(Sentinel::start_again);
    }

    /// Waits until the replica has all that the primary has written.
    pub(crate) async fn until_replicated(&self) {
        let primary = self.primary().await;
        let written = self.offset(primary, "master_repl_offset:").expect("the primary's offset");
        until("a replica that has all", async || {
            self.offset(1 - primary, "slave_repl_offset:").filter(|offset| *offset >= written)
        })
        .await;
    }

    /// A place in the replication stream, as a server tells it.
    fn offset(&self, at: usize, name: &str) -> Option<u64> {
        let state = info(&self.servers[at], "replication")?;
        state.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Waits until a server that was away follows the primary again, with nothing left to copy.
    pub(crate) async fn until_whole(&self) {
        until("a primary with its replica, and sentinels that know all", async || {
            let at = self.agreed()?;
            let replication = info(&self.servers[1 - at], "replication")?;
            let follows = replication.contains("role:slave") && replication.contains("master_link_status:up");
            let knows = |sentinel: &Sentinel| {
                let state: Vec<String> = sentinel.ask(&["SENTINEL", "MASTER", SERVICE])?;
                let member = |name: &str| state.iter().position(|text| text == name).map(|at| state[at + 1].as_str());
                let others = member("num-other-sentinels")?.parse() == Ok(SENTINELS - 1);
                Some(others && member("num-slaves")? == "1" && member("flags")? == "master")
            };
            (follows && self.sentinels.iter().all(|sentinel| knows(sentinel) == Some(true))).then_some(())
        })
        .await;
    }

    /// Which server all sentinels take for the primary.
    fn agreed(&self) -> Option<usize> {
        let mut named = self.sentinels.iter().map(|sentinel| {
            let address: Vec<String> = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])?;
            let port: u16 = address.get(1)?.parse().ok()?;
            self.ports.iter().position(|known| *known == port)
        });
        let first = named.next()??;
        named.all(|other| other == Some(first)).then_some(first)
    }
}

impl Sentinel {
    fn start(primary_port: &str) -> Self {
        let folder = TempDir::with_prefix("jeton-sentinel-").unwrap();
        let port = ports::free();
        let lines = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {SERVICE} 127.0.0.1 {primary_port} {QUORUM}\n\
             sentinel down-after-milliseconds {SERVICE} {CALM_MILLIS}\n\
             sentinel failover-timeout {SERVICE} 3000\n",
            folder.path().display(),
        );
        std::fs::write(folder.path().join(FILE), lines).unwrap();
        let mut sentinel = Self { port, folder, process: None };
        sentinel.start_again();
        sentinel
    }

    fn start_again(&mut self) {
        let mut command = Command::new(server::binary(self.folder.path()));
        command.arg(self.folder.path().join(FILE)).arg("--sentinel");
        self.process = Some(Process::spawn("redis-sentinel", &mut command));
    }

    fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let client = Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut client.get_connection().ok()?).ok()
    }
}

/// A section of `INFO`, where the server answers.
fn info(server: &RedisServer, section: &str) -> Option<String> {
    server.try_run(&format!("INFO {section}"))
}
