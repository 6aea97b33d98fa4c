//! Processes that measurements start: pinned to cores, logging to a file, ended with their owner.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Context, Failure};

/// So much of a log's end is shown when a process ends that should not have.
const LOG_BYTES_SHOWN: usize = 2000;

/// A running process; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` on these cores, with standard output and error in `log`. Nothing of the caller's jeton is passed on.
    pub(crate) fn start(
        name: &'static str,
        cores: &[usize],
        program: &Path,
        arguments: &[&str],
        log: PathBuf,
    ) -> Result<Self, Failure> {
        let mut command = pinned(cores);
        command.arg(program).args(arguments).stdin(Stdio::null());
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JETON_")) {
            command.env_remove(variable);
        }
        let output = File::create(&log).context(|| format!("creating {}", log.display()))?;
        command.stderr(output.try_clone()?).stdout(output);
        let child = command.spawn().context(|| format!("starting {name} ({})", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// The programs before it replaced themselves by it: the child is the service.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it where it is: it keeps its connections and says nothing more.
    pub(crate) fn freeze(&self) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.child), Signal::STOP).context(|| format!("freezing {}", self.name))
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails, with the end of its log, if it has ended.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!("{} ended ({status}):\n{}", self.name, self.log_end()))),
        }
    }

    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let mut start = log.len().saturating_sub(LOG_BYTES_SHOWN);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        log[start..].to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and only its status to collect.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A command that runs what is appended to it on these cores and, where util-linux is there to do it, dies with this process even
/// when that is killed.
fn pinned(cores: &[usize]) -> Command {
    let dies_with_parent = ["--pdeathsig", "KILL"];
    let probe = Command::new("setpriv").args(dies_with_parent).arg("true").stderr(Stdio::null()).status();
    let cores = cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    if probe.is_ok_and(|status| status.success()) {
        let mut command = Command::new("setpriv");
        command.args(dies_with_parent).args(["taskset", "-c", &cores]);
        return command;
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &cores]);
    command
}

/// Pins this process, and every thread it will start, to one core.
pub(crate) fn pin_self(core: usize) -> Result<(), Failure> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores)
        .context(|| format!("running on core {core} (--load-core, --server-core choose others)"))
}
