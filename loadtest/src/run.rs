//! `run`: from the command line to a plan, from the plan to a summary.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use crate::args::RunArgs;
use crate::client::Credential;
use crate::cpu::CpuMeter;
use crate::drive::{self, Expiring, Plan, Watched};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::report::document::SERVICE;
use crate::report::{About, Document, Summary, Window};
use crate::request::Endpoint;
use crate::scrape::Metrics;
use crate::stock::InactiveShares;
use crate::target::{Paths, Target};

/// Drives, prints, and says whether there was a right answer at all.
pub(crate) fn run(args: &RunArgs) -> Result<bool, Failure> {
    let plan = plan(args)?;
    let watched = Watched {
        server: args.server_pid.map(CpuMeter::new).transpose()?,
        redis: args.redis_pid.map(CpuMeter::new).transpose()?,
        metrics: args.metrics_url.as_deref().map(Metrics::new).transpose()?,
    };
    let mut about = About::now(args.output.commit.clone(), settings(args));
    about.subjects.push((SERVICE.to_owned(), format!("at {}", args.url)));
    let outcome = drive::run(plan.clone(), &watched)?;
    let summary = Summary::of(&plan, outcome)?;
    let text = summary.to_string();
    let right = summary.right > 0;
    let document = Document { about, windows: vec![Window { turn: 0, subject: SERVICE.to_owned(), summary }] };
    args.output.write(&document, &text)?;
    Ok(right)
}

/// What the report shows beside the summary's own.
fn settings(args: &RunArgs) -> Vec<(String, String)> {
    let seconds = |duration: Duration| format!("{} s", duration.as_secs_f64());
    let settings = [
        ("workload", args.workload.to_string()),
        ("window", seconds(args.duration)),
        ("warm-up", seconds(args.warmup)),
        ("connections", args.connections.to_string()),
        ("threads", args.threads.to_string()),
        ("tokens", args.tokens.to_string()),
        ("authentication", args.auth.name().to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn plan(args: &RunArgs) -> Result<Plan, Failure> {
    let paths = Paths([&args.token_path, &args.introspect_path, &args.revoke_path].map(Clone::clone));
    let trust = args.ca_file.as_deref().map(|file| (file, !args.full_handshakes));
    let target = Arc::new(Target::trusting(&args.url, paths, trust)?);
    let mut clients = named_clients(args, &args.client)?;
    if let Some(file) = &args.clients_file {
        clients.extend(Credential::from_clients_file(args.auth, file)?);
    }
    if clients.is_empty() {
        return Err(Failure::new("the clients file names no client"));
    }
    let expiring = expiring(args, &clients)?;
    let mut introspectors = named_clients(args, &args.introspect_client)?;
    if introspectors.is_empty() {
        introspectors.clone_from(&clients);
    }
    let form = args.token_form.as_ref().map_or(String::new(), |form| format!("&{form}"));
    let endpoint = |operation| Endpoint::new(&target, operation, &form);
    let endpoint = |operation| if args.new_connections { endpoint(operation).closing() } else { endpoint(operation) };
    let endpoints = Operation::ALL.map(endpoint);
    Ok(Plan {
        endpoints,
        inactive: InactiveShares { forged: args.forged, revoked: args.revoked, expired: args.expired },
        expiring,
        tokens: args.tokens,
        connections: args.connections,
        threads: args.threads.min(args.connections),
        http2_streams: args.http2.then_some(args.streams),
        new_connections: args.new_connections,
        // Revocations use up what they name: a warm-up would leave nothing, and the preparation has warmed all connections.
        warmup: if args.workload.is_only(Operation::Revoke) { Duration::ZERO } else { args.warmup },
        duration: args.duration,
        requests_max: args.requests_max,
        rate: args.rate,
        progress: args.progress || std::io::stderr().is_terminal(),
        ..Plan::new(&target, clients, introspectors, args.workload)
    })
}

fn expiring(args: &RunArgs, clients: &[Credential]) -> Result<Option<Expiring>, Failure> {
    let named =
        args.expired_client.as_ref().map(|argument| Credential::from_argument(args.auth, argument)).transpose()?;
    let client = named.or_else(|| clients.first().cloned()).filter(|_| args.expired > 0.0);
    if args.forged + args.revoked + args.expired > 1.0 {
        return Err(Failure::new("--forged, --revoked and --expired are more than 1 together"));
    }
    Ok(client.map(|client| Expiring { client, wait_max: args.expiry_wait }))
}

fn named_clients(args: &RunArgs, named: &[String]) -> Result<Vec<Credential>, Failure> {
    named.iter().map(|argument| Credential::from_argument(args.auth, argument)).collect()
}
