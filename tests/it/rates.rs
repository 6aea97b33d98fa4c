//! Limits of one client: how many tokens it may have made, and how many different grants.

use crate::harness::clients::client;
use crate::harness::{Http, RedisServer, TestServer};

const MEMBERS: &str = "scope = \"invoices:read invoices:write\"\naudience = [\"https://api.example.com\"]";

fn limited(rate_limit: &str) -> String {
    client("limited", &format!("{MEMBERS}\n{rate_limit}"))
}

#[tokio::test]
async fn a_client_over_its_rate_is_told_to_wait_and_nobody_else() {
    let redis = RedisServer::start().await;
    for builder in [TestServer::builder(), TestServer::builder().with_redis(&redis)] {
        let registration = limited("rate_limit = { tokens_per_second = 1, burst = 2 }");
        let server = builder.and_client(&registration).start().await;
        server.until_store_up().await;
        waits_over_its_rate(&server).await;
    }
}

async fn waits_over_its_rate(server: &TestServer) {
    for http in [Http::One, Http::Two] {
        let ask = async |id: &str| http.send(server.public, &server.client(id).token_request("")).await;
        // The bucket of two fills while the tests go on: what is refused says when the next comes.
        let refused = crate::harness::until("a refusal", async || {
            let answer = ask("limited").await;
            assert_eq!(answer.header("ratelimit-policy"), Some("\"rate\";q=2;w=2"));
            let left = answer.header("ratelimit").unwrap().to_owned();
            if answer.status == 429 {
                assert!(left.starts_with("\"rate\";r=0;t="), "{left}");
                return Some(answer);
            }
            assert!(["\"rate\";r=0;t=2", "\"rate\";r=1;t=1"].contains(&left.as_str()), "{left}");
            answer.expect_token();
            None
        })
        .await;
        assert_eq!(refused.header("retry-after"), Some("1"));
        refused.expect_error(429, "temporarily_unavailable");
        let other = ask("billing").await;
        assert_eq!((other.header("ratelimit"), other.header("ratelimit-policy")), (None, None));
        other.expect_token();
    }
    let refused = server.metric("jeton_rate_limited_total", &["limit=\"issue_rate\"", "mode=\"enforce\""]).await;
    let counted = server.metric("jeton_token_requests_total", &["outcome=\"rate_limited\""]).await;
    assert!(refused >= 2.0 && refused == counted, "{refused}, {counted}");
}

#[tokio::test]
async fn a_limit_that_is_tried_is_counted_alone() {
    let registration = limited("rate_limit = { tokens_per_second = 1, report_only = true }");
    let server = TestServer::builder().and_client(&registration).start().await;
    for _ in 0..20 {
        let answer = server.send(&server.client("limited").token_request("")).await;
        assert_eq!(answer.header("ratelimit"), None);
        answer.expect_token();
    }
    assert!(server.metric("jeton_rate_limited_total", &["limit=\"issue_rate\"", "mode=\"report\""]).await >= 1.0);
    assert_eq!(server.metric("jeton_rate_limited_total", &["mode=\"enforce\""]).await, 0.0);
}

/// What is asked for twice is one grant; the usual one is none of the thousand.
#[tokio::test]
async fn a_client_may_think_of_a_thousand_grants_a_day() {
    let scopes: Vec<String> = (0..11).map(|bit| format!("s{bit}")).collect();
    let registration = client("inventive", &format!("scope = \"{}\"\naudience = [\"https://a\"]", scopes.join(" ")));
    let server = TestServer::builder().and_client(&registration).start().await;
    let inventive = server.client("inventive");
    let combination = |number: usize| {
        let chosen =
            scopes.iter().enumerate().filter(|(bit, _)| number >> bit & 1 == 1).map(|(_, scope)| scope.as_str());
        chosen.collect::<Vec<_>>().join(" ")
    };
    for number in 1..=1000 {
        inventive.request_token(&combination(number)).await.expect_token();
    }
    let refused = inventive.request_token(&combination(1001)).await;
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() <= 86_400);
    refused.expect_error(429, "temporarily_unavailable");
    inventive.request_token(&combination(1000)).await.expect_token();
    inventive.request_token("").await.expect_token();
    assert_eq!(server.metric("jeton_rate_limited_total", &["limit=\"grants\"", "mode=\"enforce\""]).await, 1.0);
}

/// Two nodes on one Redis, asked at once: together they give what the quota says and not one more, and say so.
#[tokio::test]
async fn a_quota_is_counted_by_all_nodes_together() {
    let redis = RedisServer::start().await;
    let registration = client("counted", &format!("{MEMBERS}\nrate_limit = {{ tokens_per_day = 150 }}"));
    let first = TestServer::builder().with_redis(&redis).and_client(&registration).start().await;
    let keys = first.folder().join("jeton.keys");
    let builder = TestServer::builder().with_redis(&redis).and_client(&registration);
    let second = builder.with_keys(&keys).start().await;
    first.until_store_up().await;
    second.until_store_up().await;
    let mut asks = tokio::task::JoinSet::new();
    for server in [&first, &second] {
        for _ in 0..2 {
            let asking = server.client("counted");
            asks.spawn(async move {
                let mut given = 0;
                loop {
                    let answer = asking.request_token("").await;
                    match answer.status {
                        200 => {
                            given += 1;
                            let left = answer.header("ratelimit").unwrap().to_owned();
                            assert!(left.starts_with("\"day\";r="), "{left}");
                            answer.expect_token();
                        }
                        // A busy machine: it knows nothing, and says so.
                        503 => {}
                        _ => {
                            assert_eq!(answer.header("ratelimit-policy"), Some("\"day\";q=150;w=86400"));
                            assert!(answer.header("ratelimit").unwrap().starts_with("\"day\";r=0;t="));
                            answer.expect_error(429, "temporarily_unavailable");
                            return given;
                        }
                    }
                }
            });
        }
    }
    let given: u32 = asks.join_all().await.into_iter().sum();
    // What one node took and had not given away when another found nothing is given by it, to the last; a trip that timed out is lost.
    assert!((100..=150).contains(&given), "{given}");
    let mut refused = 0.0;
    for server in [&first, &second] {
        refused += server.metric("jeton_rate_limited_total", &["limit=\"quota\"", "mode=\"enforce\""]).await;
        let outcome = server.metric("jeton_token_requests_total", &["outcome=\"quota_exceeded\""]).await;
        assert!(outcome >= 2.0, "{outcome}");
    }
    assert_eq!(refused, 4.0);
    let ttls: Vec<i64> =
        redis.keys().iter().filter(|key| key.starts_with(b"jeton:n:")).map(|key| ttl(&redis, key)).collect();
    assert!(ttls.len() == 1 && (1..=86_700).contains(&ttls[0]), "{ttls:?}");
}

