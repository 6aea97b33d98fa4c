//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::client::AuthMethod;
use crate::operation::Shares;
use crate::overload::args::OverloadArgs;
use crate::scale::args::ScaleArgs;
use crate::turns::peer::Peer;

#[derive(Debug, Parser)]
#[command(name = "jeton-loadtest", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Drive a running service and say what its answers took
    Run(Box<RunArgs>),
    /// Serve fixed answers with bare hyper, to measure a service against
    Baseline(BaselineArgs),
    /// Start jeton on each store and the baseline, drive them in turns, and print what each costs over the baseline
    Turns(TurnsArgs),
    /// Start the same, drive each once, and print where its time goes, as Linux' perf samples it
    Profile(TurnsArgs),
    /// Say how cost grows with clients, tokens, connections and more, and how large things are
    Scale(ScaleArgs),
    /// Ask more of jeton than its store or its core can do, and judge what it makes of that
    Overload(OverloadArgs),
    /// Compare the JSON of two runs, or of two sets of turns: ratios of B over A
    Compare(CompareArgs),
    /// Write the HTML report of the JSON of a run or of turns
    Render(RenderArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Where the service listens
    #[arg(long, value_name = "http://HOST:PORT")]
    pub(crate) url: String,
    /// For https: PEM file of who signed the service's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// For https: a whole handshake at each connection, though one was made before
    #[arg(long, requires = "ca_file")]
    pub(crate) full_handshakes: bool,
    /// issue, introspect, revoke, mixed, or mixed=issue:10,introspect:85,revoke:5
    #[arg(long, default_value = "issue")]
    pub(crate) workload: Shares,
    /// How clients present their secret
    #[arg(long, value_enum, default_value = "basic")]
    pub(crate) auth: AuthMethod,
    /// A client that gets tokens, and the file with its secret; may be given several times
    #[arg(long, value_name = "ID:SECRET_FILE", required_unless_present = "clients_file")]
    pub(crate) client: Vec<String>,
    /// More clients that get tokens: a line each, `CLIENT_ID CLIENT_SECRET`
    #[arg(long, value_name = "FILE")]
    pub(crate) clients_file: Option<PathBuf>,
    /// A resource server that introspects; left out: the clients do
    #[arg(long, value_name = "ID:SECRET_FILE")]
    pub(crate) introspect_client: Vec<String>,
    /// What token requests ask for beside the grant type, form-encoded, as scope=read
    #[arg(long, value_name = "FORM")]
    pub(crate) token_form: Option<String>,
    /// Connections kept open, over all threads
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// Load threads, each with its own single-threaded runtime
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Load before anything is counted, as 500ms or 2s
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) warmup: Duration,
    /// The measured window
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
    /// The window also ends after so many requests
    #[arg(long, value_name = "N")]
    pub(crate) requests_max: Option<u64>,
    /// Open loop: requests a second, whatever the service does; latency counts from the intended start
    #[arg(long, value_name = "PER_SECOND", value_parser = above_zero)]
    pub(crate) rate: Option<f64>,
    /// Live tokens to hold before the run, where the workload names tokens
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) tokens: usize,
    /// Share of introspections, 0 to 1, that name a token never issued
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) forged: f64,
    /// Share of introspections, 0 to 1, that name a revoked token
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) revoked: f64,
    /// Share of introspections, 0 to 1, that name an expired token: the run waits for it to expire before it begins
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) expired: f64,
    /// A client whose tokens live shortly, for those that shall expire; left out: the first client
    #[arg(long, value_name = "ID:SECRET_FILE", requires = "expired")]
    pub(crate) expired_client: Option<String>,
    /// How long tokens may live that are waited for
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) expiry_wait: Duration,
    /// HTTP/2 instead of HTTP/1.1; without TLS by prior knowledge
    #[arg(long)]
    pub(crate) http2: bool,
    /// Requests under way at once on each HTTP/2 connection
    #[arg(long, default_value_t = 1, requires = "http2", value_parser = at_least_one)]
    pub(crate) streams: usize,
    /// A new connection for each request, so many at once
    #[arg(long, conflicts_with = "streams")]
    pub(crate) new_connections: bool,
    /// Say each second on standard error how it goes; done anyway where that is a terminal
    #[arg(long)]
    pub(crate) progress: bool,
    /// Process of the service, for its CPU time a request
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Process of its Redis, likewise
    #[arg(long, value_name = "PID")]
    pub(crate) redis_pid: Option<u32>,
    /// Metrics of the service, for the sizes of its batches to its store
    #[arg(long, value_name = "http://HOST:PORT/metrics")]
    pub(crate) metrics_url: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Path of the token endpoint
    #[arg(long, default_value = "/oauth2/token")]
    pub(crate) token_path: String,
    /// Path of the introspection endpoint
    #[arg(long, default_value = "/oauth2/introspect")]
    pub(crate) introspect_path: String,
    /// Path of the revocation endpoint
    #[arg(long, default_value = "/oauth2/revoke")]
    pub(crate) revoke_path: String,
}

