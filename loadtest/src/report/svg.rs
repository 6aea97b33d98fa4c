//! Drawings as SVG that stands inside a page: shapes with classes, which the page's style gives their colours.
//!
//! Invariant: coordinates are pixels of a drawing [`WIDTH`] wide, whatever width it is shown at; text is escaped here.

pub(crate) mod plot;
pub(crate) mod scale;

use std::fmt::Write as _;

use super::html::text::Escaped;

pub(crate) const WIDTH: f64 = 400.0;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug)]
pub(crate) struct Drawing {
    height: f64,
    shapes: String,
}

impl Drawing {
    pub(crate) fn new(height: f64) -> Self {
        Self { height, shapes: String::new() }
    }

    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.shapes,
            r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
            from.0, from.1, to.0, to.1
        );
    }

    /// `title` is what a pointer that rests on it is told.
    pub(crate) fn rectangle(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), title: &str) {
        let _ = write!(
            self.shapes,
            r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="2"><title>{}</title></rect>"#,
            corner.0,
            corner.1,
            size.0.max(0.0),
            size.1.max(0.0),
            Escaped(title)
        );
    }

    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (at.0, at.1, Escaped(text));
        let _ =
            write!(self.shapes, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
    }

    /// A line through points; with `closed` an area. Fewer than two points make nothing.
    pub(crate) fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        if points.len() < 2 {
            return;
        }
        let mut way = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let _ = write!(way, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        let end = if closed { "Z" } else { "" };
        let _ = write!(self.shapes, r#"<path class="{class}" d="{way}{end}"/>"#);
    }

    /// `label` says what is drawn to who does not see it.
    pub(crate) fn finish(self, label: &str) -> String {
        let (height, shapes, label) = (self.height, self.shapes, Escaped(label));
        format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{shapes}</svg>"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_escapes_its_texts() {
        let mut drawing = Drawing::new(10.0);
        drawing.text("t", (1.0, 2.0), Anchor::End, "<b>");
        drawing.rectangle("r", (0.0, 0.0), (-1.0, 1.0), "a & b");
        drawing.path("p", &[(0.0, 0.0)], false);
        let svg = drawing.finish("\"quoted\"");
        assert!(svg.contains("&lt;b&gt;") && svg.contains("a &amp; b") && svg.contains("&quot;quoted&quot;"), "{svg}");
        assert!(svg.contains("width=\"0.0\"") && !svg.contains("<path"), "{svg}");
    }
}
