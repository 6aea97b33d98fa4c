//! The checker itself: every promise can be seen to be broken, nothing that may happen is called a breach, and a search through all
//! orders comes to the same.

use proptest::prelude::*;

use super::history::{Event, History, Loss, Moment, Promise, SECOND, Terms, TokenHash, What};

const TOKEN: TokenHash = TokenHash(7);
const ISSUED: What = What::Issued { lifetime_seconds: 100 };

fn event(what: What, start: Moment, end: Moment) -> Event {
    Event { token: TOKEN, what, start: start * SECOND, end: end * SECOND, node: 0 }
}

fn on_node(node: usize, event: Event) -> Event {
    Event { node, ..event }
}

fn broken(events: &[Event], losses: &[(Moment, Moment)], terms: Terms) -> Option<Promise> {
    let losses = losses.iter().map(|&(start, end)| Loss { start: start * SECOND, end: end * SECOND }).collect();
    let breaches = History { events: events.to_vec(), losses }.breaches(terms);
    assert!(breaches.len() <= 1);
    breaches.first().map(|breach| breach.promise)
}

#[track_caller]
fn expect(promise: impl Into<Option<Promise>>, events: &[Event]) {
    assert_eq!(broken(events, &[], Terms::default()), promise.into(), "{events:#?}");
}

#[test]
fn a_life_as_it_should_be() {
    expect(None, &[]);
    expect(
        None,
        &[
            event(ISSUED, 1, 2),
            event(What::Active, 3, 4),
            event(What::Active, 4, 6),
            event(What::Revoked, 5, 8),
            // Both are under way at once: either may have come first.
            event(What::Inactive, 6, 7),
            event(What::Inactive, 9, 10),
        ],
    );
    expect(None, &[event(ISSUED, 1, 2), event(What::Active, 99, 103), event(What::Inactive, 101, 102)]);
    // Forged.
    expect(None, &[event(What::Inactive, 3, 4), event(What::Revoked, 5, 6)]);
}

#[test]
fn a_token_that_was_not_stored_or_got_lost() {
    let lost = [event(ISSUED, 1, 2), event(What::Active, 3, 4), event(What::Inactive, 5, 6)];
    expect(Promise::Stored, &lost);
    expect(Promise::Stored, &[lost[0], lost[2]]);
    // A revocation that began later explains nothing.
    expect(Promise::Stored, &[&lost[..], &[event(What::Revoked, 7, 8)]].concat());

    // But one that began before, whatever became of it, and a store that lost it.
    expect(None, &[&lost[..], &[event(What::MayBeRevoked, 3, 4)]].concat());
    assert_eq!(broken(&lost, &[(4, 5)], Terms::default()), None);
    // What the store lost before the token was there, and before it was seen alive, was not this token.
    assert_eq!(broken(&[lost[0], lost[2]], &[(0, 0)], Terms::default()), Some(Promise::Stored));
    assert_eq!(broken(&lost, &[(2, 2)], Terms::default()), Some(Promise::Stored));
    assert_eq!(broken(&lost, &[(7, 8)], Terms::default()), Some(Promise::Stored));
}

#[test]
fn a_token_that_nobody_was_given_or_that_was_given_twice() {
    expect(Promise::HandedOut, &[event(What::Active, 3, 4)]);
    expect(Promise::HandedOut, &[event(ISSUED, 5, 6), event(What::Active, 3, 4)]);
    expect(Promise::HandedOut, &[event(ISSUED, 1, 2), event(ISSUED, 3, 4)]);
    let other = Event { token: TokenHash(8), ..event(ISSUED, 3, 4) };
    expect(None, &[event(ISSUED, 1, 2), other]);
}

