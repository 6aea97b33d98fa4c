//! A real `redis-server` for one test: on a unix socket and a port of its own, gone with the test.

#![allow(clippy::disallowed_methods, reason = "a test may wait for a process it started, and look where its binary is")]

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{Cmd, Parser, Value};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::PATIENCE;
use crate::store::redis::options::RedisOptions;

/// Where it is there, the server's first argument.
const SENTINEL_FILE: &str = "sentinel.conf";

pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    pub(super) port: u16,
    arguments: Vec<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let server = Self::start_on(free_port(), arguments);
        server.until_ready();
        server
    }

    /// A sentinel that alone decides over a primary and calls it `main`, and whose further lines of configuration may say more.
    pub(super) fn start_sentinel(primary: &Self, lines: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let watch = format!(
            "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 1000\n\
             sentinel failover-timeout main 3000\n{lines}\n",
            primary.port
        );
        fs::write(folder.path().join(SENTINEL_FILE), watch).unwrap();
        let (port, arguments) = (free_port(), vec!["--sentinel".to_owned()]);
        let child = spawn(folder.path(), port, &arguments);
        let server = Self { child, folder, port, arguments };
        server.until_ready();
        server
    }

    /// Its port speaks TLS; its socket does not.
    pub(super) fn start_over_tls(arguments: &[&str]) -> Self {
        let port = free_port();
        let mut server = Self::start_on(0, &[&["--tls-port", &port.to_string()], arguments].concat());
        server.until_ready();
        server.port = port;
        server
    }

    fn start_on(port: u16, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let child = spawn(folder.path(), port, &arguments);
        Self { child, folder, port, arguments }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Options of a store on its unix socket, as patient as a busy machine asks.
    pub(super) fn options(&self) -> RedisOptions {
        let url = format!("redis+unix://{}", self.socket().display());
        RedisOptions { operation_timeout: PATIENCE / 4, ..RedisOptions::parse_url(&url).unwrap() }
    }

    /// Waits until it answers.
    pub(super) fn until_ready(&self) {
        let begun = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not come up");
            sleep(Duration::from_millis(2));
        }
    }

    /// Executes one command, as an operator would.
    pub(crate) fn command(&self, words: &[&str]) -> Value {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.commands(&[&words]).remove(0)
    }

    /// Executes commands on one connection.
    pub(super) fn commands(&self, commands: &[&[&[u8]]]) -> Vec<Value> {
        let mut request = Vec::new();
        for words in commands {
            let mut command = Cmd::new();
            words.iter().for_each(|word| {
                command.arg(*word);
            });
            command.write_packed_command(&mut request);
        }
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(&request).unwrap();
        let mut parser = Parser::new();
        commands.iter().map(|_| parser.parse_value(&mut stream).unwrap()).collect()
    }

    /// All keys.
    pub(super) fn keys(&self) -> Vec<String> {
        let Value::Array(keys) = self.command(&["KEYS", "*"]) else { panic!("no keys") };
        keys.into_iter().map(|key| String::from_utf8(bytes(key)).unwrap()).collect()
    }

    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = fs::remove_file(self.socket());
    }

    pub(super) fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.port, &self.arguments);
        self.until_ready();
    }

    pub(super) fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self.restart();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The bytes of a reply that has some.
pub(super) fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.into_bytes(),
        other => panic!("{other:?} is no bytes"),
    }
}

fn spawn(folder: &Path, port: u16, arguments: &[String]) -> Child {
    let start = |program: &Path| {
        Command::new(program)
            .current_dir(folder)
            .args(folder.join(SENTINEL_FILE).exists().then_some(SENTINEL_FILE))
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--unixsocket", "socket", "--save", ""])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let named = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    match start(Path::new(&named)) {
        // Debian's redis-check-rdb is the server's binary: it asks by which name it was called.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let link = folder.join("redis-server");
            if !link.exists() {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let mut candidates = std::env::split_paths(&path).map(|folder| folder.join("redis-check-rdb"));
                let binary = candidates.find(|candidate| candidate.exists());
                symlink(binary.expect("no redis-server: set REDIS_SERVER, or install redis-tools"), &link).unwrap();
            }
            start(&link).unwrap()
        }
        started => started.unwrap(),
    }
}
