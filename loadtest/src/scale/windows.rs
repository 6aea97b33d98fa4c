//! Windows by turns over the values of what grows, and the rows they make.

use super::args::{Part, ScaleArgs};
use super::rig::Variant;
use super::table::{Cost, Row};
use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::report::Summary;
use crate::report::figures::Spread;

/// Share of answers that must be as they should be. A stall of a busy machine makes some 503s, which are told and do not spoil a cost.
const RIGHT_MIN: f64 = 0.99;

/// A row for each variant, with the costs of each operation.
pub(super) fn rows(
    part: Part,
    args: &ScaleArgs,
    variants: &mut [Variant],
    operations: &[Operation],
) -> Result<Vec<Row>, Failure> {
    let mut rows: Vec<Row> = Vec::new();
    let mut costs = Vec::new();
    for operation in operations {
        costs.push(measure(part, args, variants, *operation)?);
    }
    for (index, variant) in variants.iter().enumerate() {
        let costs = costs.iter().map(|costs| costs[index].clone()).collect();
        rows.push(Row {
            part: part.name().to_owned(),
            value: variant.value.clone(),
            costs,
            resident: variant.resident()?,
            started_in_seconds: variant.started_in.as_secs_f64(),
            bytes_a_token: variant.bytes_a_token,
            notes: variant.notes.clone(),
        });
    }
    Ok(rows)
}

/// By variant.
fn measure(part: Part, args: &ScaleArgs, variants: &mut [Variant], operation: Operation) -> Result<Vec<Cost>, Failure> {
    let mut windows: Vec<Vec<Summary>> = variants.iter().map(|_| Vec::new()).collect();
    for turn in 0..args.turns {
        for (variant, windows) in variants.iter_mut().zip(&mut windows) {
            variant.check()?;
            let plan = variant.plan(args, operation);
            let outcome = variant.drive(plan.clone()).context(|| format!("at {}", variant.value))?;
            let summary = Summary::of(&plan, outcome)?;
            eprintln!(
                "{}  {:<16} {:<10} turn {}  {:>7.0}/s  server {:.2} us",
                part.name(),
                variant.value,
                operation.name(),
                turn + 1,
                summary.requests_per_second,
                summary.cpu_us_per_request.server.unwrap_or(f64::NAN)
            );
            if !summary.is_clean() {
                eprintln!("not every answer was as it should be:\n{summary}");
            }
            windows.push(summary);
        }
    }
    let first: Vec<_> = windows.first().map(|windows| windows.iter().map(server).collect()).unwrap_or_default();
    windows.iter().map(|windows| cost(operation, windows, &first)).collect()
}

fn server(summary: &Summary) -> f64 {
    summary.cpu_us_per_request.server.unwrap_or(f64::NAN)
}

/// `first`: the server's cost of the first variant, by turn.
fn cost(operation: Operation, windows: &[Summary], first: &[f64]) -> Result<Cost, Failure> {
    let median = |values: Vec<f64>| Spread::of(values).ok_or_else(|| Failure::new("no window was measured"));
    let ratios = windows.iter().zip(first).map(|(window, first)| server(window) / first).collect();
    Ok(Cost {
        operation: operation.name().to_owned(),
        server_us: median(windows.iter().map(server).collect())?.median,
        over_first: median(ratios)?.median,
        redis_us: Spread::of(windows.iter().filter_map(|one| one.cpu_us_per_request.redis)).map(|spread| spread.median),
        per_second: median(windows.iter().map(|one| one.requests_per_second).collect())?.median,
        clean: windows.iter().all(|one| one.right as f64 >= RIGHT_MIN * one.requests as f64 && one.right > 0),
        server_us_by_turn: windows.iter().map(server).collect(),
    })
}
