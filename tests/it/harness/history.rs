//! What clients did and were told, and whether a service that keeps its promises can have told them so.
//!
//! A token is a register: issued, then perhaps revoked, then expired. Each operation took effect at one moment between its start and
//! its end. A revocation whose result is unknown may take effect at any moment after its start, or never; a token request or an
//! introspection whose result is unknown says nothing of any token, so neither is written down. Registers of different tokens know
//! nothing of each other, and each dies once: so a look at the extremes of one token's operations decides exactly whether an order of
//! moments explains them (`history_tests.rs` compares that with a search through all orders).
//!
//! What is good once, an assertion or a proof of possession, is a register too: it wins, and is turned away from then on. A try whose result
//! is unknown may have won at any moment after its start, or never.
//!
//! Knows nothing of HTTP, of Redis and of real time, and uses the standard library alone: simulations include this file by its path.

use std::collections::HashMap;
use std::fmt;

/// Microseconds of one clock that all clients of a history share. Tokens expire at whole seconds of it.
pub(crate) type Moment = u64;

pub(crate) const SECOND: Moment = 1_000_000;

/// Stands for a token, or for what is good once, so that a history holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TokenHash(pub(crate) u64);

/// An operation together with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A token request was answered 200. The token lives for so long from the whole second in which it was made.
    Issued { lifetime_seconds: u64 },
    /// An introspection said active.
    Active,
    /// An introspection said inactive.
    Inactive,
    /// A revocation was answered 200.
    Revoked,
    /// A revocation was answered otherwise, or not at all.
    MayBeRevoked,
    /// What is good once was taken.
    Won,
    /// It was called used.
    TurnedAway,
    /// Its try was answered otherwise, or not at all.
    MayHaveWon,
}

/// One operation on one token, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) token: TokenHash,
    pub(crate) what: What,
    pub(crate) start: Moment,
    pub(crate) end: Moment,
    /// Which node of the service answered.
    pub(crate) node: usize,
}

/// A time within which the store lost writes that were made before it: tokens, and deletions that nobody acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) start: Moment,
    pub(crate) end: Moment,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Promise {
    /// A token was stored before it was handed out: unless the store lost it, it is active until it is revoked or expires.
    Stored,
    /// A token is handed out once, and none is active that was never handed out.
    HandedOut,
    /// A token whose revocation was acknowledged is never active again, on any node.
    StaysRevoked,
    /// No token is active at or after its expiry.
    Expires,
    /// Inactive is said only of tokens that are: never of one that is active later.
    NeverFalselyInactive,
    /// What is good once wins once, on whatever node.
    WinsOnce,
    /// It is called used only when somebody has used it.
    NeverFalselyUsed,
}

/// How far the promises go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// For so long after a loss a node other than the one that revoked a token may call it active.
    pub(crate) revived_elsewhere: Moment,
}

/// A promise that was broken, with all that is known of the token.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) promise: Promise,
    pub(crate) events: Vec<Event>,
}

/// What happened, in any order.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    pub(crate) losses: Vec<Loss>,
}

impl History {
    /// Adds what others saw.
    pub(crate) fn merge(&mut self, other: Self) {
        self.events.extend(other.events);
        self.losses.extend(other.losses);
    }

    /// How many operations had such a result.
    pub(crate) fn count(&self, fits: impl Fn(What) -> bool) -> usize {
        self.events.iter().filter(|event| fits(event.what)).count()
    }

    /// Every promise that was broken; one for each token, or use, at most.
    pub(crate) fn breaches(&self, terms: Terms) -> Vec<Breach> {
        let mut tokens: HashMap<TokenHash, Vec<Event>> = HashMap::new();
        for event in &self.events {
            tokens.entry(event.token).or_default().push(*event);
        }
        let judge = |mut events: Vec<Event>| {
            events.sort_by_key(|event| (event.start, event.end));
            let register = Register { events: &events, losses: &self.losses, terms };
            let promise = if register.is_of_a_use() { register.broken_use() } else { register.broken() }?;
            Some(Breach { promise, events })
        };
        let mut breaches: Vec<Breach> = tokens.into_values().filter_map(judge).collect();
        breaches.sort_by_key(|breach| breach.events[0].start);
        breaches
    }
}

/// One token's operations.
struct Register<'a> {
    events: &'a [Event],
    losses: &'a [Loss],
    terms: Terms,
}

