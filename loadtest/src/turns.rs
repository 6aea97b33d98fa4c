//! `turns`: several services are driven by turns (A B C, A B C, …), and each is compared with the baseline of its own turn.
//!
//! A machine's speed drifts by half in minutes; a ratio within one turn does not. So the figures are medians of such ratios, and
//! of CPU time a request rather than of rates, since load and Redis share a core.

pub(crate) mod configuration;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod subject;

use std::sync::Arc;
use std::time::Duration;

use crate::args::TurnsArgs;
use crate::drive::{self, Plan};
use crate::failure::{Context, Failure};
use crate::operation::{Operation, Shares};
use crate::report::{About, Document, Summary, Window, beside, table};
use crate::request::Endpoint;
use subject::Subject;

/// Prints the table; `false` when some answer was not as it should be.
pub(crate) fn run(args: &TurnsArgs) -> Result<bool, Failure> {
    let mut about = About::now(args.output.commit.clone(), settings(args));
    process::pin_self(args.load_core)?;
    let folder = tempfile::tempdir()?;
    let mut subjects = subject::start_all(args, folder.path())?;
    about.subjects = subjects.iter().map(|one| (one.name.to_owned(), one.described.clone())).collect();
    let mut windows = Vec::new();
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
                windows.push(Window { turn, subject: subject.name.to_owned(), summary });
            }
        }
    }
    let document = Document { about, windows };
    args.output.write(&document, &(table::render(&document) + &beside::render(&document)))?;
    let unclean: Vec<_> = document.windows.iter().filter(|one| !one.summary.is_clean()).collect();
    for one in &unclean {
        eprintln!("not every answer of {} was as it should be in turn {}:\n{}", one.subject, one.turn + 1, one.summary);
    }
    Ok(unclean.is_empty())
}

fn measure(args: &TurnsArgs, subject: &Subject, workload: Shares) -> Result<Summary, Failure> {
    let plan = Plan {
        endpoints: Operation::ALL.map(|operation| Endpoint::new(&subject.target, operation, &subject.token_form)),
        tokens: args.tokens,
        connections: args.connections,
        warmup: Duration::from_secs_f64(args.warmup_seconds),
        duration: Duration::from_secs_f64(args.seconds),
        ..Plan::new(&subject.target, Arc::clone(&subject.clients), subject.introspectors.clone(), workload)
    };
    let outcome = drive::run(plan.clone(), &subject.watched()).context(|| format!("driving {}", subject.name))?;
    Summary::of(&plan, outcome)
}

fn settings(args: &TurnsArgs) -> Vec<(String, String)> {
    let settings = [
        ("turns", args.turns.to_string()),
        ("window", format!("{} s", args.seconds)),
        ("warm-up", format!("{} s", args.warmup_seconds)),
        ("connections", format!("{}, kept", args.connections)),
        ("tokens", args.tokens.to_string()),
        ("authentication", args.auth.name().to_owned()),
        ("server on core", args.server_core.to_string()),
        ("load and Redis on core", args.load_core.to_string()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
