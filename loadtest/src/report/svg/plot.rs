//! A plot: two axes with marks, and lines over them.

use super::scale::Scale;
use super::{Anchor, Drawing, WIDTH};

pub(crate) const HEIGHT: f64 = 220.0;
/// Half the width of a mark's character.
const CHARACTER_HALF: f64 = 3.2;
/// Room for the marks of the axes.
pub(crate) const LEFT: f64 = 50.0;
pub(crate) const RIGHT: f64 = WIDTH - 12.0;
pub(crate) const TOP: f64 = 12.0;
pub(crate) const BOTTOM: f64 = HEIGHT - 26.0;

#[derive(Debug)]
pub(crate) struct Plot {
    drawing: Drawing,
    x: Scale,
    y: Scale,
}

impl Plot {
    /// `x` from [`LEFT`] to [`RIGHT`], `y` from [`BOTTOM`] to [`TOP`]. The marks of `y` are drawn as `name` says them.
    pub(crate) fn new(x: Scale, y: Scale, name: impl Fn(f64) -> String) -> Self {
        let mut drawing = Drawing::new(HEIGHT);
        for tick in y.ticks() {
            let at = y.at(tick);
            drawing.line("grid", (LEFT, at), (RIGHT, at));
            drawing.text("mark", (LEFT - 6.0, at + 4.0), Anchor::End, &name(tick));
        }
        Self { drawing, x, y }
    }

    /// A name below the axis of `x`, and with `ruled` a line up from it.
    pub(crate) fn mark_x(&mut self, value: f64, name: &str, ruled: bool) {
        let at = self.x.at(value);
        if ruled {
            self.drawing.line("grid", (at, TOP), (at, BOTTOM));
        }
        let inside = at.min(WIDTH - CHARACTER_HALF * name.chars().count() as f64);
        self.drawing.text("mark", (inside, BOTTOM + 16.0), Anchor::Middle, name);
    }

    pub(crate) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let points = self.pixels(points);
        self.drawing.path(&format!("curve {class}"), &points, false);
    }

    /// The area between two lines.
    pub(crate) fn band(&mut self, class: &str, lower: &[(f64, f64)], upper: &[(f64, f64)]) {
        let mut points = self.pixels(lower);
        points.extend(self.pixels(upper).into_iter().rev());
        self.drawing.path(&format!("band {class}"), &points, true);
    }

    /// A stroke that stands on the axis of `x`: something happened here.
    pub(crate) fn stroke(&mut self, value: f64) {
        let at = self.x.at(value);
        self.drawing.line("bad", (at, BOTTOM), (at, BOTTOM - 8.0));
    }

    pub(crate) fn finish(self, label: &str) -> String {
        self.drawing.finish(label)
    }

    fn pixels(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|(x, y)| (self.x.at(*x), self.y.at(*y))).collect()
    }
}
