//! How many frames an HTTP/2 client may send that are no request: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, crumbs of DATA
//! and what nobody knows (RFC 9113 section 10.5).
//!
//! Each costs us more than the client, and h2 has no limit of its own on those that it answers or passes over. Invariant: who stays within
//! the budget is never noticed; who does not is told ENHANCE_YOUR_CALM and let go.

/// In a second, whatever is asked: a client that measures the way with a PING for each answer sends some tens.
const A_SECOND: u32 = 1000;
/// And for each request: a window update for stream and connection, a priority, a reset.
const A_REQUEST: u32 = 4;
const SECOND_MILLIS: u64 = 1000;

/// What one connection has sent in the current second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ControlBudget {
    since: u64,
    control: u32,
    requests: u32,
}

impl ControlBudget {
    /// Frames that came by `now`, in milliseconds. Whether they were within the budget.
    pub(crate) fn spend(&mut self, now: u64, control: u32, requests: u32) -> bool {
        if now.saturating_sub(self.since) >= SECOND_MILLIS {
            *self = Self { since: now, control: 0, requests: 0 };
        }
        self.control = self.control.saturating_add(control);
        self.requests = self.requests.saturating_add(requests);
        self.control <= A_SECOND.saturating_add(self.requests.saturating_mul(A_REQUEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_budget_and_each_request_adds_to_it() {
        let mut budget = ControlBudget::default();
        assert!(budget.spend(0, 1000, 0));
        assert!(!budget.spend(999, 1, 0));
        assert!(budget.spend(999, 3, 1), "a request came");
        assert!(!budget.spend(999, 1, 0));
        assert!(budget.spend(1000, 1000, 0), "another second");
        assert!(!budget.spend(1001, u32::MAX, 0));
        assert!(budget.spend(1_000_000, u32::MAX, u32::MAX));
    }
}