#[test]
fn a_revoked_token_that_lives_again() {
    let revived = [event(ISSUED, 1, 2), event(What::Revoked, 3, 4), event(What::Active, 5, 6)];
    expect(Promise::StaysRevoked, &revived);
    expect(None, &[revived[0], event(What::Revoked, 3, 5), event(What::Active, 5, 6)]);
    expect(None, &[revived[0], event(What::MayBeRevoked, 3, 4), revived[2]]);
    // Not even a store that lost the deletion excuses it.
    assert_eq!(broken(&revived, &[(4, 5)], Terms::default()), Some(Promise::StaysRevoked));

    // Unless the terms say so: then for a while, and on other nodes than the one that revoked it.
    let terms = Terms { revived_elsewhere: 2 * SECOND };
    let elsewhere = [revived[0], revived[1], on_node(1, revived[2])];
    assert_eq!(broken(&elsewhere, &[(4, 5)], terms), None);
    assert_eq!(broken(&revived, &[(4, 5)], terms), Some(Promise::StaysRevoked), "the node that revoked it");
    assert_eq!(broken(&elsewhere, &[(1, 2)], terms), Some(Promise::StaysRevoked), "the loss was before");
    let late = [revived[0], revived[1], on_node(1, event(What::Active, 8, 9))];
    assert_eq!(broken(&late, &[(4, 5)], terms), Some(Promise::StaysRevoked), "too late");
}

#[test]
fn a_token_that_outlives_itself() {
    expect(Promise::Expires, &[event(ISSUED, 1, 2), event(What::Active, 102, 103)]);
    expect(None, &[event(ISSUED, 1, 2), event(What::Active, 101, 103)]);
}

#[test]
fn a_live_token_that_was_called_inactive() {
    let lie = [event(ISSUED, 1, 2), event(What::Inactive, 3, 4), event(What::Active, 5, 6)];
    expect(Promise::NeverFalselyInactive, &lie);
    // A revocation that took effect cannot be taken back.
    let undone = [&lie[..], &[event(What::MayBeRevoked, 2, 3)]].concat();
    expect(Promise::NeverFalselyInactive, &undone);
    // But the store may have lost it, since nobody acknowledged it.
    assert_eq!(broken(&undone, &[(4, 5)], Terms::default()), None);
    assert_eq!(broken(&lie, &[(4, 5)], Terms::default()), Some(Promise::NeverFalselyInactive));
    assert_eq!(broken(&undone, &[(7, 8)], Terms::default()), Some(Promise::NeverFalselyInactive));
}

#[test]
fn what_is_good_once_wins_once() {
    let won = event(What::Won, 1, 4);
    expect(None, &[won, event(What::TurnedAway, 2, 3), event(What::TurnedAway, 5, 6), event(What::MayHaveWon, 0, 1)]);
    expect(Promise::WinsOnce, &[won, event(What::TurnedAway, 5, 6), on_node(1, event(What::Won, 7, 8))]);
    // At the same moment, and whatever the store lost.
    expect(Promise::WinsOnce, &[won, on_node(1, won)]);
    assert_eq!(broken(&[won, event(What::Won, 7, 8)], &[(5, 6)], Terms::default()), Some(Promise::WinsOnce));
    let other = Event { token: TokenHash(8), ..won };
    expect(None, &[won, other]);
}

#[test]
fn what_nobody_used_was_called_used() {
    let turned_away = event(What::TurnedAway, 3, 4);
    expect(Promise::NeverFalselyUsed, &[turned_away]);
    expect(Promise::NeverFalselyUsed, &[turned_away, event(What::TurnedAway, 1, 9), event(What::MayHaveWon, 5, 6)]);
    // A try of which nobody knows may have won long after its client gave up, but not where another did.
    expect(None, &[turned_away, event(What::MayHaveWon, 1, 2)]);
    expect(Promise::NeverFalselyUsed, &[turned_away, event(What::MayHaveWon, 1, 2), event(What::Won, 5, 6)]);
}

