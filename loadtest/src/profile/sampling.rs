//! `perf`, as a process beside the one that it looks at.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::part::Shared;
use crate::failure::{Context, Failure};

/// Samples a second of CPU time; no divisor of the timers' rates.
const RATE: &str = "1999";

/// A perf that samples.
#[derive(Debug)]
pub(super) struct Sampling {
    perf: Child,
    file: PathBuf,
}

/// Fails where there is no perf to sample with.
pub(super) fn check() -> Result<(), Failure> {
    let said = Command::new("perf").arg("--version").stdout(Stdio::null()).status();
    let there = said.is_ok_and(|status| status.success());
    if there {
        Ok(())
    } else {
        Err(Failure::new("no perf: install linux-perf (Debian), perf (Fedora) or linux-tools (Ubuntu)"))
    }
}

impl Sampling {
    pub(super) fn start(pid: u32, file: PathBuf) -> Result<Self, Failure> {
        let mut perf = Command::new("perf");
        perf.args(["record", "-q", "-g", "-F", RATE, "-p", &pid.to_string(), "-o"]).arg(&file);
        let perf = perf.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context(|| "starting perf".to_owned())?;
        Ok(Self { perf, file })
    }

    /// Ends it, and shares out what it saw.
    pub(super) fn end(mut self) -> Result<Shared, Failure> {
        // Told by its id, it writes its file to the end.
        kill_process(Pid::from_child(&self.perf), Signal::INT).context(|| "ending perf".to_owned())?;
        self.perf.wait()?;
        let mut script = Command::new("perf");
        script.args(["script", "--no-inline", "-F", "period,ip,sym,dso", "-i"]).arg(&self.file);
        let mut script = script.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let said = script.stdout.take().ok_or_else(|| Failure::new("perf script says nothing"))?;
        let shared = Shared::of(BufReader::new(said))?;
        script.wait()?;
        if shared.samples() == 0 {
            return Err(Failure::new("perf saw nothing: it may need root, or a lower kernel.perf_event_paranoid"));
        }
        Ok(shared)
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and only its status to collect.
        drop(self.perf.kill());
        drop(self.perf.wait());
    }
}
