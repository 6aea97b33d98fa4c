//! What one client of a load does next, and what it makes of the answers: tokens, a history, and counts.
//!
//! The law that every single answer is held to: 200, or 503 with `Retry-After` and `temporarily_unavailable`; a right secret is never
//! refused, only what is good once and is sent again. What several answers together must not say is for [`History::breaches`] to judge.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ring::digest;

use super::client::TestClient;
use super::expect::Answer;
use super::history::{Breach, Event, History, Moment, Terms, TokenHash, What};
use super::request::Request;
use super::uses::{Use, Uses};

/// Tokens that a client goes on asking about and revoking; the others rest until the audit.
const AT_HAND_MAX: usize = 64;

/// Microseconds since the Unix epoch, on a clock that never steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    began: Instant,
    epoch_micros: Moment,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self { began: Instant::now(), epoch_micros: u64::try_from(since_epoch.as_micros()).unwrap() }
    }

    pub(crate) fn now(self) -> Moment {
        self.epoch_micros + u64::try_from(self.began.elapsed().as_micros()).unwrap()
    }
}

/// What is about to be asked.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Issue,
    Introspect(String),
    Revoke(String),
    /// Ask for a token by what is good once.
    Use(Use),
}

/// One client's part in a load.
#[derive(Debug)]
pub(crate) struct Errands {
    client: TestClient,
    watch: Watch,
    random: u64,
    at_hand: Vec<String>,
    tokens_max: usize,
    uses: Option<Uses>,
    pub(crate) journal: Journal,
}

/// What one or all clients saw.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Tokens that were issued.
    pub(crate) tokens: BTreeMap<String, Fate>,
    /// How many answers of which status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests that were sent and not answered, and why.
    pub(crate) failed: Vec<String>,
    /// Answers that are against the law.
    pub(crate) unlawful: Vec<String>,
    pub(crate) history: History,
}

/// What a client knows of a token that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Live,
    MayBeRevoked,
    Revoked,
}

impl Errands {
    /// Of this client, which asks for at most so many tokens.
    pub(crate) fn of(client: TestClient, watch: Watch, seed: u64, tokens_max: usize) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { client, watch, random, at_hand: Vec::new(), tokens_max, uses: None, journal: Journal::default() }
    }

    /// Now and then it asks by one of these.
    pub(crate) fn with_uses(self, uses: Option<Uses>) -> Self {
        Self { uses, ..self }
    }

    pub(crate) fn now(&self) -> Moment {
        self.watch.now()
    }

    /// Chooses what to ask next.
    pub(crate) fn next(&mut self) -> (Errand, Request) {
        if let Some(uses) = self.uses.clone().filter(|_| self.draw(8) == 0) {
            let one = uses.draw(self.draw(u64::MAX), self.now());
            return self.asked(Errand::Use(one));
        }
        let errand = match self.draw(20) {
            0 => Errand::Introspect(format!("jt_{:056x}", self.draw(u64::MAX))),
            1..=8 if !self.at_hand.is_empty() => {
                let at = self.draw(self.at_hand.len() as u64) as usize;
                Errand::Introspect(self.at_hand[at].clone())
            }
            9..=11 if !self.at_hand.is_empty() => {
                let at = self.draw(self.at_hand.len() as u64) as usize;
                Errand::Revoke(self.at_hand[at].clone())
            }
            _ if self.journal.tokens.len() < self.tokens_max => Errand::Issue,
            _ => Errand::Introspect(self.at_hand.last().cloned().unwrap_or_default()),
        };
        self.asked(errand)
    }

    fn asked(&self, errand: Errand) -> (Errand, Request) {
        let request = match &errand {
            Errand::Issue => self.client.token_request("invoices:read"),
            Errand::Introspect(token) => self.client.introspection_request(token),
            Errand::Revoke(token) => self.client.revocation_request(token),
            Errand::Use(one) => one.request(&self.client),
        };
        (errand, request)
    }

    /// Takes down what became of it: `answer`, or none.
    pub(crate) fn done(&mut self, errand: Errand, start: Moment, node: usize, answer: Option<&Answer>) {
        if let Some(answer) = answer {
            *self.journal.statuses.entry(answer.status).or_default() += 1;
            if !matches!(&errand, Errand::Use(one) if one.may_be_refused(answer)) {
                self.journal.hold_to_the_law(answer);
            }
        }
        let good = answer.filter(|answer| answer.status == 200);
        let event = |token: &str, what| Event { token: hash_of(token), what, start, end: self.watch.now(), node };
        match errand {
            Errand::Issue => {
                let Some((token, issued)) = good.map(issued) else { return };
                self.journal.history.events.push(event(&token, issued));
                self.journal.tokens.insert(token.clone(), Fate::Live);
                self.take_up(token);
            }
            // Who asked by an assertion is another client: the token rests until the audit.
            Errand::Use(one) => {
                self.journal.history.events.push(event(&one.text, one.judge(answer)));
                let Some((token, issued)) = good.map(issued) else { return };
                self.journal.history.events.push(event(&token, issued));
                self.journal.tokens.insert(token, Fate::Live);
            }
            Errand::Introspect(token) => {
                self.journal.history.events.extend(good.map(|answer| event(&token, said(answer))))
            }
            Errand::Revoke(token) => {
                let what = if good.is_some() { What::Revoked } else { What::MayBeRevoked };
                self.journal.history.events.push(event(&token, what));
                let fate = self.journal.tokens.get_mut(&token).expect("a token of its own");
                if *fate != Fate::Revoked {
                    *fate = if good.is_some() { Fate::Revoked } else { Fate::MayBeRevoked };
                }
            }
        }
    }

    /// Puts a token among those at hand, in the place of some other once there are enough.
    fn take_up(&mut self, token: String) {
        if self.at_hand.len() < AT_HAND_MAX {
            return self.at_hand.push(token);
        }
        let at = self.draw(AT_HAND_MAX as u64) as usize;
        self.at_hand[at] = token;
    }

    /// A number below `end` (xorshift: a load must be mixed, not unpredictable).
    fn draw(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }
}

