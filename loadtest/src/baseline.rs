//! The least that a service of this kind can cost: hyper reads a request's body and answers fixed bytes.
//!
//! Built and set as jeton is (one single-threaded runtime a worker that looks at its sockets as seldom, connections handed out evenly,
//! the same options of hyper), so that the difference between the two is what jeton does. The answer passes as one of each endpoint, so every workload can be driven against it.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc;

use crate::args::BaselineArgs;
use crate::failure::{Context, Failure};
use crate::http2::LocalExecutor;

/// 300 bytes: as long as an answer of the token endpoint or of introspection.
const ANSWER: &[u8; 300] = b"{\"access_token\":\"jt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\
\"token_type\":\"Bearer\",\"expires_in\":3600,\"scope\":\"read write\",\"active\":true,\"client_id\":\"demo-01\",\"sub\":\"demo-01\",\
\"aud\":\"demo-api\",\"iss\":\"http://127.0.0.1:4444\",\"exp\":1700003600,\"iat\":1700000000,\"jti\":\"AAAAAAAAAAAAAAAA\"}\n\n\n";

/// Connections on their way to a worker; beyond, the acceptor waits and the kernel's own queue fills.
const HANDED_MAX: usize = 1024;
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);
/// As many as jeton's workers poll tasks between two looks at their sockets.
const POLLS_BETWEEN_EVENTS: u32 = 256;

/// Serves until the process ends; prints the address it listens on as its first line.
pub(crate) fn serve(args: &BaselineArgs) -> Result<(), Failure> {
    let (listen, http2) = (args.listen, args.http2);
    let listener = StdListener::bind(listen).context(|| format!("listening on {listen}"))?;
    listener.set_nonblocking(true)?;
    let mut doors = Vec::new();
    for index in 1..args.workers {
        let (door, handed) = mpsc::channel(HANDED_MAX);
        doors.push(door);
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || work(handed, http2))?;
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    runtime()?.block_on(accept(listener, doors, http2))
}

fn runtime() -> std::io::Result<LocalRuntime> {
    let mut builder = Builder::new_current_thread();
    builder.event_interval(POLLS_BETWEEN_EVENTS).enable_all().build_local(LocalOptions::default())
}

/// Worker 0 also accepts: every connection goes to the next worker, its own ones are served where they are.
async fn accept(listener: StdListener, doors: Vec<mpsc::Sender<StdStream>>, http2: bool) -> Result<(), Failure> {
    let listener = TcpListener::from_std(listener)?;
    let mut turn = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            continue;
        };
        match turn {
            0 => drop(tokio::task::spawn_local(connection(stream, http2))),
            other => {
                let door = &doors[other - 1];
                door.send(stream.into_std()?).await.map_err(|_| Failure::new("a worker ended"))?;
            }
        }
        turn = (turn + 1) % (doors.len() + 1);
    }
}

fn work(mut handed: mpsc::Receiver<StdStream>, http2: bool) -> Result<(), Failure> {
    runtime()?.block_on(async {
        while let Some(stream) = handed.recv().await {
            drop(tokio::task::spawn_local(connection(TcpStream::from_std(stream)?, http2)));
        }
        Ok(())
    })
}

async fn connection(stream: TcpStream, http2: bool) {
    // A connection that breaks is the load generator's to count.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (io, service) = (TokioIo::new(stream), service_fn(answer));
    match http2 {
        true => drop(http2::Builder::new(LocalExecutor).serve_connection(io, service).await),
        false => drop(http1::Builder::new().half_close(true).writev(false).serve_connection(io, service).await),
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        std::hint::black_box(frame);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Answer, Expectation, Verdict};

    #[test]
    fn the_answer_passes_for_each_endpoint() {
        let answer = Answer { status: 200, body: ANSWER, retry_after: false };
        for expectation in [Expectation::Token, Expectation::Active(true), Expectation::Done] {
            assert_eq!(answer.verdict(expectation), Verdict::Right);
        }
        assert!(serde_json::from_slice::<serde_json::Value>(ANSWER).is_ok());
    }
}
