//! How many tokens a client may have in an hour or a day, by all nodes together.
//!
//! A node does not ask the store for each token: it takes a share of what is left, and gives it away token by token. The nearer the end, the
//! smaller the shares.
//!
//! Invariant: what all nodes give away in a window is never more than the quota: a share is given away only after the store has counted it,
//! and what nobody knows of counts as taken.

use ring::digest::{Context, SHA256};

use super::standing::Standing;
use super::time::Timestamp;

/// A share is a 32nd of what is left, and so is what a node that stops takes with it.
const SHARES: u32 = 32;
/// Tokens in a share.
const SHARE_MAX: u32 = 1000;

/// Of which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
}

/// So many tokens in each of such times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of which time.
    pub window: Window,
    /// How many.
    pub tokens: u32,
    /// Whether whoever is over it is counted alone, and served.
    pub report_only: bool,
}

/// What a node holds of one quota.
#[derive(Debug)]
pub struct Share {
    quota: Quota,
    /// Which of its windows.
    window: u64,
    /// Tokens that may be given away.
    left: u32,
    /// Tokens that nobody has taken yet, as the store said last.
    untaken: Option<u32>,
}

impl Window {
    /// How long it is.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    fn number(self, now: Timestamp) -> u64 {
        now.unix_seconds() / u64::from(self.seconds())
    }

    /// Whole seconds until the next one.
    pub fn rest_seconds(self, now: Timestamp) -> u32 {
        let past = now.unix_seconds() % u64::from(self.seconds());
        self.seconds() - u32::try_from(past).unwrap_or(0)
    }
}

impl Quota {
    /// What the store counts this window's tokens of a client by: the same on every node.
    pub fn name(&self, client_id: &str, now: Timestamp) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(self.window.as_str().as_bytes());
        context.update(&self.window.number(now).to_be_bytes());
        context.update(client_id.as_bytes());
        let mut name = [0; 32];
        name.copy_from_slice(context.finish().as_ref());
        name
    }
}

impl Share {
    /// Nothing, of this quota's window of now.
    pub fn of(quota: Quota, now: Timestamp) -> Self {
        Self { quota, window: quota.window.number(now), left: 0, untaken: None }
    }

    /// Whether it is of this quota, and of its window of now.
    pub fn is_of(&self, quota: &Quota, now: Timestamp) -> bool {
        self.quota == *quota && self.window == quota.window.number(now)
    }

    /// Whether it is of this window, which is not over.
    pub fn is_in(&self, window: Window, now: Timestamp) -> bool {
        self.window == window.number(now)
    }

    /// Tokens to ask the store for, so that so many can be given away; 0: there are enough, or it has no more.
    pub fn wanting(&self, asked: u32) -> u32 {
        if self.left >= asked || self.untaken == Some(0) {
            return 0;
        }
        let share = (self.untaken.unwrap_or(self.quota.tokens) / SHARES).clamp(1, SHARE_MAX);
        share.max(asked - self.left)
    }

    /// The store counted `added` more, `total` in all.
    pub fn add(&mut self, added: u32, total: u64) {
        let quota = u64::from(self.quota.tokens);
        let beyond = total.saturating_sub(quota).min(u64::from(added));
        self.left += added - u32::try_from(beyond).unwrap_or(added);
        self.untaken = Some(u32::try_from(quota.saturating_sub(total)).unwrap_or(0));
    }

    /// Whether a token can be given away.
    pub fn has_one(&self) -> bool {
        self.left > 0
    }

    /// Gives one away.
    pub fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// One that was given away at `taken` has not been used. Of a window that is over it is worth nothing.
    pub fn take_back(&mut self, taken: Timestamp) {
        if self.is_in(self.quota.window, taken) {
            self.left = self.left.saturating_add(1);
        }
    }

    /// How the client stands, as far as is known here. `over`: it gets no token.
    pub fn standing(&self, now: Timestamp, over: bool) -> Standing {
        let rest = self.quota.window.rest_seconds(now);
        Standing {
            name: self.quota.window.as_str(),
            quota: self.quota.tokens,
            window_seconds: self.quota.window.seconds(),
            remaining: self.left.saturating_add(self.untaken.unwrap_or(0)),
            reset_seconds: rest,
            retry_after_seconds: over.then_some(rest),
            report_only: self.quota.report_only,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn quota(window: Window, tokens: u32) -> Quota {
        Quota { window, tokens, report_only: false }
    }

    #[test]
    fn each_client_and_window_has_a_name_of_its_own() {
        let hour = quota(Window::Hour, 5);
        let next = Timestamp::from_unix_seconds(NOW.unix_seconds() + u64::from(Window::Hour.rest_seconds(NOW)));
        let names =
            [hour.name("a", NOW), hour.name("b", NOW), hour.name("a", next), quota(Window::Day, 5).name("a", NOW)];
        for (at, name) in names.iter().enumerate() {
            assert!(names[..at].iter().all(|other| other != name));
        }
        assert_eq!(hour.name("a", NOW), quota(Window::Hour, 6).name("a", NOW), "a quota may change on its way");
        let last = Timestamp::from_unix_seconds(next.unix_seconds() - 1);
        assert_eq!((hour.name("a", last), Window::Hour.rest_seconds(last)), (names[0], 1));
        assert!(Share::of(hour, NOW).is_of(&hour, last) && !Share::of(hour, NOW).is_of(&hour, next));
    }

    #[test]
    fn shares_shrink_towards_the_end_and_nothing_is_asked_for_after_it() {
        let mut share = Share::of(quota(Window::Hour, 3200), NOW);
        assert_eq!((share.wanting(1), share.wanting(300)), (100, 300));
        share.add(100, 100);
        assert_eq!((share.wanting(100), share.standing(NOW, false).remaining), (0, 3200));
        share.add(100, 3180);
        assert_eq!(share.wanting(201), 1);
        share.add(100, 3250);
        assert_eq!((share.standing(NOW, true).remaining, share.wanting(251)), (250, 0), "there are no more");
    }

    proptest! {
        /// Nodes that share a counter, whose answers are now and then lost.
        #[test]
        fn all_together_never_give_away_more(
            tokens in 1_u32..500, steps in prop::collection::vec((0_usize..4, 1_u32..20, prop::bool::weighted(0.1)), 1..300)
        ) {
            let mut shares: Vec<Share> = (0..4).map(|_| Share::of(quota(Window::Day, tokens), NOW)).collect();
            let (mut counter, mut given) = (0_u64, 0_u64);
            for (node, asked, lost) in steps {
                let share = &mut shares[node];
                let wanting = share.wanting(asked);
                if wanting > 0 {
                    counter += u64::from(wanting);
                    if !lost {
                        share.add(wanting, counter);
                    }
                }
                for _ in 0..asked {
                    if share.has_one() {
                        share.take();
                        given += 1;
                    }
                }
                prop_assert!(given <= u64::from(tokens), "{given} of {tokens}");
            }
        }
    }
}
