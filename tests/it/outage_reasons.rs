//! Why the store is away, told to the operator: each reason as it comes, whatever the first was.

use crate::harness::{RedisServer, TestServer};

#[tokio::test]
async fn a_redis_that_comes_back_with_another_password_says_so() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    redis.kill();
    server.until_event("store_lost", |line| line.to_string().contains("cannot be reached")).await;
    redis.begin_to_start(&["--requirepass", "another"]);
    let line = server.until_event("store_lost", |line| line.to_string().contains("does not let us in")).await;
    assert!(!line.to_string().contains("another"), "{line}");

    redis.kill();
    redis.start_again().await;
    server.until_event("store_back", |_| true).await;
    let lost = server.events("store_lost");
    assert!(lost.len() <= 4, "one line for each reason, and no flood: {lost:#?}");
}
