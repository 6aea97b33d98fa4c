//! `scale`: what a request costs as clients, tokens, connections, scopes, workers and the way to Redis grow, and figures of size.
//!
//! Each part starts one jeton for each value, drives them by turns, and compares each with the first in the same turn, since a
//! machine drifts. What has a goal is judged; a goal that is missed is told, not an error.

pub(crate) mod args;
mod clients;
pub(crate) mod gauge;
mod goals;
mod parts;
mod rig;
mod start;
mod table;
mod windows;

use crate::failure::{Context, Failure};
use crate::report::About;
use crate::report::document;
use crate::turns::{process, subject};
use args::{Part, ScaleArgs};
use goals::{Figure, Goal};
use rig::Rig;
use table::Findings;

/// Prints the tables; `false` when more answers than a stall explains were not as they should be.
pub(crate) fn run(args: &ScaleArgs) -> Result<bool, Failure> {
    let mut about = About::now(args.stage.commit.clone(), settings(args));
    about.subjects.push(("jeton".to_owned(), subject::version(&args.stage.jeton)));
    let open_files = gauge::raise_open_files()?;
    let folder = tempfile::tempdir()?;
    let mut rig = Rig::new(args, folder.path(), open_files)?;
    let mut findings = Findings { about, rows: Vec::new(), goals: Vec::new() };
    // First, and by itself: the service may run on any core, while the rest of this process keeps to one.
    if args.measures(Part::Start) {
        start::measure(&mut rig, &mut findings)?;
    }
    process::pin_self(args.stage.load_core)?;
    for part in Part::ALL.into_iter().filter(|part| args.measures(*part)) {
        parts::measure(part, &mut rig, &mut findings).context(|| format!("measuring {}", part.name()))?;
    }
    let size = std::fs::metadata(&args.stage.jeton)?.len();
    findings.goals.push(Goal::new(Figure::BinaryMegabytes, Some(size as f64 / 1e6)));
    findings.goals.sort_by_key(|goal| goal.figure);
    let text = findings.markdown();
    println!("{text}");
    if let Some(file) = &args.stage.json {
        document::write(file, &findings.json()?)?;
        eprintln!("wrote {}", file.display());
    }
    Ok(findings.rows.iter().all(|row| row.is_clean()))
}

fn settings(args: &ScaleArgs) -> Vec<(String, String)> {
    let settings = [
        ("turns", args.turns.to_string()),
        ("window", format!("{} s", args.seconds)),
        ("warm-up", format!("{} s", args.warmup_seconds)),
        ("server on core", args.stage.server_core.to_string()),
        ("load and Redis on core", args.stage.load_core.to_string()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
