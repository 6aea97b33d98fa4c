//! The tokens a thread may name: live ones by the client that owns them, and ones that must be found inactive.
//!
//! Invariant: never more than `live_max` live ones are held, however long the run.

use std::sync::Arc;

/// A token, form-encoded as it will be sent.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Index of the client it was issued to, which alone may revoke it.
    pub(crate) client: u32,
    pub(crate) token: Box<[u8]>,
}

/// Shares of introspections, each from 0 to 1, that name a token which must be found inactive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct InactiveShares {
    /// Never issued: a live token with its end changed.
    pub(crate) forged: f64,
    /// Issued and revoked before the run.
    pub(crate) revoked: f64,
    /// Issued before the run and expired since.
    pub(crate) expired: f64,
}

#[derive(Debug)]
pub(crate) struct Stock {
    live: Vec<Held>,
    given: Arc<[Held]>,
    live_max: usize,
    revoked: Vec<Held>,
    expired: Vec<Held>,
    random: fastrand::Rng,
}

/// So many last characters of a forged token are drawn anew.
const FORGED_CHARACTERS: usize = 12;

impl Stock {
    /// `given` are asked about in place of its own live ones, where there are any.
    pub(crate) fn new(live_max: usize, given: Arc<[Held]>, seed: u64) -> Self {
        Self {
            live: Vec::new(),
            given,
            live_max,
            revoked: Vec::new(),
            expired: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }

    /// Keeps a live token; when full, in the place of another.
    pub(crate) fn keep(&mut self, held: Held) {
        if self.live.len() < self.live_max {
            self.live.push(held);
        } else if !self.live.is_empty() {
            let index = self.random.usize(..self.live.len());
            self.live[index] = held;
        }
    }

    pub(crate) fn keep_revoked(&mut self, held: Held) {
        self.revoked.push(held);
    }

    pub(crate) fn keep_expired(&mut self, held: Held) {
        self.expired.push(held);
    }

    pub(crate) fn live_max(&self) -> usize {
        self.live_max
    }

    /// A live token that nobody holds any more: for its revocation.
    pub(crate) fn take(&mut self) -> Option<Held> {
        if self.live.is_empty() {
            return None;
        }
        let index = self.random.usize(..self.live.len());
        Some(self.live.swap_remove(index))
    }

    /// All live ones, which are no longer held.
    pub(crate) fn take_all(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.live)
    }

    /// A token to introspect, written over `out`, and whether it must be found active. `None` when nothing is held.
    pub(crate) fn choose(&mut self, shares: InactiveShares, out: &mut Vec<u8>) -> Option<bool> {
        let drawn = if shares == InactiveShares::default() { 1.0 } else { self.random.f64() };
        out.clear();
        let inactive = if drawn < shares.revoked { &self.revoked } else { &self.expired };
        if drawn < shares.revoked + shares.expired && !inactive.is_empty() {
            let index = self.random.usize(..inactive.len());
            out.extend_from_slice(&inactive[index].token);
            return Some(false);
        }
        let live = if self.given.is_empty() { &self.live[..] } else { &self.given };
        if live.is_empty() {
            return None;
        }
        let index = self.random.usize(..live.len());
        out.extend_from_slice(&live[index].token);
        if drawn < shares.revoked + shares.expired + shares.forged {
            self.forge(out);
            return Some(false);
        }
        Some(true)
    }

    fn forge(&mut self, token: &mut [u8]) {
        let before = token.to_vec();
        let start = token.len().saturating_sub(FORGED_CHARACTERS);
        while token == before {
            token[start..].fill_with(|| self.random.alphanumeric() as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(token: &str) -> Held {
        Held { client: 0, token: token.as_bytes().into() }
    }

    #[test]
    fn a_full_stock_does_not_grow() {
        let mut stock = Stock::new(2, Arc::default(), 1);
        for token in ["a", "b", "c", "d"] {
            stock.keep(held(token));
        }
        assert_eq!(stock.live.len(), 2);
        assert!(stock.take().is_some() && stock.take().is_some() && stock.take().is_none());
    }

    #[test]
    fn choices_follow_the_shares() {
        let mut stock = Stock::new(1, Arc::default(), 1);
        let mut out = Vec::new();
        assert_eq!(stock.choose(InactiveShares::default(), &mut out), None);
        stock.keep(held("jt_0123456789abcdef"));
        stock.keep_revoked(held("gone"));
        stock.keep_expired(held("old"));
        assert_eq!(stock.choose(InactiveShares::default(), &mut out), Some(true));
        assert_eq!(out, b"jt_0123456789abcdef");
        let shares = InactiveShares { forged: 0.25, revoked: 0.25, expired: 0.25 };
        let (mut active, mut revoked, mut expired, mut forged) = (0, 0, 0, 0);
        for _ in 0..4000 {
            match stock.choose(shares, &mut out) {
                Some(true) => active += 1,
                Some(false) if out == b"gone" => revoked += 1,
                Some(false) if out == b"old" => expired += 1,
                Some(false) => {
                    assert_eq!(out.len(), 19);
                    assert_ne!(out, b"jt_0123456789abcdef");
                    forged += 1;
                }
                None => panic!("nothing held"),
            }
        }
        let counts = [active, revoked, expired, forged];
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
