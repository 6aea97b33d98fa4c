//! The figures that matter most, large: of several subjects what each one's CPU time is over the first one's, of a single one
//! its rate, latencies and CPU time.

use std::fmt::Write as _;

use super::text::{Escaped, latency, number};
use crate::report::Document;
use crate::report::charts::colour;
use crate::report::figures::{self, Group, Spread};

/// So many stand in one row; of more, each workload has its own.
const ROW_MAX: usize = 4;

pub(super) fn render(document: &Document) -> String {
    let subjects = figures::subjects(document);
    let groups = figures::groups(document);
    let tiles: Vec<String> = match subjects.as_slice() {
        [_] => groups.iter().flat_map(|group| alone(document, group)).collect(),
        subjects => groups.iter().filter_map(|group| beside(document, group, subjects.first()?)).collect(),
    };
    let workloads = groups.chunk_by(|one, other| one.workload == other.workload).count().max(1);
    let columns = if tiles.len() > ROW_MAX { tiles.len().div_ceil(workloads) } else { tiles.len() };
    format!("<ul class=\"tiles\" style=\"--columns: {columns}\">{}</ul>\n", tiles.concat())
}

fn beside(document: &Document, group: &Group<'_>, base: &str) -> Option<String> {
    let ratio = Spread::of(group.ratios(document, figures::server_cpu)).filter(|_| group.subject != base)?;
    let title = format!("{} · {}", figures::title(document, group.workload), group.subject);
    Some(tile(&colour(document, group.subject), &title, &number(ratio.median), "×", &format!("the CPU of {base}")))
}

fn alone(document: &Document, group: &Group<'_>) -> Vec<String> {
    let (colour, title) = (colour(document, group.subject), figures::title(document, group.workload));
    let mut tiles = Vec::new();
    if let Some(rate) = group.spread(figures::rate) {
        tiles.push(tile(&colour, title, &number(rate.median), "/s", "answers"));
    }
    let points = [("half of the answers within", 0.5), ("99 of 100 within", 0.99)];
    for (said, quantile) in points {
        let value = group.spread(|summary| {
            let latencies = summary.only_operation()?.latency_us;
            Some(if quantile > 0.5 { latencies.p99 } else { latencies.p50 })
        });
        if let Some(value) = value.map(|spread| latency(spread.median)) {
            let (figure, unit) = value.split_once(' ').unwrap_or((&value, ""));
            tiles.push(tile(&colour, title, figure, unit, said));
        }
    }
    if let Some(cpu) = group.spread(figures::server_cpu) {
        tiles.push(tile(&colour, title, &number(cpu.median), "µs", "of CPU a request"));
    }
    tiles
}

fn tile(class: &str, title: &str, figure: &str, unit: &str, said: &str) -> String {
    let mut tile = String::new();
    let _ = write!(
        tile,
        "<li class=\"{class}\"><b>{}</b><strong>{figure}<span>{unit}</span></strong><small>{}</small></li>",
        Escaped(title),
        Escaped(said)
    );
    tile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn of_two_subjects_the_second_is_told_over_the_first() {
        let page = render(&document(&[(10.0, 12.0), (20.0, 22.0), (10.0, 13.0)]));
        assert!(page.contains("<b>issue · redis</b><strong>1.20<span>×</span></strong>"), "{page}");
        assert_eq!(page.matches("<li").count(), 1);
    }

    #[test]
    fn one_subject_is_told_in_its_own_figures() {
        let mut document = document(&[(10.0, 12.0)]);
        document.windows.truncate(1);
        let page = render(&document);
        for figure in ["100,000<span>/s", "10<span>µs", "100<span>µs", "10.0<span>µs"] {
            assert!(page.contains(&format!("<strong>{figure}</span></strong>")), "{figure}: {page}");
        }
        assert!(page.contains("--columns: 4"), "{page}");
    }
}
