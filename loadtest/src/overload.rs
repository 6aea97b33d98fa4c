//! `overload`: what the service does when more is asked of it than its store, or its core, can do, and when the store is gone.
//!
//! It must go on doing what it can, answer what it accepts in time, refuse the rest at once and in a way that clients understand,
//! and need no more memory. Each of that is a [`goal`], and the command fails where one is missed.

pub(crate) mod args;
mod away;
mod cpu;
mod goal;
mod guesses;
mod memory;
mod rig;
mod store;

use std::path::Path;

use serde::Serialize;

use crate::failure::{Context, Failure};
use crate::report::{About, Summary, document};
use crate::scale::gauge;
use crate::turns::{process, subject};
use args::{OverloadArgs, Part};
use goal::Goal;
use rig::Rig;

/// All that was found.
#[derive(Debug, Serialize)]
struct Findings {
    about: About,
    goals: Vec<Goal>,
    /// Sentences that help to judge.
    notes: Vec<String>,
    windows: Vec<Window>,
}

#[derive(Debug, Serialize)]
struct Window {
    /// What is overloaded, and by what.
    load: String,
    /// How far this window goes.
    stage: &'static str,
    summary: Summary,
}

/// Prints the table; fails where a goal is missed.
pub(crate) fn run(args: &OverloadArgs) -> Result<bool, Failure> {
    let mut about = About::now(args.stage.commit.clone(), settings(args));
    about.subjects.push(("jeton".to_owned(), subject::version(&args.stage.jeton)));
    gauge::raise_open_files()?;
    process::pin_self(args.stage.load_core)?;
    let folder = tempfile::tempdir()?;
    let rig = Rig::new(args, folder.path())?;
    let mut findings = Findings { about, goals: Vec::new(), notes: Vec::new(), windows: Vec::new() };
    for part in args.parts() {
        match part {
            Part::Store => store::measure(&rig, &mut findings)?,
            Part::Away => away::measure(&rig, &mut findings)?,
            Part::Guesses => guesses::measure(&rig, &mut findings)?,
            Part::Cpu => cpu::measure(&rig, &mut findings)?,
        }
    }
    findings.write(args.stage.json.as_deref())?;
    match findings.goals.iter().filter(|goal| !goal.met).count() {
        0 => Ok(true),
        missed => Err(Failure::new(format!("{missed} of {} goals missed", findings.goals.len()))),
    }
}

impl Findings {
    fn take<const N: usize>(&mut self, load: &str, stages: [(&'static str, Summary); N]) {
        let window = |(stage, summary)| Window { load: load.to_owned(), stage, summary };
        self.windows.extend(stages.map(window));
    }

    fn write(&self, file: Option<&Path>) -> Result<(), Failure> {
        let json = serde_json::to_string(self).context(|| "writing JSON".to_owned())?;
        println!("{}", self.table());
        if let Some(file) = file {
            document::write(file, &json)?;
            eprintln!("wrote {}", file.display());
        }
        Ok(())
    }

    fn table(&self) -> String {
        let head = format!("{:<38} {:<44} {:>14} {:>9} {:>4}\n", "", "", "goal", "reached", "met");
        let table = self.goals.iter().map(Goal::line).fold(head, |table, line| table + &line);
        self.notes.iter().fold(table, |table, note| table + note + "\n")
    }
}

fn settings(args: &OverloadArgs) -> Vec<(String, String)> {
    let settings = [
        ("bytes a second to the slow store", args.store_bytes_per_second.to_string()),
        ("connections of open loops", args.connections.to_string()),
        ("connections allowed", args.connections_max.to_string()),
        ("window of an overloaded store", format!("{} s", args.seconds)),
        ("turns", args.turns.to_string()),
        ("server on core", args.stage.server_core.to_string()),
        ("load, proxy and Redis on core", args.stage.load_core.to_string()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
