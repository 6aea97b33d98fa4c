//! What is read of processes beside CPU time: resident memory, and what Redis says of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure};

/// Bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Resident {
    pub(crate) now: u64,
    /// The most it has been.
    pub(crate) peak: u64,
}

/// Resident memory of a process.
pub(crate) fn resident(pid: u32) -> Result<Resident, Failure> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).context(|| format!("reading {file}"))?;
    parse_status(&text).ok_or_else(|| Failure::new(format!("{file} is not as proc(5) says")))
}

/// `used_memory`: what the data take with the allocator's rounding, without its reserves.
pub(super) fn redis_used(redis: SocketAddr) -> Result<u64, Failure> {
    let mut stream = TcpStream::connect(redis).context(|| "asking Redis".to_owned())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"INFO memory\r\nQUIT\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).ok_or_else(|| Failure::new("Redis does not tell used_memory"))
}

/// As many open files as the system lets this process, and what it starts, have.
pub(crate) fn raise_open_files() -> Result<u64, Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    raised.context(|| "raising the limit of open files".to_owned())?;
    Ok(maximum.unwrap_or(u64::MAX))
}

fn parse_status(text: &str) -> Option<Resident> {
    let bytes = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))?;
        Some(value.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Resident { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let text = "Name:\tjeton\nVmHWM:\t    7964 kB\nVmRSS:\t    7000 kB\nThreads:\t4\n";
        assert_eq!(parse_status(text), Some(Resident { now: 7_168_000, peak: 8_155_136 }));
        assert_eq!(parse_status("Name:\tx\n"), None);
        assert!(resident(std::process::id()).unwrap().now > 100_000);
    }
}
