//! What limits count.

use metrics::Counter;

use super::super::labels::{LimitMode, LimitName};
use super::registry::{Family2, Names};

pub(super) const DESCRIPTIONS: [(&str, &str); 1] = [(
    "jeton_rate_limited_total",
    "Requests beyond a limit, by limit and by what it does: refuse them, or report them alone.",
)];

#[derive(Debug)]
pub(super) struct LimitMetrics {
    limited: Family2<Counter>,
}

impl LimitMetrics {
    pub(super) fn register(names: &Names<'_>) -> Self {
        Self { limited: Family2::new::<LimitName, LimitMode>(names.counter("jeton_rate_limited_total")) }
    }

    pub(super) fn limited(&self, limit: LimitName, mode: LimitMode) {
        self.limited.get(limit, mode).increment(1);
    }
}
