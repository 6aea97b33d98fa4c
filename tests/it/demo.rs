//! `jeton serve --dev`: nothing needed, and the lines it prints work when they are pasted.

use std::process::Command;

use tempfile::TempDir;

use crate::harness::cli::clean_environment;
use crate::harness::clients::client;
use crate::harness::process::Process;
use crate::harness::{RedisServer, until};

/// Starts `jeton serve --dev` in an empty folder, on free ports.
fn start(folder: &TempDir, more: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    clean_environment(&mut command);
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(more);
    Process::spawn("jeton --dev", command.current_dir(folder.path()))
}

/// The curl lines it prints, in order; a line that ends in a backslash goes on.
async fn curl_lines(process: &Process) -> Vec<String> {
    until("two curl lines", async || {
        let mut found: Vec<String> = Vec::new();
        let mut goes_on = false;
        for line in process.lines() {
            if goes_on || line.contains("curl ") {
                if goes_on {
                    let last = found.last_mut().unwrap();
                    *last = format!("{last}\n{line}");
                } else {
                    found.push(line.clone());
                }
                goes_on = line.ends_with('\\');
            }
        }
        (found.len() >= 2 && !goes_on).then_some(found)
    })
    .await
}

/// Pastes lines into a shell and returns what they print.
async fn paste(lines: String) -> String {
    let output =
        tokio::task::spawn_blocking(move || Command::new("sh").arg("-c").arg(&lines).output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn expect_the_lines_to_work(process: &Process) {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: no curl on the PATH");
        return;
    }
    let lines = curl_lines(process).await;
    let issued = paste(lines[0].clone()).await;
    assert!(issued.contains("\"access_token\":\"jt_"), "{issued}\n{lines:#?}");
    let introspected = paste(lines[1..].join("\n")).await;
    assert!(lines.last().unwrap().contains("/oauth2/introspect"), "{lines:#?}");
    assert!(introspected.contains("\"active\":true"), "{issued}\n{introspected}\n{lines:#?}");
    assert!(introspected.contains("demo"), "{introspected}");
}

#[tokio::test]
async fn the_curl_lines_work_when_pasted() {
    let folder = TempDir::new().unwrap();
    let process = start(&folder, &[]);
    expect_the_lines_to_work(&process).await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "it left files: {left:?}");
}

#[tokio::test]
async fn they_work_on_redis_too() {
    let folder = TempDir::new().unwrap();
    let redis = RedisServer::start().await;
    let process = start(&folder, &["--store", &redis.url()]);
    expect_the_lines_to_work(&process).await;
    assert!(!redis.keys().is_empty(), "nothing is in Redis");
}

/// The demo clients stand beside those of a configured file.
#[tokio::test]
async fn a_clients_file_is_served_too() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("jeton.toml"), "[clients]\nfile = \"clients.toml\"\n").unwrap();
    std::fs::write(folder.path().join("clients.toml"), client("own", "audience = [\"x\"]")).unwrap();
    let process = start(&folder, &[]);
    let lines = curl_lines(&process).await;
    expect_the_lines_to_work(&process).await;
    let own = lines[0].replace("demo-secret", &crate::harness::clients::secret_of("own")).replace("demo", "own");
    let issued = paste(own).await;
    assert!(issued.contains("\"access_token\":\"jt_"), "{issued}");
}

#[tokio::test]
async fn it_stays_on_loopback_unless_told() {
    let folder = TempDir::new().unwrap();
    let mut process = start(&folder, &["--listen", "0.0.0.0:0"]);
    let code = process.until_exit().await.code();
    assert!([Some(2), Some(78)].contains(&code), "{code:?}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    clean_environment(&mut command);
    command.args(["serve", "--dev", "--admin-listen", "127.0.0.1:0"]).current_dir(folder.path());
    let mut remote = Process::spawn("jeton --dev", command.args(["--listen", "0.0.0.0:0"]));
    let code = remote.until_exit().await.code();
    assert!([Some(2), Some(78)].contains(&code), "{code:?}");
    until("a hint", async || remote.lines().iter().any(|line| line.contains("--dev-allow-remote")).then_some(())).await;

    let allowed = Process::spawn("jeton --dev", command.arg("--dev-allow-remote"));
    curl_lines(&allowed).await;
}

/// There is nobody to be drained for.
#[tokio::test]
async fn it_stops_at_once() {
    let folder = TempDir::new().unwrap();
    let mut process = start(&folder, &[]);
    curl_lines(&process).await;
    process.signal(rustix::process::Signal::INT);
    let asked = std::time::Instant::now();
    assert!(process.until_exit().await.success());
    assert!(asked.elapsed() < std::time::Duration::from_secs(5), "it took {:?}", asked.elapsed());
}
