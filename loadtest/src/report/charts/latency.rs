//! Latency by percentile: how long the slowest answers took, on an axis that gives each further nine the same room.

use super::{colour, figure};
use crate::report::Document;
use crate::report::figures::{self, Group, Spread};
use crate::report::html::text;
use crate::report::summary::CURVE_POINTS_A_DECADE;
use crate::report::svg::plot::{BOTTOM, LEFT, Plot, RIGHT, TOP};
use crate::report::svg::scale::Scale;

/// Of each point of a curve the median, the least and the most of the turns.
type Curve = Vec<Spread>;

/// One figure for each operation of each workload.
pub(crate) fn draw(document: &Document) -> String {
    let groups = figures::groups(document);
    let mut drawn = String::new();
    for groups in groups.chunk_by(|one, other| one.workload == other.workload) {
        let operations: Vec<&String> = groups[0].windows[0].summary.operations.keys().collect();
        for operation in &operations {
            let workload = figures::title(document, groups[0].workload);
            let caption = if operations.len() == 1 { workload.to_owned() } else { format!("{workload}: {operation}") };
            let curves = groups.iter().map(|group| (group.subject, curve(group, operation))).collect::<Vec<_>>();
            drawn += &curves_of(document, &curves).map_or(String::new(), |svg| figure(&caption, &svg));
        }
    }
    drawn
}

/// As far as every turn has points.
fn curve(group: &Group<'_>, operation: &str) -> Curve {
    let operations = group.windows.iter().filter_map(|window| window.summary.operations.get(operation));
    let curves: Vec<&Vec<f64>> = operations.map(|found| &found.latency_curve_us).collect();
    let points = curves.iter().map(|curve| curve.len()).min().unwrap_or(0);
    (0..points).filter_map(|point| Spread::of(curves.iter().map(|curve| curve[point]))).collect()
}

fn curves_of(document: &Document, curves: &[(&str, Curve)]) -> Option<String> {
    let points = curves.iter().map(|(_, curve)| curve.len()).max().filter(|points| *points > 1)?;
    let every = || curves.iter().flat_map(|(_, curve)| curve);
    let least = every().map(|point| point.least).fold(f64::INFINITY, f64::min);
    let most = every().map(|point| point.most).fold(0.0, f64::max);
    let x = Scale::exact(0.0, (points - 1) as f64, LEFT, RIGHT);
    let mut plot = Plot::new(x, Scale::logarithmic(least, most, BOTTOM, TOP), text::latency);
    let decades = (points - 1) / CURVE_POINTS_A_DECADE as usize;
    for nines in 0..=decades {
        plot.mark_x((nines * CURVE_POINTS_A_DECADE as usize) as f64, &percent(nines), nines > 0);
    }
    let mut label = "Latency by percentile. 99 %:".to_owned();
    for (subject, curve) in curves {
        let class = colour(document, subject);
        let line = |value: fn(&Spread) -> f64| -> Vec<(f64, f64)> {
            curve.iter().enumerate().map(|(point, spread)| (point as f64, value(spread))).collect()
        };
        plot.band(&class, &line(|spread| spread.least), &line(|spread| spread.most));
        plot.line(&class, &line(|spread| spread.median));
        if let Some(spread) = curve.get(2 * CURVE_POINTS_A_DECADE as usize) {
            label += &format!(" {subject} {};", text::latency(spread.median));
        }
    }
    Some(plot.finish(&label))
}

/// 0 %, 90 %, 99 %, 99.9 %.
fn percent(nines: usize) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn every_subject_has_a_line_and_each_nine_a_mark() {
        let svg = draw(&document(&[(10.0, 20.0), (10.0, 30.0)]));
        assert_eq!(svg.matches("<path class=\"curve").count(), 2);
        for mark in [">0 %<", ">90 %<", ">99 %<", ">99.9 %<"] {
            assert!(svg.contains(mark), "{mark}: {svg}");
        }
        // Points 0 to 30 of the test document rise by their number: at 99 %, 21 times the median of 20 and 30.
        assert!(svg.contains("redis 525 µs"), "{svg}");
    }

    #[test]
    fn no_answer_is_no_figure() {
        let mut document = document(&[(10.0, 20.0)]);
        for window in &mut document.windows {
            window.summary.operations.clear();
        }
        assert_eq!(draw(&document), "");
    }
}
