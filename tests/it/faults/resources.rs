//! The process runs out of what the system gives: open files, room on a disk, somebody who reads its log.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::harness::http1::Wire;
use crate::harness::{Request, TestServer, until};

/// Open files of a process.
fn open_files(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// CPU time that a process has used.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..=12].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap()
}

/// Out of open files: those who are there are served, those who come wait, and are served when there is room again. Meanwhile it neither
/// spins nor fills the log.
#[tokio::test]
async fn no_open_files_are_left() {
    let server = TestServer::builder().start().await;
    let request = server.client("billing").token_request("invoices:read");
    let mut there = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect(server.public).await;
        wire.ask(&request).await.expect_token();
        there.push(wire);
    }
    let mut admin = Wire::connect(server.admin).await;
    admin.ask(&Request::get("/metrics")).await.expect(200);
    let lines_before = server.lines().len();

    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    let Rlimit { maximum, current } = getrlimit(Resource::Nofile);
    let lowered = Rlimit { current: Some(open_files(server.pid()) - 1), maximum };
    prlimit(Some(pid), Resource::Nofile, lowered).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect(server.public).await;
        wire.send(wire.bytes_of(&request)).await;
        waiting.push(wire);
    }
    let mut refusals = async || {
        let metrics = admin.ask(&Request::get("/metrics")).await.expect(200);
        let series = "jeton_connections_refused_total{listener=\"public\",reason=\"open_files\"} ";
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(series).map(str::to_owned));
        line.unwrap().parse::<f64>().unwrap()
    };
    until("a refusal for want of open files", async || (refusals().await >= 1.0).then_some(())).await;

    // Long enough to tell a pause from a spin; a busy machine makes the share smaller.
    let (since, used, refused) = (Instant::now(), cpu_time(server.pid()), refusals().await);
    until("some seconds of want", async || {
        for wire in &mut there {
            wire.ask(&request).await.expect_token();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        (since.elapsed() > Duration::from_secs(5)).then_some(())
    })
    .await;
    let share = (cpu_time(server.pid()) - used).as_secs_f64() / since.elapsed().as_secs_f64();
    assert!(share < 0.5, "{share} of a core");
    let tries = (refusals().await - refused) / since.elapsed().as_secs_f64();
    assert!(tries < 120.0, "{tries} tries a second");
    // Each thing that could not be done is said once: connections, and files that could not be read again.
    let lines = server.lines().split_off(lines_before);
    let messages: BTreeSet<String> =
        lines.iter().map(|line| line.split("\"message\":").nth(1).unwrap().to_owned()).collect();
    assert_eq!(messages.len(), lines.len(), "a flood of lines: {lines:#?}");

    prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).unwrap();
    for wire in &mut waiting {
        wire.receive("POST").await.expect_token();
    }
    Wire::connect(server.public).await.ask(&request).await.expect_token();
}

/// A server that logs every request to this standard error, and what it answers while that takes no line.
async fn served_without_a_log(stderr: impl Into<Stdio>) -> TestServer {
    let builder = TestServer::builder().set("log.requests", "all").set("limits.drain_delay_ms", 0);
    let server = builder.start_with_stderr(stderr.into()).await;
    let billing = server.client("billing");
    let request = billing.token_request("invoices:read").header("x-request-id", "x".repeat(120));
    // On both workers; far more than a pipe and the queue hold.
    let mut wires = [Wire::connect(server.public).await, Wire::connect(server.public).await];
    let mut token = String::new();
    for round in 0..6000 {
        token = wires[round % 2].ask(&request).await.expect_token();
    }
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    server.write("clients.toml", "[[client]\n");
    until("a reload that fails", async || {
        (server.metric("jeton_reload_last_successful", &["subject=\"clients\""]).await < 0.5).then_some(())
    })
    .await;
    until("dropped lines", async || (server.metric("jeton_log_lines_dropped_total", &[]).await >= 100.0).then_some(()))
        .await;
    billing.request_token("").await.expect_token();
    server
}

async fn ends_well(mut server: TestServer) {
    server.signal(Signal::TERM);
    let asked = Instant::now();
    assert!(server.until_exit().await.success());
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to end", asked.elapsed());
}

/// The disk that holds the log is full: each line is refused.
#[tokio::test]
async fn the_disk_for_the_log_is_full() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    ends_well(served_without_a_log(full).await).await;
}

/// Whoever read the log is gone.
#[tokio::test]
async fn nobody_reads_the_log_any_more() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    ends_well(served_without_a_log(writer).await).await;
}

/// Whoever reads the log has stopped, and goes on later: what waited comes, the rest was counted.
#[tokio::test]
async fn the_reader_of_the_log_has_stopped() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let server = served_without_a_log(writer).await;
    let read = Arc::new(AtomicUsize::new(0));
    let seen = read.clone();
    let lines = std::thread::spawn(move || {
        let (mut text, mut part) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            match reader.read(&mut part).unwrap() {
                0 => return String::from_utf8(text).unwrap(),
                bytes => text.extend_from_slice(&part[..bytes]),
            }
            read.store(text.len(), Ordering::Relaxed);
        }
    });
    // More than the pipe held: there is room again where lines wait, also for the last.
    until("room for a line", async || (seen.load(Ordering::Relaxed) > 512 * 1024).then_some(())).await;
    ends_well(server).await;
    let text = lines.join().unwrap();
    assert!(text.lines().filter(|line| line.contains("\"request\"")).count() > 1000, "what waited did not come");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(text.contains("stopped"), "the last line is missing");
}
