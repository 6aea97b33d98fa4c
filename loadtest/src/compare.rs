//! `compare A B`: the same figures of two documents, B over A, and which of them differ by more than turns do among themselves.
//!
//! Invariant: figures meet by workload, subject and name; what only one of the two has is said and not compared.

use std::fmt::Write as _;

use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::report::figures::{self, Group, Spread};
use crate::report::{Document, Summary};

/// Of fewer turns nobody knows what is usual.
const TURNS_MIN: usize = 3;

pub(crate) fn run(args: &CompareArgs) -> Result<bool, Failure> {
    let (a, b) = (Document::read(&args.a)?, Document::read(&args.b)?);
    for (letter, file, document) in [("A", &args.a, &a), ("B", &args.b, &b)] {
        let commit = document.about.commit.as_deref().unwrap_or("commit unknown");
        println!("{letter}  {}  {}  {commit}  {}", file.display(), document.about.date, document.about.machine.cpu);
    }
    println!("\n{}", render(&a, &b));
    Ok(true)
}

fn render(a: &Document, b: &Document) -> String {
    let mut text = String::new();
    let (ours, theirs) = (figures::groups(a), figures::groups(b));
    let name = |group: &Group<'_>| format!("{} {}", group.workload, group.subject);
    for one in &ours {
        let Some(other) = theirs.iter().find(|other| name(other) == name(one)) else {
            let _ = writeln!(text, "{}: only in A\n", name(one));
            continue;
        };
        let _ = writeln!(text, "{:<36} {:>12} {:>12} {:>8}", name(one), "A", "B", "B/A");
        let theirs = rows(b, other);
        for (name, spread) in rows(a, one) {
            if let Some((_, other)) = theirs.iter().find(|(other, _)| *other == name) {
                let _ = writeln!(text, "{}", line(&name, spread, *other));
            }
        }
        text.push('\n');
    }
    for other in theirs.iter().filter(|other| ours.iter().all(|one| name(one) != name(other))) {
        let _ = writeln!(text, "{}: only in B\n", name(other));
    }
    let few = ours.iter().chain(&theirs).any(|group| group.windows.len() < TURNS_MIN);
    text += if few {
        "with fewer than three turns on a side nobody knows their spread: a ratio may be chance"
    } else {
        "*  every turn of one side lies beyond every turn of the other; without it, the difference is within the spread"
    };
    text
}

/// The figures of a group over its turns, those over the first subject's last.
fn rows(document: &Document, group: &Group<'_>) -> Vec<(String, Spread)> {
    let names: Vec<String> = named(&group.windows[0].summary).into_iter().map(|(name, _)| name).collect();
    let of_turns = |name: &String| {
        let value =
            |summary: &Summary| named(summary).into_iter().find(|(other, _)| other == name).map(|(_, value)| value);
        Some((name.clone(), group.spread(value)?))
    };
    let mut rows: Vec<_> = names.iter().filter_map(of_turns).collect();
    let base = figures::groups(document)
        .iter()
        .find(|first| first.workload == group.workload)
        .map(|first| first.subject.to_owned());
    if base.as_deref().is_some_and(|base| base != group.subject) {
        let over =
            [("rate over", figures::rate as fn(&Summary) -> Option<f64>), ("server CPU over", figures::server_cpu)];
        rows.extend(over.into_iter().filter_map(|(name, figure)| {
            let spread = Spread::of(group.ratios(document, figure))?;
            Some((format!("  {name} the {}'s", base.as_deref()?), spread))
        }));
    }
    rows
}

/// Every figure that is worth comparing, with its name.
fn named(summary: &Summary) -> Vec<(String, f64)> {
    let mut named = vec![("  requests a second".to_owned(), summary.requests_per_second)];
    for (operation, found) in &summary.operations {
        let latency = &found.latency_us;
        let of = if summary.operations.len() > 1 { format!("{operation} ") } else { String::new() };
        let points = [
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
            ("max", latency.max),
        ];
        named.extend(points.map(|(point, value)| (format!("  {of}{point}, us"), value)));
    }
    let cpu = &summary.cpu_us_per_request;
    let cpu = [("server", cpu.server), ("Redis", cpu.redis), ("load", cpu.load)];
    named.extend(cpu.into_iter().filter_map(|(whose, value)| Some((format!("  {whose} CPU a request, us"), value?))));
    named
}

fn line(name: &str, a: Spread, b: Spread) -> String {
    let mark = if beyond(a, b) { " *" } else { "" };
    format!("{name:<36} {:>12} {:>12} {:>8.3}{mark}", figure(a.median), figure(b.median), b.median / a.median)
}

/// Every turn of one is above every turn of the other.
fn beyond(a: Spread, b: Spread) -> bool {
    a.turns >= TURNS_MIN && b.turns >= TURNS_MIN && (a.most < b.least || b.most < a.least)
}

/// Four digits at least, no more behind the point than two.
fn figure(value: f64) -> String {
    let digits = if value.abs() >= 1000.0 { 0 } else { 2 };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    fn fields(text: &str, name: &str) -> Vec<String> {
        let line = text.lines().rfind(|line| line.trim_start().starts_with(name)).unwrap();
        line.trim_start().trim_start_matches(name).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn known_numbers_give_known_ratios() {
        let a = document(&[(10.0, 20.0), (10.0, 21.0), (10.0, 22.0)]);
        let b = document(&[(10.0, 14.0), (11.0, 15.4), (12.0, 16.8)]);
        let text = render(&a, &b);
        assert_eq!(fields(&text, "server CPU a request, us"), ["21.00", "15.40", "0.733", "*"]);
        assert_eq!(fields(&text, "server CPU over the baseline's"), ["2.10", "1.40", "0.667", "*"]);
        assert_eq!(fields(&text, "requests a second"), ["47619", "64935", "1.364", "*"]);
        assert_eq!(fields(&text, "max, us"), ["10000", "10000", "1.000"]);
        assert!(text.contains("every turn of one side"), "{text}");
    }

    #[test]
    fn what_overlaps_is_within_the_spread() {
        let a = document(&[(10.0, 20.0), (10.0, 21.0), (10.0, 25.0)]);
        let b = document(&[(10.0, 25.0), (10.0, 26.0), (10.0, 27.0)]);
        assert_eq!(fields(&render(&a, &b), "server CPU a request, us"), ["21.00", "26.00", "1.238"]);
    }

    #[test]
    fn too_few_turns_are_said() {
        let (a, b) = (document(&[(10.0, 20.0)]), document(&[(10.0, 40.0)]));
        let text = render(&a, &b);
        assert!(!text.contains('*') && text.contains("may be chance"), "{text}");
    }

    #[test]
    fn what_one_side_has_is_said() {
        let a = document(&[(10.0, 20.0)]);
        let mut b = a.clone();
        for window in b.windows.iter_mut().filter(|window| window.subject == "redis") {
            window.subject = "peer".to_owned();
        }
        let text = render(&a, &b);
        assert!(text.contains("issue redis: only in A") && text.contains("issue peer: only in B"), "{text}");
    }
}
