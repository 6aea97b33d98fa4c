//! From the start of the program to its first answer, and what it holds before anybody asks for anything.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::gauge;
use super::goals::{Figure, Goal};
use super::rig::{Rig, USUAL};
use super::table::Findings;
use crate::failure::{Context, Failure};
use crate::report::figures::Spread;
use crate::turns::configuration::Settings;
use crate::turns::subject;

const STARTS: usize = 20;
const START_MAX: Duration = Duration::from_secs(10);
/// Whatever is only done at the start is over by then.
const IDLE: Duration = Duration::from_secs(1);
const WORKERS: usize = 2;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and only its status to collect.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(super) fn measure(rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(started(rig, "memory:")?.1.as_secs_f64() * 1e3);
    }
    let times = Spread::of(times);
    if let Some(times) = times {
        eprintln!("start to first answer: {:.1} ms ({:.1} to {:.1})", times.median, times.least, times.most);
    }
    findings.goals.push(Goal::new(Figure::StartMilliseconds, times.map(|times| times.median)));
    let redis = rig.redis()?;
    let mut idle = 0;
    for url in ["memory:", &redis.url()] {
        let (running, _) = started(rig, url)?;
        thread::sleep(IDLE);
        let resident = gauge::resident(running.0.id())?.now;
        eprintln!("idle with {WORKERS} workers on {url}: {:.1} MB", resident as f64 / 1e6);
        idle = idle.max(resident);
    }
    findings.goals.push(Goal::new(Figure::IdleMegabytes, Some(idle as f64 / 1e6)));
    Ok(())
}

/// A jeton on any core, and how long it took until it was ready.
fn started(rig: &mut Rig<'_>, store_url: &str) -> Result<(Running, Duration), Failure> {
    let (name, ports) = (rig.fresh_name(), (subject::free_port()?, subject::free_port()?));
    let registered = rig.register(USUAL.registered)?;
    let mut settings = Settings::new(ports, store_url, &rig.keys, &registered.clients.file);
    settings.workers = WORKERS;
    let file = settings.write(rig.folder, &name)?;
    let log = rig.folder.join(name);
    let output = File::create(&log)?;
    let mut command = Command::new(&rig.args.stage.jeton);
    command.args(["serve", "--config"]).arg(file).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let begun = Instant::now();
    let running = Running(command.spawn().context(|| "starting jeton".to_owned())?);
    while !is_ready(ports.0) {
        if begun.elapsed() > START_MAX {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(Failure::new(format!("not ready after {START_MAX:?}:\n{log}")));
        }
    }
    Ok((running, begun.elapsed()))
}

fn is_ready(port: u16) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(START_MAX))?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer)?;
        Ok(answer[..read].starts_with(b"HTTP/1.1 200"))
    };
    asked().unwrap_or(false)
}
