//! Medians of ratios to the baseline of the same turn, as a table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::report::Summary;

/// One window of one subject. The first subject of each turn and workload is what the others are compared with.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) turn: usize,
    pub(super) subject: &'static str,
    pub(super) summary: Summary,
}

/// A line for each workload and subject, then the ratios of every turn.
pub(super) fn render(measured: &[Measured]) -> String {
    let mut text = format!(
        "{:<28} {:>11} {:>24} {:>10} {:>12} {:>11}\n",
        "", "server CPU", "over the baseline's", "rate over", "load CPU", "Redis CPU"
    );
    let _ = writeln!(
        text,
        "{:<28} {:>11} {:>8} {:>7} {:>7} {:>10} {:>12} {:>11}",
        "", "us/request", "median", "best", "worst", "baseline's", "us/request", "us/request"
    );
    let mut turns = String::new();
    for (workload, subject) in rows(measured) {
        let name = format!("{workload} {subject}");
        let ones = of(measured, &workload, subject);
        let ratios = ratios(measured, &workload, subject, server_cpu);
        let cpu = median(ones.iter().filter_map(|one| server_cpu(&one.summary)));
        let rates = self::ratios(measured, &workload, subject, |summary| Some(summary.requests_per_second));
        let load = median(ones.iter().filter_map(|one| one.summary.cpu_us_per_request.load));
        let redis = median(ones.iter().filter_map(|one| one.summary.cpu_us_per_request.redis));
        let _ = writeln!(
            text,
            "{name:<28} {:>11} {:>8} {:>7} {:>7} {:>10} {:>12} {:>11}",
            figure(cpu),
            figure(median(ratios.iter().copied())),
            figure(ratios.iter().copied().reduce(f64::min)),
            figure(ratios.iter().copied().reduce(f64::max)),
            figure(median(rates.iter().copied())),
            figure(load),
            figure(redis)
        );
        let list: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let _ = writeln!(turns, "{name:<28} {}", list.join(" "));
    }
    format!("{text}\nserver CPU over the baseline's, turn by turn\n{turns}")
}

fn server_cpu(summary: &Summary) -> Option<f64> {
    summary.cpu_us_per_request.server
}

/// Workloads and subjects in the order they first came.
fn rows(measured: &[Measured]) -> Vec<(String, &'static str)> {
    let mut rows = Vec::new();
    for one in measured {
        let row = (one.summary.workload.clone(), one.subject);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

fn of<'a>(measured: &'a [Measured], workload: &str, subject: &str) -> Vec<&'a Measured> {
    measured.iter().filter(|one| one.summary.workload == workload && one.subject == subject).collect()
}

/// A figure of a subject over the same figure of the first subject in the same turn, for each turn.
fn ratios(measured: &[Measured], workload: &str, subject: &str, figure: impl Fn(&Summary) -> Option<f64>) -> Vec<f64> {
    let ratio = |one: &Measured| {
        let base = measured.iter().find(|base| base.turn == one.turn && base.summary.workload == workload)?;
        Some(figure(&one.summary)? / figure(&base.summary)?)
    };
    of(measured, workload, subject).into_iter().filter_map(ratio).collect()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
    match odd {
        true => values.get(middle).copied(),
        false => Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0),
    }
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CpuSummary;
    use std::collections::BTreeMap;

    fn measured(turn: usize, subject: &'static str, server: f64) -> Measured {
        let summary = Summary {
            workload: "issue".to_owned(),
            http_version: "1.1",
            connections: 64,
            threads: 1,
            rate: None,
            elapsed_seconds: 1.0,
            requests: 1000,
            requests_per_second: 1e6 / server,
            right: 1000,
            operations: BTreeMap::new(),
            errors: BTreeMap::new(),
            unanswered: 0,
            backlog: 0,
            cpu_us_per_request: CpuSummary { server: Some(server), redis: None, load: None },
        };
        Measured { turn, subject, summary }
    }

    #[test]
    fn a_ratio_is_to_the_baseline_of_its_own_turn() {
        let turns = [(10.0, 12.0), (20.0, 22.0), (10.0, 13.0)];
        let measured: Vec<_> = turns
            .iter()
            .enumerate()
            .flat_map(|(turn, (base, redis))| [measured(turn, "baseline", *base), measured(turn, "redis", *redis)])
            .collect();
        assert_eq!(ratios(&measured, "issue", "redis", server_cpu), [1.2, 1.1, 1.3]);
        let text = render(&measured);
        let line = text.lines().find(|line| line.starts_with("issue redis")).unwrap();
        let fields: Vec<_> = line.split_whitespace().skip(2).take(5).collect();
        assert_eq!(fields, ["13.00", "1.20", "1.10", "1.30", "0.83"]);
        assert!(text.ends_with("issue redis                  1.20 1.10 1.30\n"), "{text}");
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
