//! Medians of ratios to the baseline of the same turn, as a table for a terminal.

use std::fmt::Write as _;

use super::Document;
use super::figures::{self, Spread};

/// A line for each workload and subject, then the ratios of every turn.
pub(crate) fn render(document: &Document) -> String {
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
    for group in figures::groups(document) {
        let name = format!("{} {}", group.workload, group.subject);
        let ratios = group.ratios(document, figures::server_cpu);
        let spread = Spread::of(ratios.iter().copied());
        let median = |spread: Option<Spread>| figure(spread.map(|spread| spread.median));
        let _ = writeln!(
            text,
            "{name:<28} {:>11} {:>8} {:>7} {:>7} {:>10} {:>12} {:>11}",
            median(group.spread(figures::server_cpu)),
            median(spread),
            figure(spread.map(|spread| spread.least)),
            figure(spread.map(|spread| spread.most)),
            median(Spread::of(group.ratios(document, figures::rate))),
            median(group.spread(figures::load_cpu)),
            median(group.spread(figures::redis_cpu))
        );
        let list: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let _ = writeln!(turns, "{name:<28} {}", list.join(" "));
    }
    format!("{text}\nserver CPU over the baseline's, turn by turn\n{turns}")
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn a_line_has_the_medians_of_ratios() {
        let text = render(&document(&[(10.0, 12.0), (20.0, 22.0), (10.0, 13.0)]));
        let line = text.lines().find(|line| line.starts_with("issue redis")).unwrap();
        let fields: Vec<_> = line.split_whitespace().skip(2).take(5).collect();
        assert_eq!(fields, ["13.00", "1.20", "1.10", "1.30", "0.83"]);
        assert!(text.ends_with("issue redis                  1.20 1.10 1.30\n"), "{text}");
    }
}
