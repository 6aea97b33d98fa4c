//! The fault rows that must hold whatever shape Redis has: each is said once, and lived through by one server alone, under Sentinel and in
//! a cluster, one after the other, under load, with a history that is checked at the end.
//!
//! Not here: what only a shape has (failovers under [`super::sentinel`], lost and moved slots under [`super::cluster`]), and names that
//! lead elsewhere, since one connector resolves them for all shapes (the tests of `store::redis`). The sentinels themselves stand beside
//! the proxies: what they say is never held up here, which [`super::sentinel`] has a row for.

use std::time::Duration;

use super::{Keys, expect_no_waiting, expect_unavailable, expect_what_needs_no_store};
use crate::harness::history::What;
use crate::harness::load::Load;
use crate::harness::stage::{Shape, Stage};
use crate::harness::{Answer, TestServer, until};

/// A server with its store, and tokens of which it must never say anything else than it does at first.
struct House {
    stage: Stage,
    keys: Keys,
    server: TestServer,
    live: String,
    revoked: String,
}

impl House {
    /// F1: started while Redis is away. Then Redis comes.
    async fn before_redis(shape: Shape) -> Self {
        let mut stage = Stage::of(shape).await;
        let keys = Keys::new();
        let genuine = keys.genuine_token().await;
        stage.kill();
        // Each outage tries wrong secrets; so many from one address would be held up.
        let builder = stage.builder().with_keys(&keys.file()).set("limits.wrong_proofs_per_minute", 200);
        let server = builder.with_usual_deadlines().start().await;
        server.get("/health/alive").await.expect(200);
        assert_eq!(server.ready().await.expect(503).json()["store"], "down");
        server.until_store_down().await;
        expect_unavailable(&server, &genuine, 2).await;
        expect_no_waiting(&server, &genuine).await;

        stage.start_again().await;
        let mut house = Self { stage, keys, server, live: String::new(), revoked: genuine };
        house.until_well().await;
        let billing = house.server.client("billing");
        house.live = known(async || billing.request_token("invoices:read").await).await.expect_token();
        house.revoked = known(async || billing.request_token("invoices:read").await).await.expect_token();
        known(async || billing.revoke(&house.revoked).await).await.expect_revoked();
        house
    }

    /// Waits until the service answers one request after another, on both workers and for all primaries.
    async fn until_well(&self) {
        self.server.until_store_up().await;
        let (billing, orders_api) = (self.server.client("billing"), self.server.resource_server("orders-api"));
        let mut good_in_a_row = 0;
        until("answers as before", async || {
            let minted = billing.request_token("invoices:read").await;
            let well = minted.status == 200 && {
                let token = minted.expect_token();
                let found = orders_api.introspect(&token).await;
                let is_found = found.status == 200;
                if is_found {
                    found.expect_active();
                }
                is_found
            };
            good_in_a_row = if well { good_in_a_row + 1 } else { 0 };
            (good_in_a_row >= 20).then_some(())
        })
        .await;
    }

    async fn expect_kept(&self) {
        self.until_well().await;
        let orders_api = self.server.resource_server("orders-api");
        known(async || orders_api.introspect(&self.live).await).await.expect_active();
        known(async || orders_api.introspect(&self.revoked).await).await.expect_inactive();
    }

    /// Nothing is known while the store is gone, and nobody waits.
    async fn expect_gone(&self) {
        self.server.until_store_down().await;
        expect_unavailable(&self.server, &self.live, 2).await;
        expect_no_waiting(&self.server, &self.live).await;
    }

    /// F9.
    async fn is_loading(&mut self) {
        self.stage.load_for_long();
        self.expect_gone().await;
        // One that waits for what Redis says, however long that looks away while it loads.
        let patient = self.stage.builder().with_keys(&self.keys.file()).start().await;
        if let Some(word) = self.stage.word_of_loading() {
            patient.until_event("store_lost", |line| line.to_string().contains(word)).await;
        }
        self.server.ready().await.expect(200);
        self.stage.until_loaded().await;
        self.expect_kept().await;
    }

    /// F2, F3.
    async fn ends(&mut self, load: &Load) {
        load.until_answered(100).await;
        self.stage.kill();
        self.expect_gone().await;
        self.stage.start_again().await;
        self.expect_kept().await;

        load.until_answered(100).await;
        self.stage.terminate().await;
        self.expect_gone().await;
        self.stage.start_again().await;
        self.expect_kept().await;
    }

    /// F5.
    async fn stands_still(&mut self) {
        self.stage.freeze();
        self.expect_gone().await;
        self.stage.thaw();
        self.expect_kept().await;
    }

    /// F6.
    async fn is_full(&mut self) {
        let (billing, orders_api) = (self.server.client("billing"), self.server.resource_server("orders-api"));
        let revoked = known(async || billing.request_token("invoices:read").await).await.expect_token();
        self.stage.run_on_each("CONFIG SET maxmemory 1");
        until("a refusal of the full store", async || {
            let refused = billing.request_token("invoices:read").await.expect_error(503, "temporarily_unavailable");
            (refused.retry_after() == 5).then_some(())
        })
        .await;
        known(async || orders_api.introspect(&self.live).await).await.expect_active();
        known(async || billing.revoke(&revoked).await).await.expect_revoked();
        known(async || orders_api.introspect(&revoked).await).await.expect_inactive();
        expect_what_needs_no_store(&self.server).await;
        self.stage.run_on_each("CONFIG SET maxmemory 0");
        self.expect_kept().await;
    }

