//! Limits of one client: how many tokens it may have made, and how many different grants.

use crate::harness::clients::client;
use crate::harness::{Http, TestServer};

const MEMBERS: &str = "scope = \"invoices:read invoices:write\"\naudience = [\"https://api.example.com\"]";

async fn server(rate_limit: &str) -> TestServer {
    TestServer::builder().and_client(&client("limited", &format!("{MEMBERS}\n{rate_limit}"))).start().await
}

#[tokio::test]
async fn a_client_over_its_rate_is_told_to_wait_and_nobody_else() {
    let server = server("rate_limit = { tokens_per_second = 1, burst = 2 }").await;
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
    let server = server("rate_limit = { tokens_per_second = 1, report_only = true }").await;
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
