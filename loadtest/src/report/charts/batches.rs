//! Sizes of batches: which share of the trips to the store carried how much, over all turns.

use std::collections::BTreeMap;

use super::{colour, figure};
use crate::report::Document;
use crate::report::figures::{self, Group};
use crate::report::html::text::number;
use crate::report::svg::plot::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP};
use crate::report::svg::scale::Scale;
use crate::report::svg::{Anchor, Drawing};
use crate::scrape::{BatchSizes, Batches};

/// One figure for each workload, subject and operation of the store that had batches.
pub(crate) fn draw(document: &Document) -> String {
    let several = figures::subjects(document).len() > 1;
    let mut drawn = String::new();
    for group in figures::groups(document) {
        for (operation, sizes) in sums(&group) {
            let mean = sizes.items as f64 / sizes.batches.max(1) as f64;
            let whose = if several { format!(", {}", group.subject) } else { String::new() };
            let workload = figures::title(document, group.workload);
            let caption = format!("{workload}{whose}: {operation}, {} in the mean", number(mean));
            drawn += &figure(&caption, &columns(&sizes, &colour(document, group.subject)));
        }
    }
    drawn
}

/// All turns together.
fn sums(group: &Group<'_>) -> Batches {
    let mut sums: Batches = BTreeMap::new();
    for (operation, sizes) in group.windows.iter().flat_map(|window| &window.summary.batches) {
        let sum = sums.entry(operation.clone()).or_default();
        sum.batches += sizes.batches;
        sum.items += sizes.items;
        for (bound, count) in &sizes.buckets {
            match sum.buckets.iter_mut().find(|(other, _)| other == bound) {
                Some((_, sum)) => *sum += count,
                None => sum.buckets.push((bound.clone(), *count)),
            }
        }
    }
    sums
}

/// A size of batch as people say it, and the share of batches that had it.
fn shares(sizes: &BatchSizes) -> Vec<(String, f64)> {
    let mut below = 0;
    let mut shares = Vec::new();
    for (bound, count) in &sizes.buckets {
        let name = match bound.parse::<u64>() {
            Ok(bound) if bound == below + 1 => bound.to_string(),
            Ok(bound) => format!("≤{bound}"),
            Err(_) => format!(">{below}"),
        };
        below = bound.parse().unwrap_or(below);
        shares.push((name, *count as f64 / sizes.batches.max(1) as f64));
    }
    let last = shares.iter().rposition(|(_, share)| *share > 0.0).map_or(0, |last| last + 1);
    shares.truncate(last);
    shares
}

fn columns(sizes: &BatchSizes, class: &str) -> String {
    let shares = shares(sizes);
    let most = shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    let y = Scale::from_zero(most * 100.0, BOTTOM, TOP);
    let mut drawing = Drawing::new(HEIGHT);
    for tick in y.ticks() {
        drawing.line("grid", (LEFT, y.at(tick)), (RIGHT, y.at(tick)));
        drawing.text("mark", (LEFT - 6.0, y.at(tick) + 4.0), Anchor::End, &format!("{tick} %"));
    }
    let width = (RIGHT - LEFT) / shares.len().max(1) as f64;
    for (index, (name, share)) in shares.iter().enumerate() {
        let (left, top) = (LEFT + width * index as f64, y.at(share * 100.0));
        let title = format!("{name}: {} % of batches", number(share * 100.0));
        drawing.rectangle(&format!("bar {class}"), (left + width * 0.12, top), (width * 0.76, BOTTOM - top), &title);
        drawing.text("mark", (left + width / 2.0, BOTTOM + 16.0), Anchor::Middle, name);
    }
    let said: Vec<_> = shares.iter().map(|(name, share)| format!("{name} {} %", number(share * 100.0))).collect();
    drawing.finish(&format!("Shares of batches by size: {}", said.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn turns_are_added_and_shares_make_one() {
        let document = document(&[(10.0, 20.0), (10.0, 20.0)]);
        let group = figures::groups(&document).remove(1);
        let sizes = sums(&group).remove("save").unwrap();
        assert_eq!((sizes.batches, sizes.items), (630, 2000));
        let shares = shares(&sizes);
        let names: Vec<_> = shares.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["1", "2", "≤4", ">4"]);
        assert!((shares.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(draw(&document).contains("issue, redis: save, 3.17 in the mean"));
    }
}
