//! Rate and latency over time: slice by slice, the windows of all turns beside each other.

use super::{colour, figure};
use crate::report::figures::{self, Group};
use crate::report::html::text;
use crate::report::svg::plot::{BOTTOM, LEFT, Plot, RIGHT, TOP};
use crate::report::svg::scale::Scale;
use crate::report::{Document, Summary};

/// Between the windows of two turns, as a share of a window.
const GAP: f64 = 0.12;

/// Two figures a workload: rate, and the 99th percentile.
pub(crate) fn draw(document: &Document) -> String {
    let groups = figures::groups(document);
    let mut drawn = String::new();
    for groups in groups.chunk_by(|one, other| one.workload == other.workload) {
        let workload = figures::title(document, groups[0].workload);
        let time = Time::of(groups);
        let most = |values: fn(&Summary) -> Vec<f64>| -> f64 {
            let windows = groups.iter().flat_map(|group| &group.windows);
            windows.flat_map(|window| values(&window.summary)).fold(0.0, f64::max)
        };
        let least = |values: fn(&Summary) -> Vec<f64>| -> f64 {
            let windows = groups.iter().flat_map(|group| &group.windows);
            windows
                .flat_map(|window| values(&window.summary))
                .filter(|value| *value > 0.0)
                .fold(f64::INFINITY, f64::min)
        };
        let y = Scale::from_zero(most(rates), BOTTOM, TOP);
        let svg = plot(document, groups, &time, Plot::new(time.scale(), y, text::axis), rates);
        drawn += &figure(&format!("{workload}: answers a second"), &svg);
        let y = Scale::logarithmic(least(latencies), most(latencies), BOTTOM, TOP);
        let svg = plot(document, groups, &time, Plot::new(time.scale(), y, text::latency), latencies);
        drawn += &figure(&format!("{workload}: 99th percentile"), &svg);
    }
    drawn
}

/// Where in the drawing a turn's time lies; in seconds of windows laid end to end.
struct Time {
    turns: usize,
    window_seconds: f64,
}

impl Time {
    fn of(groups: &[Group<'_>]) -> Self {
        let windows = || groups.iter().flat_map(|group| &group.windows);
        let turns = windows().map(|window| window.turn + 1).max().unwrap_or(1);
        Self { turns, window_seconds: windows().map(|window| window.summary.elapsed_seconds).fold(0.0, f64::max) }
    }

    fn start(&self, turn: usize) -> f64 {
        turn as f64 * self.window_seconds * (1.0 + GAP)
    }

    fn scale(&self) -> Scale {
        Scale::exact(0.0, self.start(self.turns - 1) + self.window_seconds, LEFT, RIGHT)
    }

    /// Several turns are named by their numbers, one is marked in seconds.
    fn mark(&self, plot: &mut Plot) {
        if self.turns > 1 {
            for turn in 0..self.turns {
                let name = if turn == 0 { "turn 1".to_owned() } else { (turn + 1).to_string() };
                plot.mark_x(self.start(turn) + self.window_seconds / 2.0, &name, false);
            }
            return;
        }
        for seconds in Scale::from_zero(self.window_seconds, 0.0, 1.0).ticks() {
            if seconds <= self.window_seconds {
                plot.mark_x(seconds, &format!("{} s", text::axis(seconds)), false);
            }
        }
    }
}

fn plot(
    document: &Document,
    groups: &[Group<'_>],
    time: &Time,
    mut plot: Plot,
    values: fn(&Summary) -> Vec<f64>,
) -> String {
    time.mark(&mut plot);
    for group in groups {
        let class = colour(document, group.subject);
        for window in &group.windows {
            let (course, start) = (&window.summary.course, time.start(window.turn));
            let middle = |index: usize| start + (index as f64 + 0.5) * course.slice_seconds;
            let points: Vec<_> =
                values(&window.summary).into_iter().enumerate().map(|(index, value)| (middle(index), value)).collect();
            plot.line(&class, &points);
            for (index, _) in course.failed.iter().enumerate().filter(|(_, failed)| **failed > 0) {
                plot.stroke(middle(index));
            }
        }
    }
    plot.finish("over time")
}

/// Answers a second in each slice.
fn rates(summary: &Summary) -> Vec<f64> {
    let course = &summary.course;
    let last = course.right.len().saturating_sub(1);
    let seconds = |index: usize| match index == last {
        true => (summary.elapsed_seconds - last as f64 * course.slice_seconds).max(f64::MIN_POSITIVE),
        false => course.slice_seconds,
    };
    course.right.iter().enumerate().map(|(index, right)| *right as f64 / seconds(index)).collect()
}

fn latencies(summary: &Summary) -> Vec<f64> {
    summary.course.p99_us.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn each_window_has_a_line_in_each_figure() {
        let mut document = document(&[(10.0, 20.0), (10.0, 30.0)]);
        document.windows[3].summary.course.failed = vec![0, 3];
        let svg = draw(&document);
        assert_eq!(svg.matches("<path class=\"curve").count(), 8);
        assert_eq!(svg.matches("class=\"bad\"").count(), 2, "in both figures");
        assert!(svg.contains(">turn 1<") && svg.contains(">2<"), "{svg}");
    }

    #[test]
    fn the_last_slice_is_as_long_as_the_window_left_it() {
        let mut window = document(&[(10.0, 20.0)]).windows.remove(0);
        window.summary.elapsed_seconds = 1.1;
        assert_eq!(rates(&window.summary).iter().map(|rate| rate.round()).collect::<Vec<_>>(), [1000.0, 833.0]);
    }
}
