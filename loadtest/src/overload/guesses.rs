//! Threads that verify slow hashes, kept busy by many who guess from ever other addresses: whoever has a generated secret must not feel it.
//!
//! The hash is the slowest that jeton takes, each guess is another, and a pair of client and address never comes to its limit.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Findings;
use super::goal;
use super::rig::{Load, Rig};
use crate::failure::{Context, Failure};
use crate::http1::response::{self, Parsed};
use crate::operation::Operation;

/// bcrypt at cost 13, of something that nobody guesses.
const HASH: &str = "$2b$13$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";
/// Enough that a secret always waits while another is verified; each asks again so long after its last answer. More would only be more HTTP, and in
/// the way of the load on its core.
const GUESSERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Arrivals of the others: what leaves a core time to breathe.
const RATE: f64 = 5000.0;
const CONNECTIONS: usize = 64;
const LOAD: &str = "slow hashes guessed at, issue";

pub(super) fn measure(rig: &Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let mut service = rig.start_behind_proxy("jeton-guesses", &clients())?;
    let load = Load {
        operation: Operation::Issue,
        rate: Some(RATE),
        connections: CONNECTIONS,
        warmup: rig.seconds(0.1),
        window: rig.seconds(0.5),
    };
    let mut turns = Vec::new();
    for _ in 0..rig.args.turns {
        let (quiet, _) = service.drive(load)?;
        let address = service.address();
        let (attacked, answers) = during(address, || service.drive(load))?;
        let (attacked, _) = attacked;
        turns.push(goal::of_guesses(LOAD, &quiet, &attacked, answers));
        findings.take(LOAD, [("without guesses", quiet), ("guessed at", attacked)]);
    }
    findings.goals.extend(goal::over_turns(&turns));
    Ok(())
}

fn clients() -> String {
    let client = |number| format!("\n[[client]]\nclient_id = \"slow-{number}\"\nclient_secret_hash = \"{HASH}\"\n");
    (0..GUESSERS).map(client).collect()
}

/// What became of guesses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guesses {
    /// Refused, as wrong or as too many at once.
    pub(super) refused: u64,
    /// Answered by anything else, or not at all.
    pub(super) other: u64,
}

/// Guesses for as long as `run` runs.
fn during<T>(address: SocketAddr, run: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Guesses), Failure> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let guessers: Vec<_> = (0..GUESSERS)
            .map(|number| {
                scope.spawn({
                    let over = &over;
                    move || guess(address, number, over)
                })
            })
            .collect();
        let done = run();
        over.store(true, Ordering::Relaxed);
        let mut all = Guesses::default();
        for guesser in guessers {
            let one = guesser.join().unwrap_or_default();
            all.refused += one.refused;
            all.other += one.other;
        }
        done.map(|done| (done, all))
    })
}

fn guess(address: SocketAddr, number: usize, over: &AtomicBool) -> Guesses {
    let mut guesses = Guesses::default();
    let mut stream = None;
    while !over.load(Ordering::Relaxed) {
        match ask(address, &mut stream, number) {
            Ok(401 | 503) => guesses.refused += 1,
            Ok(_) => guesses.other += 1,
            Err(_) => {
                guesses.other += 1;
                stream = None;
            }
        }
        thread::sleep(PAUSE);
    }
    guesses
}

/// The status of one guess.
fn ask(address: SocketAddr, stream: &mut Option<TcpStream>, client: usize) -> Result<u16, Failure> {
    let connected = match stream.take() {
        Some(stream) => stream,
        None => TcpStream::connect_timeout(&address, TIMEOUT)?,
    };
    let stream = stream.insert(connected);
    stream.set_read_timeout(Some(TIMEOUT))?;
    let from: [u8; 2] = std::array::from_fn(|_| fastrand::u8(..));
    let body =
        format!("grant_type=client_credentials&client_id=slow-{client}&client_secret=guess{}", fastrand::u64(..));
    let request = format!(
        "POST /oauth2/token HTTP/1.1\r\nhost: {address}\r\nx-forwarded-for: 10.{}.{}.1\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        from[0],
        from[1],
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part)?;
        answer.extend_from_slice(&part[..read]);
        match response::parse(&answer) {
            Ok(Parsed::Whole(response)) => return Ok(response.status),
            Ok(Parsed::Incomplete) if read > 0 => {}
            _ => return Err(Failure::new("no answer")).context(|| "guessing".to_owned()),
        }
    }
}