impl<'a> Register<'a> {
    fn broken(&self) -> Option<Promise> {
        let mut issues = self.that(|what| matches!(what, What::Issued { .. }));
        let Some(issue) = issues.next() else {
            return self.that(|what| what == What::Active).next().map(|_| Promise::HandedOut);
        };
        if issues.next().is_some() || self.actives().any(|active| active.end < issue.start) {
            return Some(Promise::HandedOut);
        }
        let (earliest, latest) = expiry(issue);
        if self.actives().any(|active| active.start >= latest) {
            return Some(Promise::Expires);
        }
        if self.actives().any(|active| self.revoked_before(active).any(|revoked| !self.may_revive(revoked, active))) {
            return Some(Promise::StaysRevoked);
        }
        let last_active = self
            .actives()
            .filter(|active| self.revoked_before(active).next().is_none())
            .max_by_key(|active| active.start);
        // Nobody knows a token that is still on its way.
        let inactives = || self.that(|what| what == What::Inactive).filter(|inactive| inactive.start >= issue.end);
        if let Some(active) = last_active
            && inactives().any(|inactive| inactive.end < active.start && !self.undone_between(inactive, active))
        {
            return Some(Promise::NeverFalselyInactive);
        }
        let alive_at = last_active.map_or(issue.start, |active| active.start.max(issue.start));
        let explained = |inactive: &Event| {
            earliest <= inactive.end
                || self.revocations().any(|revocation| revocation.start <= inactive.end)
                || self.losses.iter().any(|loss| loss.start <= inactive.end && loss.end >= alive_at)
        };
        // One before the last active was undone; what explains it has been looked at.
        let unexplained = |inactive: &Event| inactive.end >= alive_at && !explained(inactive);
        inactives().any(unexplained).then_some(Promise::Stored)
    }

    fn is_of_a_use(&self) -> bool {
        self.that(|what| matches!(what, What::Won | What::TurnedAway | What::MayHaveWon)).next().is_some()
    }

    /// Whatever the store lost: then nothing is known of its uses, which is no answer.
    fn broken_use(&self) -> Option<Promise> {
        let winner = self.that(|what| what == What::Won).next();
        if self.that(|what| what == What::Won).count() > 1 {
            return Some(Promise::WinsOnce);
        }
        // Where one won, no other did, whatever became of it.
        let used = self.that(|what| what == What::MayHaveWon).filter(|_| winner.is_none()).chain(winner);
        let first = used.map(|used| used.start).min().unwrap_or(Moment::MAX);
        let mut turned_away = self.that(|what| what == What::TurnedAway);
        turned_away.any(|turned_away| turned_away.end < first).then_some(Promise::NeverFalselyUsed)
    }

    fn that(&self, fits: impl Fn(What) -> bool) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| fits(event.what))
    }

    fn actives(&self) -> impl Iterator<Item = &'a Event> {
        self.that(|what| what == What::Active)
    }

    fn revocations(&self) -> impl Iterator<Item = &'a Event> {
        self.that(|what| matches!(what, What::Revoked | What::MayBeRevoked))
    }

    /// The acknowledged revocations that had ended when this introspection began.
    fn revoked_before(&self, active: &'a Event) -> impl Iterator<Item = &'a Event> {
        self.that(|what| what == What::Revoked).filter(move |revoked| revoked.end < active.start)
    }

    /// Whether the terms let a node that did not revoke the token call it active for a while after a loss.
    fn may_revive(&self, revoked: &Event, active: &Event) -> bool {
        let grace = self.terms.revived_elsewhere;
        let recent = |loss: &Loss| loss.end >= revoked.start && active.start <= loss.end + grace;
        grace > 0 && active.node != revoked.node && self.losses.iter().any(recent)
    }

    /// Whether a revocation that nobody acknowledged took effect, was seen, and was then lost by the store.
    fn undone_between(&self, inactive: &Event, active: &Event) -> bool {
        let unacknowledged =
            self.that(|what| what == What::MayBeRevoked).any(|revocation| revocation.start <= inactive.end);
        unacknowledged && self.losses.iter().any(|loss| loss.end >= inactive.start && loss.start <= active.end)
    }
}

/// The earliest and the latest moment at which the token of this answer expires.
fn expiry(issue: &Event) -> (Moment, Moment) {
    let What::Issued { lifetime_seconds } = issue.what else { return (Moment::MAX, Moment::MAX) };
    let from = |moment: Moment| (moment / SECOND + lifetime_seconds) * SECOND;
    (from(issue.start), from(issue.end))
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, what, start, end, node } = self;
        let (hash, took) = (token.0, end.saturating_sub(*start));
        write!(f, "{start} +{took} us, node {node}, token {hash:016x}: {what:?}")
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {:?}", self.promise)?;
        self.events.iter().try_for_each(|event| write!(f, "\n  {event}"))
    }
}
