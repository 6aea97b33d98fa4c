//! What fills up: series of metrics, and the embedded store.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::memory;
use crate::harness::TestServer;
use crate::harness::http1::Wire;
use crate::harness::request::{METADATA, REVOKE, Request, TOKEN};

const BATCH: u32 = 100;

/// Names of all series.
fn names(metrics: &str) -> BTreeSet<String> {
    let series = metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    series.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Each of another client, path or method.
fn made_up(n: u32) -> Request {
    match n % 5 {
        0 => Request::form(TOKEN, "grant_type=client_credentials").basic(&format!("canary-{n}"), "canary"),
        1 => Request::form(REVOKE, format!("token=x&client_id=canary-{n}&client_secret=canary")),
        2 => Request::get(&format!("/canary-{n}")),
        3 => Request::new(&format!("CANARY{n}"), METADATA),
        _ => Request::get(METADATA).header("user-agent", format!("canary-{n}")),
    }
}

/// However many names are made up: not one more series, no word of theirs, and no memory for them.
pub(super) async fn names_are_not_kept(connections: u32, batches: u32) {
    let server = TestServer::builder().start().await;
    let mut wire = Wire::connect(server.public).await;
    for n in 0..100 {
        wire.ask(&made_up(n)).await;
    }
    let (before, memory_before) = (names(&server.metrics().await), memory(&server).await);
    let mut all = JoinSet::new();
    for connection in 0..connections {
        let to = server.public;
        all.spawn(async move {
            let mut wire = Wire::connect(to).await;
            for batch in 0..batches {
                let first = 1000 + (connection * batches + batch) * BATCH;
                let requests: Vec<Request> = (first..first + BATCH).map(made_up).collect();
                let bytes: Vec<u8> = requests.iter().flat_map(|request| wire.bytes_of(request)).collect();
                wire.send(bytes).await;
                for request in &requests {
                    wire.receive(&request.method).await;
                }
            }
        });
    }
    all.join_all().await;
    let metrics = server.metrics().await;
    let more: Vec<String> = names(&metrics).difference(&before).cloned().collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(!metrics.to_ascii_lowercase().contains("canary"));
    assert!(metrics.len() < 256 * 1024, "{} bytes", metrics.len());
    let growth = memory(&server).await - memory_before;
    assert!(growth < 8.0 * 1024.0 * 1024.0, "{growth} bytes");
}

#[tokio::test]
async fn names_that_are_made_up_are_not_kept() {
    names_are_not_kept(4, 25).await;
}

/// At its cap the embedded store refuses what is new, says so, and ends nothing that lives, however long it is asked.
pub(super) async fn the_store_at_its_cap(tokens: u32, refused: u32) {
    let builder = TestServer::builder().set("store.memory_tokens_max", i64::from(tokens)).set("public.workers", 2);
    let server = builder.set("limits.live_tokens_per_client", i64::from(tokens)).start().await;
    let (billing, reader) = (server.client("billing"), server.resource_server("orders-api"));
    let mut wire = Wire::connect(server.public).await;
    let mut live = Vec::new();
    for _ in 0..tokens {
        live.push(wire.ask(&billing.token_request("")).await.expect_token());
    }
    let full = memory(&server).await;
    let request = wire.bytes_of(&billing.token_request(""));
    for _ in 0..refused / BATCH {
        wire.send(request.repeat(BATCH as usize)).await;
        for _ in 0..BATCH {
            let answer = wire.receive("POST").await.expect_error(503, "temporarily_unavailable");
            assert_eq!(answer.retry_after(), 5);
        }
    }
    let told = server.metric("jeton_token_requests_total", &["outcome=\"store_full\""]).await;
    assert_eq!(told, f64::from(refused / BATCH * BATCH));
    let growth = memory(&server).await - full;
    assert!(growth < 8.0 * 1024.0 * 1024.0, "{growth} bytes");
    for token in live.iter().step_by(7) {
        wire.ask(&reader.introspection_request(token)).await.expect_active();
    }
    wire.ask(&billing.revocation_request(&live[0])).await.expect_revoked();
    wire.ask(&billing.token_request("")).await.expect_token();
    wire.ask(&billing.token_request("")).await.expect_error(503, "temporarily_unavailable");
}

#[tokio::test]
async fn the_embedded_store_at_its_cap_ends_no_token() {
    the_store_at_its_cap(1_000, 5_000).await;
}
