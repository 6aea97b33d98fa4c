//! CPU time a request: a bar for each subject, the store's share behind the service's own.

use std::fmt::Write as _;

use super::{colour, figure};
use crate::report::Document;
use crate::report::figures::{self, Group};
use crate::report::html::text::number;
use crate::report::svg::scale::Scale;
use crate::report::svg::{Anchor, Drawing, WIDTH};

/// Room for names at the left and figures at the right.
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 92.0;
const ROW: f64 = 28.0;
const BAR: f64 = 16.0;

/// One figure a workload; empty where no CPU time was read, and of a single subject, which has nothing beside it.
pub(crate) fn draw(document: &Document) -> String {
    let mut groups = figures::groups(document);
    groups.retain(|_| figures::subjects(document).len() > 1);
    let workloads = groups.chunk_by(|one, other| one.workload == other.workload);
    workloads
        .filter_map(|groups| Some(figure(figures::title(document, groups[0].workload), &bars(document, groups)?)))
        .collect()
}

fn bars(document: &Document, groups: &[Group<'_>]) -> Option<String> {
    let cost = |group: &Group<'_>| {
        let server = group.spread(figures::server_cpu)?.median;
        Some((server, group.spread(figures::redis_cpu).map_or(0.0, |spread| spread.median)))
    };
    let costs: Vec<_> = groups.iter().map(cost).collect::<Option<_>>()?;
    let most = costs.iter().map(|(server, redis)| server + redis).fold(0.0, f64::max);
    let x = Scale::exact(0.0, most, LEFT, RIGHT);
    let height = ROW * groups.len() as f64 + 4.0;
    let mut drawing = Drawing::new(height);
    let mut label = "CPU microseconds a request:".to_owned();
    for (row, (group, (server, redis))) in groups.iter().zip(&costs).enumerate() {
        let top = ROW * row as f64 + (ROW - BAR) / 2.0;
        let (class, text) = (colour(document, group.subject), (top + BAR - 4.0));
        let (split, end) = (x.at(*server), x.at(server + redis));
        drawing.text("name", (LEFT - 8.0, text), Anchor::End, group.subject);
        let title = format!("{}: server {} µs a request", group.subject, number(*server));
        drawing.rectangle(&format!("bar {class}"), (LEFT, top), (split - LEFT, BAR), &title);
        let mut said = number(*server);
        if *redis > 0.0 {
            let title = format!("{}: Redis {} µs a request", group.subject, number(*redis));
            drawing.rectangle(&format!("bar store {class}"), (split + 1.0, top), (end - split - 1.0, BAR), &title);
            let _ = write!(said, " + {}", number(*redis));
        }
        drawing.text("figure", (end + 6.0, text), Anchor::Start, &format!("{said} µs"));
        let _ = write!(label, " {} {said};", group.subject);
    }
    let base = x.at(costs.first()?.0);
    drawing.line("base", (base, 0.0), (base, height));
    Some(drawing.finish(&label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn a_bar_is_as_long_as_its_cost() {
        let svg = draw(&document(&[(10.0, 20.0)]));
        let width = |subject: &str| {
            let before = svg.split(&format!("<title>{subject}: server")).next().unwrap();
            before.rsplit("width=\"").next().unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
        };
        assert!((width("redis") - 2.0 * width("baseline")).abs() < 0.2, "{svg}");
        assert!(svg.contains("20.0 µs"), "{svg}");
    }

    #[test]
    fn without_cpu_times_there_is_no_figure() {
        let mut document = document(&[(10.0, 20.0)]);
        for window in &mut document.windows {
            window.summary.cpu_us_per_request.server = None;
        }
        assert_eq!(draw(&document), "");
    }
}
