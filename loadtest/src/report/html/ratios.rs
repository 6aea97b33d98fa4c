//! All subjects and workloads as a table: medians, spreads, and ratios to the first subject.

use std::fmt::Write as _;

use super::text::{Escaped, latency, number};
use crate::report::Document;
use crate::report::charts::colour;
use crate::report::figures::{self, Group, Spread};
use crate::report::summary::{Latencies, Summary};

pub(super) fn render(document: &Document) -> String {
    let groups = figures::groups(document);
    let several = figures::subjects(document).len() > 1;
    let over = if several { "<th>ratio</th>" } else { "" };
    let mut rows = String::new();
    for groups in groups.chunk_by(|one, other| one.workload == other.workload) {
        let _ = writeln!(rows, "<tr class=\"workload\"><th colspan=\"9\">{}</th></tr>", Escaped(groups[0].workload));
        for group in groups {
            rows += &row(document, group, several);
            rows += &parts(group, several);
        }
    }
    format!(
        "<div class=\"wide\"><table>\n<thead><tr><th></th><th>CPU, µs</th>{over}<th>answers/s</th>{over}<th>p50</th><th>p99</th>\
         <th>p99.9</th><th>Redis CPU, µs</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n<p class=\"note\">{}</p>\n",
        note(document, several)
    )
}

fn note(document: &Document, several: bool) -> &'static str {
    match (several, figures::turns(document)) {
        (true, 1) => "Ratios are to the first row of the workload.",
        (true, _) => {
            "Medians of the turns, below them the least and the most. Ratios are to the first row in the same turn: the speed of a \
             machine drifts, a ratio within a turn hardly does. CPU is that of the service; where load and Redis share a core, it says \
             more than the rate."
        }
        (false, _) => "CPU is that of the service, a request.",
    }
}

fn row(document: &Document, group: &Group<'_>, several: bool) -> String {
    let first = figures::subjects(document).first() == Some(&group.subject);
    let ratio = |figure: fn(&Summary) -> Option<f64>| match (several, first) {
        (true, true) => "<td>1</td>".to_owned(),
        (true, false) => cell(Spread::of(group.ratios(document, figure)), number),
        (false, _) => String::new(),
    };
    let point = |value: fn(&Latencies) -> f64| {
        cell(group.spread(|summary| Some(value(&summary.only_operation()?.latency_us))), latency)
    };
    format!(
        "<tr><th class=\"{}\">{}</th>{}{}{}{}{}{}{}{}</tr>\n",
        colour(document, group.subject),
        Escaped(group.subject),
        cell(group.spread(figures::server_cpu), number),
        ratio(figures::server_cpu),
        cell(group.spread(figures::rate), number),
        ratio(figures::rate),
        point(|latencies| latencies.p50),
        point(|latencies| latencies.p99),
        point(|latencies| latencies.p999),
        cell(group.spread(figures::redis_cpu), number),
    )
}

/// A row for each operation of a mix, of which there are no latencies to be told in one figure.
fn parts(group: &Group<'_>, several: bool) -> String {
    let operations = &group.windows[0].summary.operations;
    if operations.len() < 2 {
        return String::new();
    }
    let row = |operation: &String| {
        let point = |value: fn(&Latencies) -> f64| {
            cell(group.spread(|summary| Some(value(&summary.operations.get(operation)?.latency_us))), latency)
        };
        format!(
            "<tr class=\"part\"><th>{}</th>{}{}{}{}<td></td></tr>\n",
            Escaped(operation),
            "<td></td>".repeat(if several { 4 } else { 2 }),
            point(|latencies| latencies.p50),
            point(|latencies| latencies.p99),
            point(|latencies| latencies.p999),
        )
    };
    operations.keys().map(row).collect()
}

/// A median, and below it from where to where the turns went.
fn cell(spread: Option<Spread>, said: impl Fn(f64) -> String) -> String {
    let Some(spread) = spread else { return "<td class=\"none\">–</td>".to_owned() };
    let range = match spread.turns {
        1 => String::new(),
        _ => format!("<small>{}–{}</small>", said(spread.least), said(spread.most)),
    };
    format!("<td>{}{range}</td>", said(spread.median))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn a_row_has_medians_and_ranges() {
        let page = render(&document(&[(10.0, 12.0), (20.0, 22.0), (10.0, 13.0)]));
        for cell in [
            "<td>13.0<small>12.0–22.0</small></td>",
            "<td>1.20<small>1.10–1.30</small></td>",
            "<td class=\"none\">–</td>",
        ] {
            assert!(page.contains(cell), "{cell}: {page}");
        }
    }

    #[test]
    fn one_subject_has_no_ratios() {
        let mut document = document(&[(10.0, 12.0)]);
        document.windows.truncate(1);
        let page = render(&document);
        assert!(!page.contains("ratio") && page.contains("<td>100,000</td>"), "{page}");
    }

    #[test]
    fn a_mix_has_a_row_for_each_operation() {
        let mut document = document(&[(10.0, 12.0)]);
        for window in &mut document.windows {
            let issue = window.summary.operations["issue"].clone();
            window.summary.operations.insert("revoke".to_owned(), issue);
        }
        let page = render(&document);
        assert_eq!(page.matches("<tr class=\"part\"><th>revoke</th><td></td>").count(), 2, "{page}");
    }
}
