//! `run`: from the command line to a plan, from the plan to a summary.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::args::RunArgs;
use crate::client::Credential;
use crate::cpu::CpuMeter;
use crate::drive::{self, Plan, Watched};
use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::report::Summary;
use crate::request::Endpoint;
use crate::stock::InactiveShares;
use crate::target::{Paths, Target};

/// Drives, prints, and says whether there was a right answer at all.
pub(crate) fn run(args: &RunArgs) -> Result<bool, Failure> {
    let plan = plan(args)?;
    let watched = Watched {
        server: args.server_pid.map(CpuMeter::new).transpose()?,
        redis: args.redis_pid.map(CpuMeter::new).transpose()?,
    };
    let outcome = drive::run(plan.clone(), &watched)?;
    let summary = Summary::of(&plan, &outcome);
    match args.json.as_deref() {
        Some(file) if file == Path::new("-") => println!("{}", json(&summary)?),
        file => {
            println!("{summary}");
            if let Some(file) = file {
                fs::write(file, json(&summary)?).context(|| format!("writing {}", file.display()))?;
            }
        }
    }
    Ok(summary.right > 0)
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).context(|| "writing JSON".to_owned())
}

fn plan(args: &RunArgs) -> Result<Plan, Failure> {
    let paths = Paths([&args.token_path, &args.introspect_path, &args.revoke_path].map(Clone::clone));
    let target = Arc::new(Target::new(&args.url, paths)?);
    let mut clients = named_clients(args, &args.client)?;
    if let Some(file) = &args.clients_file {
        clients.extend(Credential::from_clients_file(args.auth, file)?);
    }
    if clients.is_empty() {
        return Err(Failure::new("the clients file names no client"));
    }
    let mut introspectors = named_clients(args, &args.introspect_client)?;
    if introspectors.is_empty() {
        introspectors.clone_from(&clients);
    }
    let form = args.token_form.as_ref().map_or(String::new(), |form| format!("&{form}"));
    let endpoints = Operation::ALL.map(|operation| Endpoint::new(&target, operation, &form));
    Ok(Plan {
        target,
        endpoints,
        clients,
        introspectors,
        shares: args.workload,
        inactive: InactiveShares { forged: args.forged, revoked: args.revoked },
        tokens: args.tokens,
        connections: args.connections,
        threads: args.threads.min(args.connections),
        http2_streams: args.http2.then_some(args.streams),
        // Revocations use up what they name: a warm-up would leave nothing, and the preparation has warmed all connections.
        warmup: if args.workload.is_only(Operation::Revoke) { Duration::ZERO } else { args.warmup },
        duration: args.duration,
        requests_max: args.requests_max,
        rate: args.rate,
    })
}

fn named_clients(args: &RunArgs, named: &[String]) -> Result<Vec<Credential>, Failure> {
    named.iter().map(|argument| Credential::from_argument(args.auth, argument)).collect()
}