impl Journal {
    /// Adds what another client saw.
    pub(crate) fn merge(&mut self, other: Self) {
        self.tokens.extend(other.tokens);
        self.failed.extend(other.failed);
        self.unlawful.extend(other.unlawful);
        self.history.merge(other.history);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }

    /// Tokens of which that is known.
    pub(crate) fn of_fate(&self, fate: Fate) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter(move |(_, known)| **known == fate).map(|(token, _)| token.as_str())
    }

    /// How many answers there were.
    pub(crate) fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Takes down what an introspection outside of the load said.
    pub(crate) fn introspected(&mut self, token: &str, start: Moment, end: Moment, node: usize, answer: &Answer) {
        self.hold_to_the_law(answer);
        if answer.status == 200 {
            let event = Event { token: hash_of(token), what: said(answer), start, end, node };
            self.history.events.push(event);
        }
    }

    /// Fails the test where the law or a promise was broken.
    #[track_caller]
    pub(crate) fn expect_kept(&self, terms: Terms) {
        self.expect_none_of(&self.history.breaches(terms));
    }

    /// Fails the test on any of these breaches, and where the law was broken.
    #[track_caller]
    pub(crate) fn expect_none_of(&self, breaches: &[Breach]) {
        let unlawful = &self.unlawful;
        assert!(unlawful.is_empty(), "{} unlawful answers, such as {:#?}", unlawful.len(), unlawful.first());
        let told: Vec<String> = breaches.iter().take(3).map(ToString::to_string).collect();
        assert!(breaches.is_empty(), "{} promises were broken:\n{}", breaches.len(), told.join("\n"));
    }

    fn hold_to_the_law(&mut self, answer: &Answer) {
        let lawful = match answer.status {
            200 => true,
            503 => {
                let waits = answer.header("retry-after").is_some();
                waits && answer.try_json().is_ok_and(|body| body["error"] == "temporarily_unavailable")
            }
            _ => false,
        };
        if !lawful {
            self.unlawful.push(answer.told());
        }
    }
}

/// The token of an answer, and its event.
fn issued(answer: &Answer) -> (String, What) {
    let body = answer.json();
    let lifetime_seconds = body["expires_in"].as_u64().expect("expires_in");
    (body["access_token"].as_str().expect("access_token").to_owned(), What::Issued { lifetime_seconds })
}

fn said(answer: &Answer) -> What {
    match answer.json()["active"].as_bool() {
        Some(true) => What::Active,
        Some(false) => What::Inactive,
        None => panic!("an introspection that says nothing: {}", answer.told()),
    }
}

fn hash_of(token: &str) -> TokenHash {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    TokenHash(u64::from_be_bytes(digest.as_ref()[..8].try_into().unwrap()))
}
