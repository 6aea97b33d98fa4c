//! `profile`: where a server's time goes for one request, by part, as Linux' `perf` samples it while each service is driven.
//!
//! A sample tells where the program was, not how often it came there: parts are shares of time, scaled to the CPU time a request that
//! was read in the same window. What perf costs is in them all.

mod part;
mod sampling;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::args::TurnsArgs;
use crate::drive::{self, Harvest, Plan};
use crate::failure::{Context, Failure};
use crate::operation::{Operation, Shares};
use crate::report::Summary;
use crate::request::Endpoint;
use crate::stock::Held;
use crate::turns::process;
use crate::turns::subject::{self, Subject};
use part::{Part, Shared};
use sampling::Sampling;

/// One service under one workload.
struct Column {
    name: String,
    server_us: f64,
    shares: Shared,
}

/// Prints the table; `false` when some answer was not as it should be.
pub(crate) fn run(args: &TurnsArgs) -> Result<bool, Failure> {
    sampling::check()?;
    process::pin_self(args.load_core)?;
    let folder = tempfile::tempdir()?;
    let mut subjects = subject::start_all(args, folder.path())?;
    let (mut columns, mut clean) = (Vec::new(), true);
    for workload in &args.workloads {
        for subject in &mut subjects {
            subject.check()?;
            let (column, right) = measure(args, subject, *workload, folder.path())?;
            eprintln!("{:<24} {:.2} us a request, {} samples", column.name, column.server_us, column.shares.samples());
            columns.push(column);
            clean &= right;
        }
    }
    println!("{}", table(&columns));
    Ok(clean)
}

fn measure(args: &TurnsArgs, subject: &Subject, workload: Shares, folder: &Path) -> Result<(Column, bool), Failure> {
    let name = format!("{} {workload}", subject.name);
    // Issued before, so that no sample is of their issue.
    let given = if workload.need_tokens() { issued(args, subject)? } else { Arc::default() };
    let plan = Plan { given, ..plan(args, subject, workload) };
    let sampling = Sampling::start(subject.pid(), folder.join("perf.data"))?;
    let outcome = drive::run(plan.clone(), &subject.watched()).context(|| format!("driving {name}"))?;
    let shares = sampling.end()?;
    let summary = Summary::of(&plan, outcome)?;
    let server_us = summary.cpu_us_per_request.server.unwrap_or(f64::NAN);
    Ok((Column { name, server_us, shares }, summary.is_clean()))
}

fn issued(args: &TurnsArgs, subject: &Subject) -> Result<Arc<[Held]>, Failure> {
    let tokens = args.tokens as u64;
    let harvest = Arc::new(Harvest::of(tokens, tokens));
    let plan = Plan {
        harvest: Some(Arc::clone(&harvest)),
        requests_max: Some(tokens),
        ..plan(args, subject, Shares::only(Operation::Issue))
    };
    drive::run(plan, &subject.watched()).context(|| format!("issuing tokens on {}", subject.name))?;
    Ok(harvest.take().into())
}

fn plan(args: &TurnsArgs, subject: &Subject, workload: Shares) -> Plan {
    Plan {
        endpoints: Operation::ALL.map(|operation| Endpoint::new(&subject.target, operation, &subject.token_form)),
        connections: args.connections,
        warmup: Duration::from_secs_f64(args.warmup_seconds),
        duration: Duration::from_secs_f64(args.seconds * args.turns as f64),
        ..Plan::new(&subject.target, Arc::clone(&subject.clients), subject.introspectors.clone(), workload)
    }
}

/// Markdown: a row for each part, microseconds a request in each column.
fn table(columns: &[Column]) -> String {
    let line = |first: &str, cell: &dyn Fn(&Column) -> String| {
        let cells: Vec<_> = columns.iter().map(cell).collect();
        format!("| {first} | {} |\n", cells.join(" | "))
    };
    let head = line("CPU, us a request", &|column| column.name.clone()) + &"|---".repeat(columns.len() + 1) + "|\n";
    let rows = Part::ALL
        .iter()
        .map(|part| line(part.name(), &|column| format!("{:.2}", column.server_us * column.shares.of_part(*part))));
    head + &rows.collect::<String>() + &line("in all", &|column| format!("{:.2}", column.server_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_column_are_its_whole() {
        let stacks = "10\n\tff __x64_sys_sendto ([kernel.kallsyms])\n\n30\n\tff jeton::oauth::form::parse (/a/jeton)\n";
        let column =
            Column { name: "jeton issue".into(), server_us: 8.0, shares: Shared::of(stacks.as_bytes()).unwrap() };
        let table = table(&[column]);
        for row in
            ["| kernel: send | 2.00 |", "| jeton: the protocol | 6.00 |", "| hyper | 0.00 |", "| in all | 8.00 |"]
        {
            assert!(table.contains(row), "{table}");
        }
        assert_eq!(table.lines().count(), Part::ALL.len() + 3);
    }
}