    /// F8: refused at once, and soon left. In a cluster another has its slots by then, and is found.
    async fn is_demoted(&mut self) {
        self.stage.demote().await;
        if self.stage.shape() != Shape::Cluster {
            self.server.client("billing").revoke(&self.live).await.expect_error(503, "temporarily_unavailable");
            self.expect_gone().await;
        }
        self.stage.promote().await;
        self.expect_kept().await;
    }

    /// F13, F16.
    async fn is_cut_off(&mut self) {
        self.stage.black_hole();
        self.expect_gone().await;
        self.stage.mend().await;
        self.expect_kept().await;
        self.stage.strand();
        self.expect_kept().await;
    }

    /// F15: slower than usual, and faster than the deadline: nothing fails.
    async fn is_slow(&mut self) {
        let builder = self.stage.builder().with_keys(&self.keys.file());
        let patient = builder.set("store.operation_timeout_ms", 8000).start().await;
        patient.until_store_up().await;
        let load = Load::on(&patient, 8);
        load.until_answered(50).await;
        self.stage.delay(Duration::from_millis(100));
        load.until_answered(50).await;
        let journal = load.stop().await;
        assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
        self.stage.mend().await;
        self.expect_kept().await;
    }

    /// F17: what comes back is not what was sent, or comes in crumbs: 503 or the truth.
    async fn is_mangled(&mut self, load: &Load) {
        for corruption in [
            |piece: &[u8]| piece.repeat(2),
            |piece: &[u8]| piece[..piece.len() / 2].to_vec(),
            |piece: &[u8]| vec![b'?'; piece.len()],
            |_: &[u8]| b"$-1\r\n".to_vec(),
            |piece: &[u8]| [b"$-1\r\n".as_slice(), piece].concat(),
        ] {
            self.stage.corrupt(corruption);
            load.until_answered(50).await;
            self.stage.mend().await;
            self.expect_kept().await;
        }
        self.stage.crumble();
        load.until_answered(50).await;
        self.stage.mend().await;
        self.expect_kept().await;
    }

    /// F28: the password changes while the old and the new one are named.
    async fn changes_its_password(&mut self) {
        self.stage.run_on_each("ACL SETUSER jeton on >the-old-password ~* &* +@all");
        let builder = self.stage.builder().with_keys(&self.keys.file());
        let server = builder
            .set("store.username", "jeton")
            .set("store.password_file", "redis-password")
            .set("store.password_previous_file", "redis-password-previous")
            .file("redis-password", "the-new-password\n")
            .file("redis-password-previous", "the-old-password\n")
            .start()
            .await;
        server.until_store_up().await;
        let load = Load::on(&server, 4);
        load.until_answered(50).await;
        self.stage.run_on_each("ACL SETUSER jeton resetpass >the-new-password");
        let greeted = self.stage.calls_of("hello");
        self.stage.run_on_each("CLIENT KILL TYPE normal SKIPME yes");
        until("new connections", async || (self.stage.calls_of("hello") >= greeted + 2).then_some(())).await;
        server.until_store_up().await;
        load.until_answered(50).await;
        load.stop_and_audit(&server).await;
        assert!(server.events("store_lost").is_empty(), "one of the two always opened");
        self.expect_kept().await;
    }
}

/// The first answer of a store that can be used: a busy machine may be late for one.
async fn known(ask: impl AsyncFn() -> Answer) -> Answer {
    until("an answer of the store", async || Some(ask().await).filter(|answer| answer.status != 503)).await
}

/// All rows, one after the other. Where one fails, its name is the last that was printed.
async fn hold(shape: Shape) {
    let began = std::time::Instant::now();
    let told = |row: &str| eprintln!("{shape:?}: {row} held after {} ms", began.elapsed().as_millis());
    let mut house = House::before_redis(shape).await;
    told("F1");
    house.is_loading().await;
    told("F9");
    let load = Load::with_uses_on(&[&house.server], 4);
    house.ends(&load).await;
    told("F2, F3");
    house.stands_still().await;
    told("F5");
    house.is_full().await;
    told("F6");
    house.is_demoted().await;
    told("F8");
    house.is_cut_off().await;
    told("F13, F16");
    house.is_slow().await;
    told("F15");
    house.is_mangled(&load).await;
    told("F17");
    house.changes_its_password().await;
    told("F28");
    let journal = load.stop_and_audit(&house.server).await;
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    let counts = [What::Won, What::TurnedAway, What::MayHaveWon].map(|of| journal.history.count(|what| what == of));
    assert!(counts.iter().all(|count| *count > 0), "uses that won, were turned away, are in doubt: {counts:?}");
    assert!(journal.statuses.contains_key(&503), "no outage was seen: {:?}", journal.statuses);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_hold_on_a_single_redis() {
    hold(Shape::Single).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_hold_under_sentinel() {
    hold(Shape::Sentinel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_hold_in_a_cluster() {
    hold(Shape::Cluster).await;
}
