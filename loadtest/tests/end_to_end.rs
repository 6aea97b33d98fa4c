//! The program against its own baseline: every workload and way of driving ends, counts, and says so in JSON.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jeton-loadtest");

struct Baseline {
    child: Child,
    folder: tempfile::TempDir,
    url: String,
}

impl Baseline {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM).arg("baseline").args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, folder: tempfile::tempdir().unwrap(), url: format!("http://{}", line.trim()) }
    }

    fn run(&self, options: &str) -> Value {
        let summary = self.document(options)["windows"][0]["summary"].clone();
        assert_eq!(summary["right"], summary["requests"], "{options}: {summary}");
        assert_eq!(summary["unanswered"], 0, "{options}: {summary}");
        assert_eq!(summary["errors"], serde_json::json!({}), "{options}: {summary}");
        summary
    }

    fn document(&self, options: &str) -> Value {
        let output = self.command(options).output().unwrap();
        assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn command(&self, options: &str) -> Command {
        let secret = self.folder.path().join("secret");
        std::fs::write(&secret, "demo-secret\n").unwrap();
        let defaults = [("--duration", "300ms"), ("--connections", "8")];
        let mut command = Command::new(PROGRAM);
        command
            .args(["run", "--url", &self.url, "--client", &format!("demo:{}", secret.display()), "--json", "-"])
            .args(["--warmup", "50ms", "--server-pid", &self.child.id().to_string()])
            .args(options.split_whitespace())
            .args(defaults.iter().filter(|(name, _)| !options.contains(name)).flat_map(|(name, value)| [name, value]));
        command
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn every_workload_is_answered() {
    let baseline = Baseline::start(&["--workers", "2"]);
    for (workload, operations) in [
        ("issue", &["issue"][..]),
        ("introspect", &["introspect"]),
        ("revoke", &["revoke"]),
        ("mixed=issue:1,introspect:1,revoke:1", &["introspect", "issue", "revoke"]),
    ] {
        let summary = baseline.run(&format!("--workload {workload} --threads 2 --tokens 2000"));
        let asked: Vec<_> = summary["operations"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(asked, operations, "{summary}");
        assert_eq!(summary["workload"], workload);
    }
}

#[test]
fn revocations_end_with_the_tokens() {
    let summary = Baseline::start(&[]).run("--workload revoke --tokens 100 --duration 60s");
    assert_eq!(summary["requests"], 100);
}

#[test]
fn requests_max_ends_a_run() {
    let summary = Baseline::start(&[]).run("--duration 60s --requests-max 500");
    let requests = summary["requests"].as_u64().unwrap();
    assert!((500..=508).contains(&requests), "{requests}");
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let summary = Baseline::start(&[]).run("--rate 400 --duration 1s");
    let requests = summary["requests"].as_u64().unwrap();
    assert!((300..=450).contains(&requests), "{summary}");
    assert_eq!(summary["rate"], 400.0);
}

#[test]
fn http2_streams_share_a_connection() {
    let summary =
        Baseline::start(&["--http2"]).run("--http2 --connections 2 --streams 4 --workload introspect --tokens 50");
    assert_eq!(summary["http_version"], "2");
    assert!(summary["requests"].as_u64().unwrap() > 50);
}

#[test]
fn a_connection_for_each_request() {
    for (server, options) in
        [(&[][..], "--connections 4"), (&["--http2"], "--http2 --connections 4"), (&[], "--rate 300")]
    {
        let summary =
            Baseline::start(server).run(&format!("{options} --new-connections --workload introspect --tokens 50"));
        assert_eq!(summary["new_connections"], true);
    }
}

#[test]
fn progress_is_told_each_second() {
    let baseline = Baseline::start(&[]);
    let output = baseline.command("--progress --duration 1500ms --threads 2 --rate 500").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.lines().any(|line| line.trim_start().starts_with("1 s") && line.contains("/s  p99")), "{told}");
}

/// The baseline says that its tokens live for an hour.
#[test]
fn tokens_that_do_not_expire_in_time_are_told() {
    let baseline = Baseline::start(&[]);
    let output = baseline.command("--workload introspect --expired 0.5").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("live too long") && told.contains("3600 s"), "{told}");
}

#[test]
fn slices_add_up_to_the_window() {
    let summary = Baseline::start(&[]).run("--duration 500ms --threads 2");
    let right = summary["course"]["right"].as_array().unwrap();
    assert_eq!(right.len(), 5, "{summary}");
    assert_eq!(right.iter().filter_map(Value::as_u64).sum::<u64>(), summary["requests"].as_u64().unwrap());
}

#[test]
fn a_report_is_one_page() {
    let baseline = Baseline::start(&[]);
    let file = |name: &str| baseline.folder.path().join("reports").join(name);
    let (json, page, again) = (file("run.json"), file("run.html"), file("again.html"));
    let mut command = baseline.command("--commit 0123abc --workload mixed=issue:1,introspect:1 --tokens 50");
    let done = command.args(["--html".as_ref(), page.as_os_str()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(&page).unwrap();
    for part in ["<!DOCTYPE html>", "commit 0123abc", "mixed: introspect", "answers a second", "jeton-loadtest run"] {
        assert!(text.contains(part), "{part}");
    }
    std::fs::write(&json, done.stdout).unwrap();
    assert!(Command::new(PROGRAM).arg("render").args([&json, &again]).status().unwrap().success());
    assert!(std::fs::read_to_string(&again).unwrap() == text, "what was measured is drawn alike again");
}

#[test]
fn two_documents_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = Baseline::start(&[]);
    let files = ["a.json", "b.json"].map(|name| folder.path().join(name));
    for file in &files {
        std::fs::write(file, baseline.document("").to_string()).unwrap();
    }
    let output = Command::new(PROGRAM).arg("compare").args(&files).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("issue service") && text.contains("server CPU"), "{text}");
    std::fs::write(&files[1], "{}").unwrap();
    assert_eq!(Command::new(PROGRAM).arg("compare").args(&files).output().unwrap().status.code(), Some(1));
}

#[test]
fn cpu_time_is_given_for_the_server() {
    let summary = Baseline::start(&[]).run("--duration 500ms");
    let server = summary["cpu_us_per_request"]["server"].as_f64().unwrap();
    assert!(server > 0.0 && server < 5000.0, "{summary}");
}

#[test]
fn a_service_that_is_not_there_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    let client = format!("demo:{}", secret.display());
    let common = ["run", "--url", "http://127.0.0.1:1", "--client", &client, "--duration", "100ms", "--warmup", "0s"];
    for workload in ["issue", "introspect"] {
        let output = Command::new(PROGRAM).args(common).args(["--workload", workload]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{workload}");
        assert!(!output.stderr.is_empty(), "{workload}");
    }
}
