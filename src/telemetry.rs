//! What operators look at: metrics and their exporter, logs.
//!
//! # Invariants
//! - **Labels come from closed sets.** Every label value is a variant of an enum in [`labels`]; nothing that a request sent ever
//!   becomes one, so the number of series is fixed at start, and each is there from the start.
//! - **Only [`metrics`] names a metric.** Other rooms call its methods.
//! - **Nothing here names a room**: it lies under all of them.

pub mod exporter;
pub mod failures;
pub mod labels;
pub mod log_queue;
pub mod logging;
pub mod metrics;