#[derive(Args, Debug)]
pub(crate) struct BaselineArgs {
    /// Address to listen on; the one taken is printed as a line on standard output
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Single-threaded runtimes
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(crate) workers: usize,
    /// HTTP/2 by prior knowledge instead of HTTP/1.1
    #[arg(long)]
    pub(crate) http2: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TurnsArgs {
    /// The jeton to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/jeton")]
    pub(crate) jeton: PathBuf,
    /// Another service to drive beside jeton, on a Redis of its own; may be given several times (see loadtest/peers)
    #[arg(long, value_name = "NAME=FOLDER")]
    pub(crate) peer: Vec<Peer>,
    /// Turns; medians are taken over them
    #[arg(long, default_value_t = 7, value_parser = at_least_one)]
    pub(crate) turns: usize,
    /// Seconds of each measured window
    #[arg(long, default_value_t = 3.0, value_parser = above_zero)]
    pub(crate) seconds: f64,
    /// Seconds of load before each window
    #[arg(long, default_value_t = 0.5, value_parser = above_zero)]
    pub(crate) warmup_seconds: f64,
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// Live tokens that introspections choose from
    #[arg(long, default_value_t = 20_000, value_parser = at_least_one)]
    pub(crate) tokens: usize,
    /// Workloads, each measured in every turn
    #[arg(long, value_delimiter = ' ', num_args = 1.., default_values = ["issue", "introspect"])]
    pub(crate) workloads: Vec<Shares>,
    #[arg(long, value_enum, default_value = "basic")]
    pub(crate) auth: AuthMethod,
    /// Core of the server, whichever it is
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// Core of load and Redis
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// JSON of `run` or `turns`
    pub(crate) a: PathBuf,
    /// JSON of another
    pub(crate) b: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct RenderArgs {
    /// JSON of `run` or `turns`
    pub(crate) json: PathBuf,
    /// The page to write
    pub(crate) html: PathBuf,
}

/// Where findings go beside the terminal, and what they say of their origin.
#[derive(Args, Debug)]
pub(crate) struct OutputArgs {
    /// Write everything as JSON to this file (`-`: to standard output, in place of the text)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a report to this file: one HTML page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What was measured: a commit, to be shown in the report
    #[arg(long, value_name = "COMMIT")]
    pub(crate) commit: Option<String>,
}

/// What a measurement of jeton stands on, and where it puts what it finds.
#[derive(Args, Debug)]
pub(crate) struct StageArgs {
    /// The jeton to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/jeton")]
    pub(crate) jeton: PathBuf,
    /// Core of the server, where it has one worker
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// Core of load, Redis and what stands between
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
    /// Write everything as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// What was measured: a commit, to be told with it
    #[arg(long, value_name = "COMMIT")]
    pub(crate) commit: Option<String>,
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

pub(crate) fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("must be from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(line: &str) -> Result<RunArgs, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Run(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_needs_a_url_and_a_client() {
        let args =
            run("x run --url http://a --client a:f --client b:g --warmup 250ms --rate 1e4 --workload revoke").unwrap();
        assert_eq!(args.client, ["a:f", "b:g"]);
        assert_eq!(args.warmup, Duration::from_millis(250));
        assert_eq!(args.rate, Some(10_000.0));
        assert_eq!(args.workload.to_string(), "revoke");
        assert!(run("x run --client a:f").is_err());
        assert!(run("x run --url http://a").is_err());
        assert!(run("x run --url http://a --clients-file f").is_ok());
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for option in
            ["--connections 0", "--threads 0", "--rate 0", "--rate NaN", "--forged 1.5", "--expired -1", "--streams 2"]
        {
            assert!(run(&format!("x run --url http://a --client a:f {option}")).is_err(), "{option}");
        }
    }

    #[test]
    fn turns_take_several_workloads() {
        let cli = Cli::try_parse_from(["x", "turns", "--workloads", "issue mixed=issue:1,revoke:1"]).unwrap();
        let Command::Turns(args) = cli.command else { panic!("not turns") };
        assert_eq!(args.workloads.len(), 2);
    }
}
