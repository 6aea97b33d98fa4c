//! One connection's (or stream's) work: choose what to ask, ask it, count the answer, again.
//!
//! Invariant: what is asked and what is held are borrowed only between awaits, never across one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::Plan;
use super::stage::{Stage, StageCell};
use crate::answer::{self, Answer, Expectation, Verdict};
use crate::client::form_encoded;
use crate::operation::Operation;
use crate::pace::Pace;
use crate::request::Draft;
use crate::slices::Slice;
use crate::stock::{Held, Stock};
use crate::tally::Tally;
use crate::wire::{Wire, WireError};

/// A connection that failed waits so long: a service that is away is not to be asked in a busy loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// What the askers of one thread have in common.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) plan: Arc<Plan>,
    pub(super) stage: Arc<StageCell>,
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) stock: RefCell<Stock>,
    pub(super) tally: RefCell<Tally>,
    /// The token being asked about; a buffer that is kept.
    pub(super) token: RefCell<Vec<u8>>,
    /// Measured requests that may still be asked.
    pub(super) requests_left: Cell<u64>,
    /// Who may ask now, where not all may at once.
    pub(super) turns: Option<Semaphore>,
    /// Tokens issued.
    pub(super) issued: Cell<u64>,
    /// Requests under way.
    pub(super) pending: Cell<u64>,
    /// What ended since the last second that was told; `None` when nobody looks on.
    pub(super) second: RefCell<Option<Slice>>,
    /// When the last of the tokens that shall be expired is.
    pub(super) expires: Cell<Option<Instant>>,
}

/// What was asked, kept until the answer is there.
#[derive(Clone, Copy, Debug)]
struct Asked {
    operation: Operation,
    expectation: Expectation,
    client: u32,
}

pub(super) async fn ask_until_over(desk: Rc<Desk>, mut wire: Wire) {
    let mut started = Instant::now();
    loop {
        if let Some(pace) = &desk.pace {
            let Some(intended) = pace.next().await else { break };
            started = intended;
        }
        let turn = match &desk.turns {
            // Never closed.
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        let Some(asked) = desk.next(&mut wire) else { break };
        desk.pending.set(desk.pending.get() + 1);
        let result = wire.exchange().await;
        desk.pending.set(desk.pending.get() - 1);
        let finished = Instant::now();
        let failed = result.is_err();
        desk.count(asked, started, finished, result);
        started = finished;
        drop(turn);
        if desk.plan.new_connections {
            wire.close().await;
        }
        if failed {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            started = Instant::now();
        }
    }
}

impl Desk {
    /// Chooses the next request and loads it; `None` when there is nothing more to ask.
    fn next(&self, wire: &mut Wire) -> Option<Asked> {
        if self.stage.is(Stage::Over) {
            return None;
        }
        if self.stage.is(Stage::Measuring) {
            self.requests_left.set(self.requests_left.get().checked_sub(1)?);
        }
        let mut stock = self.stock.borrow_mut();
        match self.plan.shares.pick(stock.random()) {
            Operation::Issue => {
                let client = stock.random().usize(..self.plan.clients.len());
                drop(stock);
                Some(self.load_issue(wire, client))
            }
            Operation::Introspect => self.load_introspection(wire, &mut stock),
            Operation::Revoke => match stock.take() {
                Some(held) => {
                    self.load_revocation(wire, &held);
                    let (operation, expectation) = (Operation::Revoke, Expectation::Done);
                    Some(Asked { operation, expectation, client: held.client })
                }
                None => self.instead(wire),
            },
        }
    }

    fn load_issue(&self, wire: &mut Wire, client: usize) -> Asked {
        let endpoint = &self.plan.endpoints[Operation::Issue as usize];
        wire.load(Draft { endpoint, credential: &self.plan.clients[client], token: b"" });
        Asked { operation: Operation::Issue, expectation: Expectation::Token, client: client as u32 }
    }

    fn load_introspection(&self, wire: &mut Wire, stock: &mut Stock) -> Option<Asked> {
        let mut token = self.token.borrow_mut();
        let Some(active) = stock.choose(self.plan.inactive, &mut token) else { return self.instead(wire) };
        let caller = stock.random().usize(..self.plan.introspectors.len());
        let endpoint = &self.plan.endpoints[Operation::Introspect as usize];
        wire.load(Draft { endpoint, credential: &self.plan.introspectors[caller], token: &token });
        Some(Asked { operation: Operation::Introspect, expectation: Expectation::Active(active), client: 0 })
    }

    pub(super) fn load_revocation(&self, wire: &mut Wire, held: &Held) {
        let endpoint = &self.plan.endpoints[Operation::Revoke as usize];
        let credential = &self.plan.clients[held.client as usize];
        wire.load(Draft { endpoint, credential, token: &held.token });
    }

    /// Nothing is held that could be named: a mix issues one, a workload without issues is at its end.
    fn instead(&self, wire: &mut Wire) -> Option<Asked> {
        self.plan.shares.has(Operation::Issue).then(|| self.load_issue(wire, 0))
    }

    fn count(&self, asked: Asked, started: Instant, finished: Instant, result: Result<Answer<'_>, WireError>) {
        let (since, latency) = (self.stage.since_started(finished), finished - started);
        let measuring = self.stage.is(Stage::Measuring);
        let mut right = false;
        match result {
            Ok(answer) => {
                let verdict = answer.verdict(asked.expectation);
                right = verdict == Verdict::Right;
                if right && self.keeps(asked) {
                    self.keep_issued(asked, &answer);
                }
                if measuring {
                    self.tally.borrow_mut().answered(asked.operation, answer, verdict, latency, since);
                }
            }
            Err(error) if measuring => self.tally.borrow_mut().failed(error, since),
            Err(_) => {}
        }
        if measuring && let Some(second) = self.second.borrow_mut().as_mut() {
            second.count(right.then_some(latency));
        }
    }

    /// Whether a token that was just issued is wanted later, in this run or another.
    fn keeps(&self, asked: Asked) -> bool {
        let number = self.issued.get();
        if asked.operation == Operation::Issue {
            self.issued.set(number + 1);
        }
        self.plan.shares.need_tokens() || self.plan.harvest.as_ref().is_some_and(|harvest| harvest.wants(number))
    }

    /// Holds the token of an answer to an issue.
    fn keep_issued(&self, asked: Asked, answer: &Answer<'_>) {
        if let Some(held) = held(asked, answer) {
            self.stock.borrow_mut().keep(held);
        }
    }
}

/// The token that an issue was answered with.
fn held(asked: Asked, answer: &Answer<'_>) -> Option<Held> {
    if asked.operation != Operation::Issue || answer.status != 200 {
        return None;
    }
    let token = std::str::from_utf8(answer::access_token(answer.body)?).ok()?;
    Some(Held { client: asked.client, token: form_encoded(token).into_bytes().into() })
}
