//! CPU time of a process, user and system together, from /proc.
//!
//! The scheduler's own count in nanoseconds where the kernel gives it (`schedstat`), else ticks of 10 ms (`stat`).
//! Invariant: both readings of a difference are of one kind. A thread that ended between them takes its nanoseconds along, so
//! this is for services whose threads stay.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::failure::{Context, Failure};

/// The kernel's USER_HZ, 100 on every platform Linux still runs on.
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
pub(crate) struct CpuMeter {
    folder: PathBuf,
    exact: bool,
}

impl CpuMeter {
    pub(crate) fn new(pid: u32) -> Result<Self, Failure> {
        Self::on(PathBuf::from(format!("/proc/{pid}")))
    }

    /// Of this process, in ticks: its threads end with the run, and ticks keep what ended threads had.
    pub(crate) fn own() -> Result<Self, Failure> {
        let meter = Self { folder: PathBuf::from("/proc/self"), exact: false };
        meter.read()?;
        Ok(meter)
    }

    fn on(folder: PathBuf) -> Result<Self, Failure> {
        let exact = folder.join("schedstat").exists();
        let meter = Self { folder, exact };
        meter.read()?;
        Ok(meter)
    }

    /// All CPU time the process has had.
    pub(crate) fn read(&self) -> Result<Duration, Failure> {
        let read = if self.exact { sum_of_tasks(&self.folder) } else { ticks(&self.folder) };
        read.context(|| format!("reading CPU time in {}", self.folder.display()))
    }
}

fn sum_of_tasks(folder: &Path) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(folder.join("task"))? {
        // A thread may end between the listing and the reading: then its file is gone or cannot be read.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            sum += parse_schedstat(&text)?;
        }
    }
    Ok(sum)
}

fn ticks(folder: &Path) -> io::Result<Duration> {
    parse_stat(&fs::read_to_string(folder.join("stat"))?)
}

/// `time on cpu` (ns), `time waiting` (ns), `timeslices`.
fn parse_schedstat(text: &str) -> io::Result<Duration> {
    let first = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    first.map(Duration::from_nanos).ok_or_else(|| malformed("schedstat"))
}

/// Fields 14 and 15 of proc_pid_stat(5). The name in field 2 may hold spaces and brackets: count from its last one.
fn parse_stat(text: &str) -> io::Result<Duration> {
    let (_, fields) = text.rsplit_once(')').ok_or_else(|| malformed("stat"))?;
    let mut times = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u32>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok(TICK * user + TICK * system),
        _ => Err(malformed("stat")),
    }
}

fn malformed(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file} is not as proc(5) says"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        for (task, text) in [("1", "1500 20 3\n"), ("2", "500 0 1\n")] {
            fs::create_dir_all(folder.path().join("task").join(task)).unwrap();
            fs::write(folder.path().join("task").join(task).join("schedstat"), text).unwrap();
        }
        fs::write(folder.path().join("schedstat"), "1500 20 3\n").unwrap();
        let meter = CpuMeter::on(folder.path().to_owned()).unwrap();
        assert_eq!(meter.read().unwrap(), Duration::from_nanos(2000));
    }

    #[test]
    fn without_schedstat_ticks_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let stat = "4 (a ) b) S 1 1 1 0 -1 4194560 100 200 0 0 250 50 7 7 20 0 1 0 9 0 0";
        fs::write(folder.path().join("stat"), stat).unwrap();
        let meter = CpuMeter::on(folder.path().to_owned()).unwrap();
        assert_eq!(meter.read().unwrap(), Duration::from_secs(3));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "4 (a) S 1 1"] {
            assert!(parse_stat(text).is_err(), "{text}");
        }
        assert!(parse_schedstat("\n").is_err());
        assert!(CpuMeter::new(u32::MAX).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn own_time_passes() {
        let meter = CpuMeter::new(std::process::id()).unwrap();
        let before = meter.read().unwrap();
        let end = std::time::Instant::now() + Duration::from_millis(50);
        while std::time::Instant::now() < end {
            std::hint::black_box(0);
        }
        assert!(meter.read().unwrap() > before + Duration::from_millis(5));
    }
}
