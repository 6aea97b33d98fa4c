//! Instructions a request, counted by valgrind's callgrind: the same binary and input give the same count on a busy machine too, so
//! a change of a percent is seen.
//!
//! Only the rounds are counted, without start and end. `bare` is hyper with the least service there can be on the same pipes; what a
//! request costs beyond it is jeton's. Valgrind shows a processor without SHA instructions, so a hash counts for more here than it
//! costs.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench stops where it fails, and prints what it found")]

#[path = "service/house.rs"]
mod house;

use std::convert::Infallible;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures_util::future::join_all;
use house::{InProcess, Pipes, deadline, grant};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jeton::actors::ActorError;
use jeton::actors::minter::Minted;
use jeton::oauth::time::Lifetime;
use tokio::io::DuplexStream;
use tokio::runtime::LocalRuntime;

/// Requests under way at once.
const CONNECTIONS: usize = 64;
/// Enough for what happens once in many requests, as a page that is full.
const ROUNDS: usize = 100;

const WORKLOADS: [&str; 4] = ["bare", "token", "introspect", "forged"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.as_slice() {
        [workload, rounds] => run(workload, rounds.parse().unwrap()),
        _ => count_all(),
    }
}

fn count_all() {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("no valgrind: instructions are not counted");
        return;
    }
    println!("{:<12} {:>20} {:>12}", "workload", "instructions/request", "over bare's");
    let mut bare = None;
    for workload in WORKLOADS {
        let each = instructions(workload) / (ROUNDS * CONNECTIONS) as u64;
        let bare = *bare.get_or_insert(each);
        println!("{workload:<12} {each:>20} {:>12}", each - bare);
    }
}

/// What callgrind counted of this program's [`rounds`], started again for one workload.
fn instructions(workload: &str) -> u64 {
    let counted = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*count*rounds*"])
        .arg(std::env::current_exe().unwrap())
        .args([workload, &ROUNDS.to_string()])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&counted.stderr);
    assert!(counted.status.success(), "{log}");
    let line = log.lines().find_map(|line| line.split_once("Collected :")).unwrap();
    line.1.trim().parse().unwrap()
}

fn run(workload: &str, times: usize) {
    let runtime = jeton::worker::runtime().unwrap();
    let mut house = runtime.block_on(InProcess::open(if workload == "bare" { 0 } else { CONNECTIONS }));
    let token = house::token_request();
    match workload {
        "bare" => {
            let mut pipes = runtime.block_on(async { Pipes::open(CONNECTIONS, bare) });
            rounds(&runtime, &mut pipes, times, &[token], "");
        }
        "token" => rounds(&runtime, &mut house.pipes, times, &[token], "\"access_token\""),
        "introspect" => {
            let mint = |_| house.house.services.minter.mint(deadline(), grant(), Lifetime::from_seconds(3600), None);
            let minted = runtime.block_on(join_all((0..CONNECTIONS).map(mint)));
            let request = |one: Result<Minted, ActorError>| house::introspection_request(one.unwrap().token.expose());
            let requests: Vec<_> = minted.into_iter().map(request).collect();
            rounds(&runtime, &mut house.pipes, times, &requests, "\"active\":true");
        }
        "forged" => {
            let request = house::introspection_request(&format!("jt_{}", "A".repeat(56)));
            rounds(&runtime, &mut house.pipes, times, &[request], "\"active\":false");
        }
        other => panic!("no workload {other}"),
    }
}

/// What is counted.
#[inline(never)]
fn rounds(runtime: &LocalRuntime, pipes: &mut Pipes, times: usize, requests: &[String], member: &str) {
    runtime.block_on(async {
        for _ in 0..times {
            pipes.exchange(|index| requests[index % requests.len()].as_bytes(), member).await;
        }
    });
}

/// Reads a body and answers 300 bytes.
async fn bare(stream: DuplexStream) {
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        std::hint::black_box(frame);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(&[b'.'; 300])));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
