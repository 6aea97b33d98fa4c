//! A child process: what it prints is kept line by line, and it is ended on drop by its own id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::until;

/// A running child, with all that it has printed.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// They end with the child, whose outputs they read.
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` with its outputs kept.
    pub(crate) fn spawn(name: &'static str, command: &mut Command) -> Self {
        Self::spawn_with_stderr(name, command, Stdio::piped())
    }

    /// As [`Process::spawn`], with another standard error: what goes there is not kept.
    pub(crate) fn spawn_with_stderr(name: &'static str, command: &mut Command, stderr: Stdio) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn();
        // What the command holds of it would keep a pipe open.
        command.stderr(Stdio::null());
        let mut child = started.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut readers = vec![keep_lines(child.stdout.take().unwrap(), &lines)];
        readers.extend(child.stderr.take().map(|stderr| keep_lines(stderr, &lines)));
        Self { name, child, lines, readers }
    }

    /// All that it has printed so far, both outputs, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself and all that it has printed is there.
    pub(crate) async fn until_exit(&mut self) -> ExitStatus {
        let name = self.name;
        let status = until(&format!("the end of {name}"), async || self.child.try_wait().unwrap()).await;
        self.read_to_end();
        status
    }

    /// Kills it (SIGKILL) and reaps it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.read_to_end();
    }

    fn read_to_end(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process takes SIGKILL too; both calls fail only for one that has been reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.read_to_end();
        if std::thread::panicking() {
            eprintln!("--- {} said:", self.name);
            for line in self.lines() {
                eprintln!("{line}");
            }
        }
    }
}

fn keep_lines(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            lines.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    })
}
