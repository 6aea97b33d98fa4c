//! What comes back from Redis is doubled, cut, torn or replaced on the way: never believed, and the connection is left.

use crate::harness::chaos::Corruption;
use crate::harness::{ChaosProxy, RedisServer, TestServer, until};

async fn survives(corruption: Corruption) {
    let redis = RedisServer::start().await;
    let mut chaos = ChaosProxy::before(redis.port()).await;
    let server = TestServer::builder().with_store(&redis.url_at(chaos.port())).with_usual_deadlines().start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    let orders_api = server.resource_server("orders-api");
    let live = billing.request_token("invoices:read").await.expect_token();
    let revoked = billing.request_token("invoices:read").await.expect_token();
    billing.revoke(&revoked).await.expect_revoked();

    for _ in 0..10 {
        chaos.corrupt(corruption);
        for _ in 0..3 {
            let answer = orders_api.introspect(&live).await;
            if answer.status == 200 {
                answer.expect_active();
            } else {
                answer.expect_error(503, "temporarily_unavailable");
            }
            let answer = orders_api.introspect(&revoked).await;
            if answer.status != 503 {
                answer.expect_inactive();
            }
            let answer = billing.request_token("invoices:read").await;
            if answer.status != 200 {
                answer.expect_error(503, "temporarily_unavailable");
            }
        }
        chaos.mend().await;
        until("an answer of the store", async || (orders_api.introspect(&live).await.status == 200).then_some(()))
            .await;
        orders_api.introspect(&live).await.expect_active();
        orders_api.introspect(&revoked).await.expect_inactive();
    }
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
