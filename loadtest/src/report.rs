//! What was found: a [`Summary`] of each window, and the [`Document`] that all windows of a run or of turns make.
//!
//! A document is written as JSON and read back, so whatever is shown of it ([`text`], [`html`], [`table`]) can be shown again later.

pub(crate) mod about;
pub(crate) mod beside;
mod charts;
pub(crate) mod document;
pub(crate) mod figures;
pub(crate) mod html;
pub(crate) mod machine;
pub(crate) mod summary;
mod svg;
pub(crate) mod table;
mod text;

pub(crate) use about::About;
pub(crate) use document::{Document, Window};
pub(crate) use summary::Summary;
