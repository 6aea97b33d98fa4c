//! In a cluster slots move and primaries are lost: a move costs nothing, a loss its own share of the tokens and no other.

use std::time::{Duration, Instant};

use crate::harness::load::Load;
use crate::harness::{RedisCluster, TestServer, until};

/// What a failover of one primary may take: a second until the others find it, their vote, and jeton's look. A machine that does much
/// else beside is slower.
const FAILOVER_MAX: Duration = Duration::from_secs(15);

async fn serve(cluster: &RedisCluster) -> TestServer {
    let server = TestServer::builder().with_store(&cluster.url()).with_usual_deadlines().start().await;
    server.until_store_up().await;
    // Each worker has reached each primary.
    until("tokens without a fault", async || {
        for _ in 0..20 {
            let answer = server.client("billing").request_token("invoices:read").await;
            if answer.status != 200 {
                return None;
            }
        }
        Some(())
    })
    .await;
    server
}

async fn mint(server: &TestServer, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(server.client("billing").request_token("invoices:read").await.expect_token());
    }
    tokens
}

/// Slots that hold tokens go to and fro under load, key by key: nobody sees an error, no token is lost, no revocation undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_under_load_cost_nothing() {
    let cluster = RedisCluster::start().await;
    let server = TestServer::builder().with_store(&cluster.url()).start().await;
    server.until_store_up().await;
    let load = Load::on(&server, 6);
    load.until_answered(300).await;
    let mut moved = 0;
    for round in 0..2 {
        for slot in cluster.slots_in_use() {
            moved += usize::from(cluster.move_slot(slot, (usize::from(slot) + round) % 3).await);
        }
        load.until_answered(100).await;
    }
    let journal = load.stop_and_audit(&server).await;
    assert!(moved >= 8, "only {moved} slots were moved");
    assert!(journal.failed.is_empty(), "jeton left requests unanswered: {:?}", journal.failed);
    assert_eq!(journal.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", journal.statuses);
}

/// While a primary is gone its own tokens are 503 and all others served; then its replica has its slots.
async fn lose_a_primary(lose: impl Fn(&mut RedisCluster), bring_back: impl AsyncFn(&mut RedisCluster)) {
    let mut cluster = RedisCluster::start().await;
    let server = serve(&cluster).await;
    let tokens = mint(&server, 300).await;
    cluster.until_replicated().await;
    let lost_at = Instant::now();
    lose(&mut cluster);

    let orders_api = server.resource_server("orders-api");
    let mut served = 0;
    for token in &tokens {
        let answer = orders_api.introspect(token).await;
        if answer.status == 200 {
            answer.expect_active();
            served += 1;
        } else {
            answer.expect_error(503, "temporarily_unavailable");
        }
    }
    assert!(served >= tokens.len() / 3, "only {served} of {} were served", tokens.len());
    for token in &tokens {
        until("the tokens of a lost primary on its replica", async || {
            let answer = orders_api.introspect(token).await;
            (answer.status == 200).then(|| drop(answer.expect_active()))
        })
        .await;
    }
    assert!(lost_at.elapsed() < FAILOVER_MAX, "served whole only after {:?}", lost_at.elapsed());
    cluster.until_replaced(0).await;
    bring_back(&mut cluster).await;
    cluster.until_whole().await;

    let after = mint(&server, 60).await;
    for token in tokens.iter().chain(&after) {
        orders_api.introspect(token).await.expect_active();
        server.client("billing").revoke(token).await.expect_revoked();
        orders_api.introspect(token).await.expect_inactive();
    }
}

#[tokio::test]
async fn a_killed_primary_is_replaced_by_its_replica() {
    lose_a_primary(|cluster| cluster.node(0).kill(), async |cluster| cluster.node(0).start_again().await).await;
}

#[tokio::test]
async fn a_primary_that_hangs_is_replaced_and_left() {
    lose_a_primary(|cluster| cluster.node(0).freeze(), async |cluster| cluster.node(0).thaw()).await;
}
