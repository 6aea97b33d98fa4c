//! `rate_limit` of a client: how many tokens it may have in what time.

use super::members::Members;
use crate::oauth::quota::{Quota, Window};
use crate::oauth::rate_limit::RateLimit;

const PARTS: [&str; 5] = ["tokens_per_second", "burst", "tokens_per_hour", "tokens_per_day", "report_only"];
const PER_SECOND_MAX: u32 = 1_000_000;
const QUOTA_MAX: u32 = 1_000_000_000;

/// What a node may make for it, and what all nodes together may.
pub(super) fn read(members: &Members<'_>) -> (Option<RateLimit>, Vec<Quota>) {
    let Some(table) = members.table("rate_limit", &PARTS, "a table, as in { tokens_per_second = 50 }") else {
        return (None, Vec::new());
    };
    if !["tokens_per_second", "tokens_per_hour", "tokens_per_day"].iter().any(|part| table.has(part)) {
        let what = "`rate_limit` without `tokens_per_second`, `tokens_per_hour` or `tokens_per_day`";
        table.mistake(table.origin.clone(), what);
    } else if table.has("burst") && !table.has("tokens_per_second") {
        table.mistake(table.origin.clone(), "`burst` is for `tokens_per_second` alone");
    }
    let tokens_per_second = table.number("tokens_per_second", 1, PER_SECOND_MAX, "");
    let burst = table.number("burst", 1, PER_SECOND_MAX, "");
    let report_only = table.flag("report_only");
    let quota = |name, window| {
        let tokens = table.number(name, 1, QUOTA_MAX, "")?;
        Some(Quota { window, tokens, report_only })
    };
    let quotas = [quota("tokens_per_hour", Window::Hour), quota("tokens_per_day", Window::Day)];
    members.take_mistakes_of(table);
    let rate = tokens_per_second.map(|tokens_per_second| RateLimit {
        tokens_per_second,
        burst: burst.unwrap_or(tokens_per_second),
        report_only,
    });
    (rate, quotas.into_iter().flatten().collect())
}
