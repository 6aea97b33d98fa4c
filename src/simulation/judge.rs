//! Whether the service can have said what it said: each answer held against what Redis really had at the time, and each token's
//! history against the checker that the tests with real processes use.
//!
//! The first judge knows more, the second knows nothing of this simulation: neither replaces the other.

use super::history::{self, History, Loss, Terms, TokenHash};
use super::ledger::{Event, Issued, Ledger, Told, What};
use super::redis::truth::{Change, Truth};
use super::stage::Micros;

/// Every promise that was broken.
pub(super) fn breaches(ledger: &Ledger, truth: &Truth) -> Vec<String> {
    let mut breaches = ledger.breaches.borrow().clone();
    for (number, events) in ledger.by_token() {
        let token = &ledger.tokens.borrow()[number];
        let Some(issue) = events.iter().find(|event| matches!(event.told, Told::Issued(_))) else { continue };
        let life = Life { token, issue, events: &events, truth };
        let found = events.iter().filter_map(|event| Some(format!("{event}: {}", life.judge(event)?)));
        let again = life.judge_its_place().map(ToOwned::to_owned);
        let found: Vec<String> = found.chain(again).chain(life.judge_as_a_stranger(number)).collect();
        if !found.is_empty() {
            let history: Vec<String> = events.iter().map(|event| format!("{:>10} {event}", event.begun)).collect();
            let changes = truth.changes(&token.place);
            let told = format!("token {number}: {changes:?}\n  {}\n  {}", found.join("\n  "), history.join("\n  "));
            breaches.push(told);
        }
    }
    breaches
}

/// A token's.
struct Life<'a> {
    token: &'a Issued,
    issue: &'a Event,
    events: &'a [Event],
    truth: &'a Truth,
}

impl Life<'_> {
    fn judge(&self, event: &Event) -> Option<&'static str> {
        let (there, away) = self.truth.within(&self.token.place, event.begun, event.ended);
        let stale = self.truth.was_read_stale(&self.token.place, event.begun, event.ended);
        match event.told {
            Told::Issued(_) => {
                let (stored, _) = self.truth.within(&self.token.place, 0, event.ended);
                (!stored).then_some("handed out and not stored")
            }
            Told::Active { expires_at_seconds } => {
                if event.shown.0 >= expires_at_seconds * 1000 {
                    Some("active after its end")
                } else if !stale && self.was_revoked_for_good(event) {
                    Some("active after its revocation was acknowledged")
                } else {
                    (!there && !stale).then_some("active, and Redis did not have it")
                }
            }
            Told::Inactive => {
                let ended = self.may_have_expired(event) || self.may_have_been_revoked(event);
                (!away && !stale && !ended).then_some("inactive, and Redis had it all the while")
            }
            Told::Revoked => {
                (!away && !self.may_have_expired(event)).then_some("acknowledged, and Redis had it all the while")
            }
            Told::Refused | Told::Unavailable | Told::Nothing => None,
        }
    }

    /// A mint is sent once: where a record was deleted, none is stored. Who has a journal would not show it.
    fn judge_its_place(&self) -> Option<&'static str> {
        let changes = self.truth.changes(&self.token.place);
        let deleted = changes.iter().position(|(_, change)| *change == Change::Deleted)?;
        let again = changes[deleted..].iter().any(|(_, change)| *change == Change::Stored);
        again.then_some("stored again after it was deleted")
    }

    /// An acknowledged revocation that Redis has not undone since. One of a token that had ended, as far as the clock of the node knew
    /// that was asked to revoke it, deletes nothing.
    fn was_revoked_for_good(&self, event: &Event) -> bool {
        let done = |one: &&Event| one.told == Told::Revoked && one.ended < event.begun && !self.may_have_expired(one);
        let revocations = self.events.iter().filter(done);
        let changes = self.truth.changes(&self.token.place);
        let undone = |since: Micros| {
            changes.iter().any(|(at, change)| *change == Change::Revived && *at >= since && *at <= event.ended)
        };
        revocations.map(|revocation| revocation.begun).any(|since| !undone(since))
    }

    /// Whether somebody asked for its end before: then a journal refuses it, whatever Redis has again.
    fn may_have_been_revoked(&self, event: &Event) -> bool {
        self.events.iter().any(|one| matches!(one.what, What::Revoke(_)) && one.begun < event.ended)
    }

    /// Whether the token may have reached its end by the clock of the node that was asked.
    fn may_have_expired(&self, event: &Event) -> bool {
        event.shown.1 >= (self.issue.shown.0 / 1000 + u64::from(self.token.lifetime_seconds)) * 1000
    }

    /// The judgement of the checker that all tests share. It knows one clock, and no store that brings back what was deleted.
    fn judge_as_a_stranger(&self, number: usize) -> Option<String> {
        let changes = self.truth.changes(&self.token.place);
        let revived = changes.iter().any(|(_, change)| *change == Change::Revived);
        if revived || !self.issue.on_time || self.truth.was_read_stale(&self.token.place, 0, Micros::MAX) {
            return None;
        }
        let lost = changes.iter().filter(|(_, change)| *change == Change::Lost);
        let losses = lost.map(|(at, _)| Loss { start: *at, end: *at }).collect();
        let token = TokenHash(number as u64);
        let events = self.events.iter().filter_map(|event| {
            let what = match (&event.told, event.what) {
                // By a clock that is wrong it may have ended, or not: only that it was to be revoked is known.
                (_, What::Revoke(_)) if !event.on_time => history::What::MayBeRevoked,
                _ if !event.on_time => return None,
                (Told::Issued(_), _) => {
                    history::What::Issued { lifetime_seconds: u64::from(self.token.lifetime_seconds) }
                }
                (Told::Active { .. }, _) => history::What::Active,
                (Told::Inactive, _) => history::What::Inactive,
                (Told::Revoked, _) => history::What::Revoked,
                (Told::Unavailable | Told::Nothing, What::Revoke(_)) => history::What::MayBeRevoked,
                (Told::Refused | Told::Unavailable | Told::Nothing, _) => return None,
            };
            Some(history::Event { token, what, start: event.begun, end: event.ended, node: event.node })
        });
        let history = History { events: events.collect(), losses };
        history.breaches(Terms::default()).first().map(ToString::to_string)
    }
}
