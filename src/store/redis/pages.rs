//! How long a page stays in Redis: tokens that die together share one key, one TTL, one flat listpack.
//!
//! Invariant: a page's TTL ends a minute at least, two at most, after its dead second.

use crate::oauth::time::Timestamp;
use crate::oauth::token::Page;

/// How much longer than its tokens a page lives, so that clocks of primary and replica may differ.
const TTL_MARGIN_MILLIS: u64 = 60_000;
/// So that pages that die together do not stall Redis, each lives up to so much longer still.
const TTL_SPREAD_MILLIS: u64 = 60_000;

/// The TTL of a page written now, in milliseconds: relative, since Redis has a clock of its own. It only cleans up.
pub(super) fn ttl_millis(page: Page, now: Timestamp) -> u64 {
    let alive = page.dead_second.saturating_mul(1000).saturating_sub(now.unix_millis());
    alive + TTL_MARGIN_MILLIS + u64::from(page.number) % TTL_SPREAD_MILLIS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_outlives_its_tokens_by_one_to_two_minutes() {
        let now = Timestamp::from_unix_millis(1_000_000_500);
        for number in [0, 59_999, 60_000, u32::MAX] {
            let ttl = ttl_millis(Page { dead_second: 1_000_010, number }, now);
            assert!((9_500 + 60_000..9_500 + 120_000).contains(&ttl));
            assert!(ttl_millis(Page { dead_second: 1, number }, now) >= 60_000);
        }
    }
}