fn ttl(redis: &RedisServer, key: &[u8]) -> i64 {
    redis::cmd("TTL").arg(key).query(&mut redis.connect()).unwrap()
}

/// Nobody knows whether there is one more while the store is away.
#[tokio::test]
async fn a_quota_is_not_judged_without_its_store() {
    let mut redis = RedisServer::start().await;
    let registration = client("counted", &format!("{MEMBERS}\nrate_limit = {{ tokens_per_hour = 1 }}"));
    let server = TestServer::builder().with_redis(&redis).and_client(&registration).start().await;
    server.until_store_up().await;
    redis.kill();
    server.until_store_down().await;
    server.client("counted").request_token("").await.expect_error(503, "temporarily_unavailable");
}

/// Nobody else feels it, and what was revoked makes room.
#[tokio::test]
async fn a_client_fills_its_part_of_the_embedded_store_and_no_more() {
    let server = TestServer::builder().set("limits.live_tokens_per_client", 3).start().await;
    for http in [Http::One, Http::Two] {
        let ask = async |id: &str| http.send(server.public, &server.client(id).token_request("")).await;
        let mut tokens = Vec::new();
        let refused = loop {
            let answer = ask("billing").await;
            if answer.status != 200 {
                break answer;
            }
            tokens.push(answer.expect_token());
        };
        assert_eq!(refused.header("retry-after"), Some("30"));
        refused.expect_error(429, "temporarily_unavailable");
        assert_eq!(tokens.len(), 3);
        ask("reporting").await.expect_token();
        for token in &tokens {
            server.client("billing").revoke(token).await.expect_revoked();
        }
    }
    let limited = server.metric("jeton_rate_limited_total", &["limit=\"live_tokens\"", "mode=\"enforce\""]).await;
    let told = server.metric("jeton_token_requests_total", &["outcome=\"rate_limited\""]).await;
    let faults = server.metric("jeton_store_errors_total", &["operation=\"save\""]).await;
    assert_eq!((limited, told, faults), (2.0, 2.0, 0.0));
}

/// What a client did not get is none that it had: neither while the store is away, nor for a proof that proves nothing.
#[tokio::test]
async fn a_token_that_was_not_made_is_none_of_a_quota() {
    let mut redis = RedisServer::start().await;
    let registration = client("counted", &format!("{MEMBERS}\nrate_limit = {{ tokens_per_day = 3200 }}"));
    let server = TestServer::builder().with_redis(&redis).and_client(&registration).start().await;
    server.until_store_up().await;
    let left = |answer: &crate::harness::Answer| {
        let field = answer.header("ratelimit").unwrap();
        field.strip_prefix("\"day\";r=").unwrap().split(';').next().unwrap().parse::<u32>().unwrap()
    };
    // Its worker holds a share from here on.
    let first = server.client("counted").request_token("").await;
    let before = left(&first);
    first.expect_token();
    redis.freeze();
    for _ in 0..5 {
        server.client("counted").request_token("").await.expect_error(503, "temporarily_unavailable");
    }
    redis.thaw();
    let after = crate::harness::until("a token", async || {
        let answer = server.client("counted").request_token("").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    // It may be another worker, which took a share of its own.
    assert!(left(&after) + 1 == before || left(&after) % 100 == 99, "{before}, {}", left(&after));
    after.expect_token();
}

/// A limit that is only tried refuses nobody, whatever becomes of what counts it.
#[tokio::test]
async fn a_quota_that_is_tried_refuses_nobody_where_it_cannot_be_counted() {
    let redis = RedisServer::start().await;
    let registration =
        client("counted", &format!("{MEMBERS}\nrate_limit = {{ tokens_per_day = 1, report_only = true }}"));
    let server = TestServer::builder().with_redis(&redis).and_client(&registration).start().await;
    server.until_store_up().await;
    server.client("counted").request_token("").await.expect_token();
    let mut connection = redis.connect();
    for key in redis.keys().into_iter().filter(|key| key.starts_with(b"jeton:n:")) {
        redis::cmd("DEL").arg(&key).query::<()>(&mut connection).unwrap();
        redis::cmd("LPUSH").arg(&key).arg("no number").query::<()>(&mut connection).unwrap();
    }
    // Two workers, one of which knows already that there are no more.
    for _ in 0..3 {
        server.client("counted").request_token("").await.expect_token();
    }
}
