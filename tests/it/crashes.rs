//! Panics of a real process, at the worst place of each part: whoever is harmed is told so, nobody hangs, nobody else notices, and what
//! cannot go on ends the process in order.

use crate::harness::http1::Wire;
use crate::harness::load::Load;
use crate::harness::{RedisServer, TestServer, until};

/// The actors, by their fail point and their label.
const ACTORS: [(&str, &str); 4] =
    [("Authenticator", "authenticator"), ("Minter", "minter"), ("Inspector", "inspector"), ("Revoker", "revoker")];

async fn restarts(server: &TestServer, actor: &str) -> f64 {
    server.metric("jeton_actor_restarts_total", &[&format!("actor=\"{actor}\"")]).await
}

/// F23.
#[tokio::test]
async fn an_actor_that_panics_costs_its_batch_and_is_back() {
    let mut server = TestServer::builder().with_fail_points().start().await;
    let (billing, reader) = (server.client("billing"), server.resource_server("orders-api"));
    let token = billing.request_token("invoices:read").await.expect_token();
    for (point, actor) in ACTORS {
        server.fail_at(point);
        let failed = match point {
            "Inspector" => reader.introspect(&token).await,
            "Revoker" => billing.revoke(&billing.request_token("").await.expect_token()).await,
            _ => billing.request_token("").await,
        };
        assert_eq!(failed.expect_error(503, "temporarily_unavailable").retry_after(), 1, "{point}");
        assert!(!server.is_yet_to_fail(point));
        assert_eq!(restarts(&server, actor).await, 1.0, "{point}");

        let other = billing.request_token("").await.expect_token();
        reader.introspect(&other).await.expect_active();
        billing.revoke(&other).await.expect_revoked();
        reader.introspect(&other).await.expect_inactive();
    }
    reader.introspect(&token).await.expect_active();
    server.ready().await.expect(200);
    assert_eq!(server.events("actor_restarted").len(), ACTORS.len());
}

/// Under load, on both stores: what was acknowledged is there, and nobody is told anything but the truth or 503.
#[tokio::test]
async fn actors_that_panic_under_load_lose_nothing_that_was_acknowledged() {
    let redis = RedisServer::start().await;
    for builder in [TestServer::builder(), TestServer::builder().with_redis(&redis)] {
        let mut server = builder.with_fail_points().start().await;
        server.until_store_up().await;
        let load = Load::on(&server, 16);
        for (point, actor) in ACTORS {
            load.until_answered(100).await;
            server.fail_at(point);
            until("the panic", async || (!server.is_yet_to_fail(point)).then_some(())).await;
            until("the restart", async || (restarts(&server, actor).await > 0.5).then_some(())).await;
        }
        load.until_answered(300).await;
        let journal = load.stop_and_audit(&server).await;
        assert!(journal.failed.is_empty(), "{:?}", journal.failed);
        let refused = journal.statuses.get(&503).copied().unwrap_or(0);
        assert!((1..=4 * 16).contains(&refused), "{:?}", journal.statuses);
    }
}

#[tokio::test]
async fn an_actor_that_keeps_dying_ends_the_process_in_order() {
    let builder = TestServer::builder().with_fail_points().set("limits.drain_delay_ms", 1000);
    let mut server = builder.start().await;
    let billing = server.client("billing");
    let token = billing.request_token("").await.expect_token();
    let mut wire = Wire::connect(server.public).await;
    for _ in 0..5 {
        server.ready().await.expect(200);
        server.fail_at("Minter");
        wire.ask(&billing.token_request("")).await.expect_error(503, "temporarily_unavailable");
    }
    // Not ready, and whoever comes all the same is answered: what needs no minter as ever.
    until("not ready", async || (server.ready().await.status == 503).then_some(())).await;
    wire = Wire::connect(server.public).await;
    wire.ask(&billing.introspection_request(&token)).await.expect_active();
    assert_eq!(server.until_crash().await.code(), Some(1));
    let lines = server.lines();
    assert!(lines.iter().any(|line| line == "jeton: the minter keeps dying"), "{lines:?}");
    let drain = server.events("drain_started");
    assert!(drain.len() == 1 && drain[0].to_string().contains("the minter keeps dying"), "{drain:?}");
    assert_eq!(server.events("stopped").len(), 1);
}

