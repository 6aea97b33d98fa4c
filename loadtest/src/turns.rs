//! `turns`: several services are driven by turns (A B C, A B C, …), and each is compared with the baseline of its own turn.
//!
//! A machine's speed drifts by half in minutes; a ratio within one turn does not. So the figures are medians of such ratios, and
//! of CPU time a request rather than of rates, since load and Redis share a core.

mod configuration;
mod process;
mod subject;
mod table;

use std::fs;
use std::time::Duration;

use crate::args::TurnsArgs;
use crate::drive::{self, Plan, Watched};
use crate::failure::{Context, Failure};
use crate::operation::{Operation, Shares};
use crate::report::Summary;
use crate::request::Endpoint;
use crate::run::json;
use crate::stock::InactiveShares;
use subject::Subject;
use table::Measured;

/// Prints the table; `false` when some answer was not as it should be.
pub(crate) fn run(args: &TurnsArgs) -> Result<bool, Failure> {
    process::pin_self(args.load_core)?;
    let folder = tempfile::tempdir()?;
    let mut subjects = subject::start_all(args, folder.path())?;
    let mut measured = Vec::new();
    for turn in 0..args.turns {
        for workload in &args.workloads {
            for subject in &mut subjects {
                subject.check()?;
                let summary = measure(args, subject, *workload)?;
                eprintln!(
                    "turn {}/{}  {workload:<10}  {:<9} {:>8.0}/s  server {:.2} us",
                    turn + 1,
                    args.turns,
                    subject.name,
                    summary.requests_per_second,
                    summary.cpu_us_per_request.server.unwrap_or(f64::NAN)
                );
                measured.push(Measured { turn, subject: subject.name, summary });
            }
        }
    }
    println!("{}", table::render(&measured));
    if let Some(file) = &args.json {
        fs::write(file, json(&measured)?).context(|| format!("writing {}", file.display()))?;
    }
    let unclean: Vec<_> = measured.iter().filter(|one| !one.summary.is_clean()).collect();
    for one in &unclean {
        eprintln!("not every answer of {} was as it should be in turn {}:\n{}", one.subject, one.turn + 1, one.summary);
    }
    Ok(unclean.is_empty())
}

fn measure(args: &TurnsArgs, subject: &Subject, workload: Shares) -> Result<Summary, Failure> {
    let plan = Plan {
        target: subject.target.clone(),
        endpoints: Operation::ALL.map(|operation| Endpoint::new(&subject.target, operation, "")),
        clients: subject.clients.clone(),
        introspectors: subject.introspectors.clone(),
        shares: workload,
        inactive: InactiveShares::default(),
        tokens: args.tokens,
        connections: args.connections,
        threads: 1,
        http2_streams: None,
        warmup: Duration::from_secs_f64(args.warmup_seconds),
        duration: Duration::from_secs_f64(args.seconds),
        requests_max: None,
        rate: None,
    };
    let watched = Watched { server: Some(subject.server_cpu.clone()), redis: subject.redis_cpu.clone() };
    let outcome = drive::run(plan.clone(), &watched).context(|| format!("driving {}", subject.name))?;
    Ok(Summary::of(&plan, &outcome))
}
