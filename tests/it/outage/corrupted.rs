//! What comes back from Redis is doubled, cut, torn or replaced on the way: never believed, and the connection is left.

use crate::harness::chaos::Corruption;
use crate::harness::http1::Wire;
use crate::harness::{Answer, ChaosProxy, RedisServer, TestServer, until};

async fn survives(corruption: Corruption) {
    let redis = RedisServer::start().await;
    let mut chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    let live = billing.request_token("invoices:read").await.expect_token();
    let revoked = billing.request_token("invoices:read").await.expect_token();
    billing.revoke(&revoked).await.expect_revoked();
    let (ask_live, ask_revoked) = (billing.introspection_request(&live), billing.introspection_request(&revoked));
    let mint = billing.token_request("invoices:read");
    // One a worker, each of which has a connection of its own to Redis.
    let mut workers = [Wire::connect(server.public).await, Wire::connect(server.public).await];

    for _ in 0..4 {
        chaos.corrupt(corruption);
        for round in 0..6 {
            let wire = &mut workers[round % 2];
            if let Some(answer) = unless_unavailable(wire.ask(&ask_live).await) {
                answer.expect_active();
            }
            if let Some(answer) = unless_unavailable(wire.ask(&ask_revoked).await) {
                answer.expect_inactive();
            }
            if let Some(answer) = unless_unavailable(wire.ask(&mint).await) {
                answer.expect_token();
            }
        }
        chaos.mend().await;
        for wire in &mut workers {
            // What was torn before may be found behind it still.
            until("an answer of the store", async || unless_unavailable(wire.ask(&ask_live).await))
                .await
                .expect_active();
            wire.ask(&ask_live).await.expect_active();
            wire.ask(&ask_revoked).await.expect_inactive();
            wire.ask(&mint).await.expect_token();
        }
    }
}

fn unless_unavailable(answer: Answer) -> Option<Answer> {
    if answer.status != 503 {
        return Some(answer);
    }
    answer.expect_error(503, "temporarily_unavailable");
    None
}

#[tokio::test]
async fn doubled_replies() {
    survives(|piece| piece.repeat(2)).await;
}

#[tokio::test]
async fn replies_cut_short() {
    survives(|piece| piece[..piece.len() / 2].to_vec()).await;
}

#[tokio::test]
async fn garbage() {
    survives(|piece| vec![b'?'; piece.len()]).await;
}

#[tokio::test]
async fn nothing_found() {
    survives(|_| b"$-1\r\n".to_vec()).await;
}

#[tokio::test]
async fn an_array_without_end() {
    survives(|_| b"*2147483647\r\n".to_vec()).await;
}

#[tokio::test]
async fn replies_of_the_next_batch() {
    survives(|piece| [b"$-1\r\n".as_slice(), piece].concat()).await;
}