#[tokio::test]
async fn a_worker_that_dies_ends_the_process_in_order() {
    let builder = TestServer::builder().with_fail_points().set("limits.drain_delay_ms", 1000);
    let mut server = builder.start().await;
    let mut wires = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::connect(server.public).await;
        wire.ask(&server.client("billing").token_request("")).await.expect_token();
        wires.push(wire);
    }
    server.fail_at("Worker");
    until("not ready", async || {
        let answer = Wire::try_connect(server.admin).await.ok()?.try_ask(&ready()).await?;
        (answer.status == 503).then_some(())
    })
    .await;
    // Those of the dead worker are closed; the others are answered, and nobody waits.
    let (mut answered, mut closed) = (0, 0);
    for mut wire in wires {
        match wire.try_ask(&server.client("billing").token_request("")).await {
            Some(answer) => {
                answer.expect_token();
                answered += 1;
            }
            None => closed += 1,
        }
    }
    assert!(answered > 0 && closed > 0, "{answered} answered, {closed} closed");
    server.client("billing").request_token("").await.expect_token();
    assert_eq!(server.until_crash().await.code(), Some(1));
    let lines = server.lines();
    assert!(lines.iter().any(|line| line == "jeton: a worker died"), "{lines:?}");
}

fn ready() -> crate::harness::Request {
    crate::harness::Request::get("/health/ready")
}

#[tokio::test]
async fn a_panic_in_an_endpoint_is_a_500_and_the_connection_goes_on() {
    let mut server = TestServer::builder().with_fail_points().start().await;
    let billing = server.client("billing");
    let mut wire = Wire::connect(server.public).await;
    server.fail_at("Endpoint");
    wire.ask(&billing.token_request("")).await.expect_error(500, "server_error");
    wire.ask(&billing.token_request("")).await.expect_token();
    let counted = server.metric("jeton_http_requests_total", &["endpoint=\"token\"", "code=\"500\""]).await;
    assert_eq!(counted, 1.0);
}

#[tokio::test]
async fn a_panic_of_the_way_to_redis_is_a_connection_that_broke() {
    let redis = RedisServer::start().await;
    let mut server = TestServer::builder().with_redis(&redis).with_fail_points().start().await;
    server.until_store_up().await;
    let load = Load::on(&server, 8);
    load.until_answered(100).await;
    server.fail_at("StoreConnection");
    until("the panic", async || (!server.is_yet_to_fail("StoreConnection")).then_some(())).await;
    load.until_answered(300).await;
    let journal = load.stop().await;
    assert!(journal.failed.is_empty(), "{:?}", journal.failed);
    assert!(journal.statuses.get(&503).copied().unwrap_or(0) <= 8, "{:?}", journal.statuses);
    server.until_store_up().await;
    let restarted = server.events("task_restarted");
    assert!(restarted.len() == 1 && restarted[0].to_string().contains("connection to the store"), "{restarted:?}");
    server.ready().await.expect(200);
}

#[tokio::test]
async fn the_sweep_of_overdue_asks_is_back_after_a_panic() {
    let mut server = TestServer::builder().with_fail_points().set("public.workers", 1).start().await;
    let billing = server.client("billing");
    for _ in 0..2 {
        server.fail_at("Deadlines");
        // It sweeps while somebody asks.
        until("the panic", async || {
            billing.request_token("").await.expect_token();
            (!server.is_yet_to_fail("Deadlines")).then_some(())
        })
        .await;
    }
    until("both", async || (server.events("task_restarted").len() == 2).then_some(())).await;
    assert!(server.events("task_restarted").iter().all(|line| line.to_string().contains("sweep")));
    server.ready().await.expect(200);
}

#[tokio::test]
async fn what_is_done_by_the_clock_goes_on_after_a_panic() {
    let mut server = TestServer::builder().with_fail_points().start().await;
    server.fail_at("Upkeep");
    server.until_event("task_restarted", |line| line.to_string().contains("upkeep")).await;
    server.client("billing").request_token("").await.expect_token();
    until("a count of tokens", async || (server.metric("jeton_store_tokens", &[]).await > 0.5).then_some(())).await;
    server.ready().await.expect(200);
}

#[tokio::test]
async fn a_panic_while_a_file_is_read_is_a_reload_that_failed() {
    let mut server = TestServer::builder().with_fail_points().start().await;
    let with =
        |id: &str| format!("{}\n{}", crate::harness::clients::fixture(), crate::harness::clients::client(id, ""));
    server.fail_at("Reload");
    server.write("clients.toml", &with("first"));
    server.until_event("reload_failed", |line| line.to_string().contains("panicked")).await;
    // Not asked: whether the first is unknown now. A file of a moment ago is read again until it has settled, and then without a panic.
    server.client("billing").request_token("").await.expect_token();

    server.write("clients.toml", &with("second"));
    until("the second", async || (server.client("second").request_token("").await.status == 200).then_some(())).await;
    // Counted once they are in force.
    let counted = async || server.metric("jeton_reload_last_successful", &["subject=\"clients\""]).await;
    until("the count", async || (counted().await == 1.0).then_some(())).await;
}
