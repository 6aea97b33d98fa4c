//! Faults of the store and of the way to it, drawn one after the other, until so many requests were answered: no false statement.

use std::time::Duration;

use super::table::Row;
use super::{Plan, row_of};
use crate::harness::chaos::{End, Way};
use crate::harness::load::Load;
use crate::harness::{ChaosProxy, RedisServer, TestServer, until};

const CLIENTS: usize = 12;
/// Answers under each fault, and after it: so many that a long run sees each fault some ten times, a short one at least once.
fn answers_of(plan: Plan) -> u64 {
    (plan.requests / 400).clamp(200, 3000)
}

/// What is remembered of a revocation until its token would have ended.
const JOURNAL_ENTRY_BYTES: f64 = 64.0;
/// The faults; [`Rig::strike`] knows them by their place.
const FAULTS: usize = 16;

struct Rig {
    redis: RedisServer,
    chaos: ChaosProxy,
    server: TestServer,
    load: Load,
    answers: u64,
}

pub(super) async fn run(plan: Plan) -> Row {
    let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let load = Load::with_uses_on(&[&server], CLIENTS);
    let mut rig = Rig { redis, chaos, server, load, answers: answers_of(plan) };
    let mut struck = 0;
    let mut rounds = vec![rig.footprint().await];
    while rig.load.answered() < plan.requests || struck % FAULTS != 0 {
        rig.strike(struck % FAULTS).await;
        rig.heal().await;
        struck += 1;
        if struck % FAULTS == 0 {
            eprintln!("{} answers, {struck} faults", rig.load.answered());
            rounds.push(rig.footprint().await);
        }
    }
    let journal = rig.load.stop_and_audit(&rig.server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    Row { note: judge(&rounds), ..row_of(struck, &journal) }
}

/// Open files and resident bytes of the service after each round of all faults: neither grows with faults, only its journal with what was
/// revoked.
fn judge(rounds: &[(f64, f64)]) -> String {
    let (first, last) = (rounds[0], rounds[rounds.len() - 1]);
    assert!(last.0 <= first.0 + 4.0, "open files from {} to {}: {rounds:?}", first.0, last.0);
    // From the second round on, when every buffer has had its use.
    if let Some(second) = rounds.get(2) {
        assert!(last.1 <= 1.25 * second.1, "resident bytes from {} to {}: {rounds:?}", second.1, last.1);
    }
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    format!("files {} to {}, {:.1} to {:.1} MiB", first.0, last.0, mebibytes(first.1), mebibytes(last.1))
}

impl Rig {
    /// Brings about one fault and lets the clients feel it.
    async fn strike(&mut self, fault: usize) {
        let start = self.load.now();
        match fault {
            0 => self.chaos.cut().await,
            1 => self.chaos.black_hole(),
            2 => self.chaos.stall(Way::There),
            3 => self.chaos.stall(Way::Back),
            4 => self.chaos.strand(),
            5 => self.chaos.reset(),
            6 => self.chaos.end_after(usize::try_from(start % 400).unwrap(), End::Close),
            7 => self.chaos.end_after(usize::try_from(start % 400).unwrap(), End::Reset),
            8 => self.chaos.corrupt(|piece| piece.repeat(2)),
            9 => self.chaos.corrupt(|piece| piece[..piece.len() / 2].to_vec()),
            10 => self.chaos.corrupt(|_| b"$-1\r\n".to_vec()),
            11 => {
                self.chaos.delay(Duration::from_millis(start % 100));
                // Slow answers, not refusals.
                return self.load.until_answered(self.answers / 20).await;
            }
            12 => self.redis.freeze(),
            13 => {
                self.redis.kill();
                self.load.until_answered(self.answers / 10).await;
                self.redis.start_again().await;
            }
            14 => self.redis.run::<()>("CONFIG SET maxmemory 1"),
            _ => {
                self.redis.run::<()>("FLUSHALL");
                self.load.lost_since(start);
            }
        }
        self.load.until_answered(self.answers).await;
    }

    /// Takes every fault away and waits until the service is well.
    async fn heal(&mut self) {
        self.redis.thaw();
        self.redis.run::<()>("CONFIG SET maxmemory 0");
        self.chaos.mend().await;
        let billing = self.server.client("billing");
        until("a token", async || (billing.request_token("invoices:read").await.status == 200).then_some(())).await;
        self.load.until_answered(self.answers).await;
    }

    /// Open files of the service, and its resident bytes without those of its journal.
    async fn footprint(&self) -> (f64, f64) {
        let metric = async |name| self.server.metric(name, &[]).await;
        let journal = JOURNAL_ENTRY_BYTES * metric("jeton_journal_entries").await;
        (metric("process_open_fds").await, metric("process_resident_memory_bytes").await - journal)
    }
}
