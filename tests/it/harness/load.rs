//! Load: connections that mint, introspect and revoke until they are told to stop, and hold every answer to the law.
//!
//! The law: a token that was issued with 200 and not revoked is active, or the answer is 503; one that was revoked with 200 is
//! inactive, or the answer is 503; nobody is told anything else. What was answered is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::expect::Answer;
use super::http1::Wire;
use super::request::Request;
use super::server::TestServer;
use super::wait::until;

/// Load on one server.
#[derive(Debug)]
pub(crate) struct Load {
    connections: JoinSet<Journal>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

/// What one or all connections saw.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Tokens issued with 200 and not revoked.
    pub(crate) live: Vec<String>,
    /// Tokens revoked with 200.
    pub(crate) revoked: Vec<String>,
    /// How many answers of which status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests that were sent and never answered.
    pub(crate) unanswered: u64,
    /// What broke the law.
    pub(crate) breaches: Vec<String>,
}

impl Load {
    /// Starts this many connections; each waits for an answer before its next request.
    pub(crate) fn on(server: &TestServer, connections: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let mut connection = Connection {
                billing: server.client("billing"),
                stop: Arc::clone(&stop),
                answered: Arc::clone(&answered),
                keep: false,
                told_to_close: false,
                journal: Journal::default(),
            };
            tasks.spawn(async move {
                connection.run().await;
                connection.journal
            });
        }
        Self { connections: tasks, stop, answered }
    }

    /// Waits until this many more answers have come.
    pub(crate) async fn until_answered(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        until("answers under load", async || (self.answered.load(Ordering::Relaxed) >= goal).then_some(())).await;
    }

    /// Waits until every connection has ended by itself (a drain), or ends it, and returns what they saw; fails the test on a breach.
    pub(crate) async fn stop(self) -> Journal {
        self.stop.store(true, Ordering::Relaxed);
        self.until_ended().await
    }

    /// As [`Load::stop`], but only waits.
    pub(crate) async fn until_ended(self) -> Journal {
        let mut all = Journal::default();
        for journal in self.connections.join_all().await {
            all.live.extend(journal.live);
            all.revoked.extend(journal.revoked);
            all.unanswered += journal.unanswered;
            all.breaches.extend(journal.breaches);
            for (status, count) in journal.statuses {
                *all.statuses.entry(status).or_default() += count;
            }
        }
        assert!(
            all.breaches.is_empty(),
            "{} breaches: {:#?}",
            all.breaches.len(),
            &all.breaches[..all.breaches.len().min(5)]
        );
        all
    }
}

struct Connection {
    billing: super::TestClient,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    keep: bool,
    told_to_close: bool,
    journal: Journal,
}

impl Connection {
    /// Ends when told to, and when the server drains: it says `close`, and a good client opens no new connection to it.
    async fn run(&mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(mut wire) = Wire::try_connect(self.billing.server).await else { return };
            while !self.stop.load(Ordering::Relaxed) {
                if !self.one_round(&mut wire).await {
                    break;
                }
            }
            if self.told_to_close {
                return;
            }
        }
    }

    /// A token, its introspection, and for every other one its revocation; `false` when the connection is to be left.
    async fn one_round(&mut self, wire: &mut Wire) -> bool {
        let Some((answer, goes_on)) = self.ask(wire, &self.billing.token_request("invoices:read")).await else {
            return false;
        };
        if answer.status != 200 || !goes_on {
            if answer.status == 200 {
                self.journal.live.push(answer.expect_token());
            }
            return goes_on;
        }
        let token = answer.expect_token();
        self.journal.live.push(token.clone());

        let Some((answer, goes_on)) = self.ask(wire, &self.billing.introspection_request(&token)).await else {
            return false;
        };
        if answer.status == 200 && answer.json()["active"] != true {
            self.journal.breaches.push(format!("a live token was called inactive: {}", answer.told()));
        }
        self.keep = !self.keep;
        if !goes_on || self.keep {
            return goes_on;
        }
        self.revoke(wire, &token).await
    }

    async fn revoke(&mut self, wire: &mut Wire, token: &str) -> bool {
        // From here on its state is unknown until a 200.
        self.journal.live.pop();
        let Some((answer, goes_on)) = self.ask(wire, &self.billing.revocation_request(token)).await else {
            return false;
        };
        if answer.status != 200 || !goes_on {
            return goes_on;
        }
        self.journal.revoked.push(token.to_owned());
        let Some((answer, goes_on)) = self.ask(wire, &self.billing.introspection_request(token)).await else {
            return false;
        };
        if answer.status == 200 && answer.json()["active"] != false {
            self.journal.breaches.push(format!("a revoked token was called active: {}", answer.told()));
        }
        goes_on
    }

    /// The answer, and whether the connection may be used again.
    async fn ask(&mut self, wire: &mut Wire, request: &Request) -> Option<(Answer, bool)> {
        let Some(answer) = wire.try_ask(request).await else {
            self.journal.unanswered += 1;
            return None;
        };
        *self.journal.statuses.entry(answer.status).or_default() += 1;
        self.answered.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 => {}
            503 if answer.header("retry-after").is_some() && answer.json()["error"] == "temporarily_unavailable" => {}
            _ => self.journal.breaches.push(answer.told()),
        }
        self.told_to_close |= answer.header("connection") == Some("close");
        Some((answer, !self.told_to_close))
    }
}