#[test]
fn every_token_has_its_own_register() {
    let mut history = History::default();
    for token in 0..1000 {
        let of = |event: Event| Event { token: TokenHash(token), ..event };
        let (issued, inactive) = (of(event(ISSUED, 1, 2)), of(event(What::Inactive, 3, 4)));
        history.merge(History {
            events: if token % 100 == 0 { vec![inactive, issued] } else { vec![issued] },
            losses: vec![],
        });
    }
    assert_eq!(history.breaches(Terms::default()).len(), 10);
    assert_eq!(history.count(|what| what == What::Inactive), 10);
    let told = history.breaches(Terms::default())[0].to_string();
    assert!(told.contains("Stored") && told.lines().count() == 3, "{told}");
}

/// Whether some order of these operations, each within its own time, is a token's life. `may_skip` need not have happened at all.
fn has_an_order(left: &[(Event, bool)], state: State) -> bool {
    if left.iter().all(|(_, may_skip)| *may_skip) {
        return true;
    }
    (0..left.len()).any(|next| {
        let (event, may_skip) = left[next];
        let mut rest = left.to_vec();
        rest.remove(next);
        if may_skip && has_an_order(&rest, state) {
            return true;
        }
        // Nothing that must come first is left.
        let first = rest.iter().all(|(other, _)| event.start <= other.end);
        first && state.after(event.what).is_some_and(|state| has_an_order(&rest, state))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Absent,
    Live,
    Dead,
    /// Of what is good once.
    Fresh,
    Used,
}

impl State {
    fn after(self, what: What) -> Option<Self> {
        match (self, what) {
            (Self::Absent, What::Issued { .. }) => Some(Self::Live),
            (Self::Live, What::Active) => Some(Self::Live),
            (Self::Absent | Self::Dead, What::Inactive) => Some(self),
            // Expiry too.
            (Self::Live | Self::Dead, What::Revoked | What::MayBeRevoked) => Some(Self::Dead),
            (Self::Fresh, What::Won) => Some(Self::Used),
            (Self::Used, What::TurnedAway) => Some(Self::Used),
            (Self::Fresh | Self::Used, What::MayHaveWon) => Some(Self::Used),
            _ => None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_search_through_all_orders_agrees(
        lifetime in 1_u64..12,
        others in proptest::collection::vec((0_u8..4, 0_u64..9, 0_u64..4), 0..5),
    ) {
        // Odd moments, and an odd lifetime, so that nothing happens at the very moment of expiry.
        let lifetime_seconds = 2 * lifetime + 1;
        let issue = event(What::Issued { lifetime_seconds }, 1, 3);
        let events: Vec<Event> = others
            .into_iter()
            .map(|(what, start, length)| {
                let what = [What::Active, What::Inactive, What::Revoked, What::MayBeRevoked][usize::from(what)];
                event(what, 2 * start + 5, 2 * (start + length) + 5)
            })
            .collect();
        let checked = broken(&[&[issue], &events[..]].concat(), &[], Terms::default());

        let expiry = event(What::Revoked, 1 + lifetime_seconds, 3 + lifetime_seconds);
        let mut all = vec![(issue, false), (expiry, false)];
        all.extend(events.iter().map(|&event| match event.what {
            What::MayBeRevoked => (Event { end: Moment::MAX, ..event }, true),
            _ => (event, false),
        }));
        prop_assert_eq!(checked.is_none(), has_an_order(&all, State::Absent), "{:?} {:#?}", checked, events);
    }

    #[test]
    fn a_search_through_all_orders_of_uses_agrees(
        tries in proptest::collection::vec((0_u8..3, 0_u64..9, 0_u64..4), 1..6),
    ) {
        let events: Vec<Event> = tries
            .into_iter()
            .map(|(what, start, length)| {
                event([What::Won, What::TurnedAway, What::MayHaveWon][usize::from(what)], start, start + length)
            })
            .collect();
        let all: Vec<(Event, bool)> = events
            .iter()
            .map(|&event| match event.what {
                What::MayHaveWon => (Event { end: Moment::MAX, ..event }, true),
                _ => (event, false),
            })
            .collect();
        let checked = broken(&events, &[], Terms::default());
        prop_assert_eq!(checked.is_none(), has_an_order(&all, State::Fresh), "{:?} {:#?}", checked, events);
    }
}
