//! The drawings of a report. Each takes a document and gives figures, or nothing where there is nothing to draw.

pub(crate) mod batches;
pub(crate) mod course;
pub(crate) mod cpu;
pub(crate) mod latency;

use super::Document;
use super::figures;
use super::html::text::Escaped;

/// Colours that the style has.
const COLOURS: usize = 8;

/// The class that gives a subject its colour; the first of several is what others are compared with, and grey.
pub(crate) fn colour(document: &Document, subject: &str) -> String {
    let subjects = figures::subjects(document);
    let index = subjects.iter().position(|other| *other == subject).unwrap_or(0);
    let index = if subjects.len() == 1 { 1 } else { index };
    format!("s{}", index % COLOURS)
}

/// A drawing under its caption.
fn figure(caption: &str, svg: &str) -> String {
    format!("<figure><figcaption>{}</figcaption>{svg}</figure>", Escaped(caption))
}
