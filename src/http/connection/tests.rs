//! Timers, orders and the end of a connection, on a fake stream whose sweep is the test's to do.

use super::super::testing::{BILLING, TestConnection, TestService, get, limits, on_a_worker, post};
use super::*;

const GRANT: &str = "grant_type=client_credentials";
const BUFFER: usize = 65_536;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token_request() -> String {
    post("/oauth2/token", BILLING, GRANT)
}

fn open(service: &TestService) -> TestConnection {
    TestConnection::open(service.public(), BUFFER)
}

fn service() -> TestService {
    TestService::start("https://as.example", limits())
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_as_long_as_the_idle_time() {
    on_a_worker(async || {
        let service = service();
        let (mut silent, mut used) = (open(&service), open(&service));
        silent.pass(seconds(620)).await;
        assert!(!silent.is_over());
        silent.pass(seconds(1)).await;
        assert!(silent.is_over());

        for _ in 0..2 {
            assert_eq!(used.ask(get("/health/alive")).await.status, 200);
            used.pass(seconds(619)).await;
        }
        assert!(!used.is_over());
        used.pass(seconds(2)).await;
        assert!(used.answer().await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time_from_its_first_byte() {
    on_a_worker(async || {
        let service = service();
        // As the first request, split before and after the protocol is told, and as the second.
        for (before, begun) in [("", "P"), ("", "POST /oauth2/token HTTP/1.1\r\nhost:"), (&*token_request(), "POS")] {
            let mut connection = open(&service);
            if !before.is_empty() {
                assert_eq!(connection.ask(before).await.status, 200);
            }
            connection.pass(seconds(30)).await;
            connection.send(begun).await;
            for _ in 0..4 {
                connection.pass(seconds(1)).await;
                // A byte each second does not help.
                connection.send("x").await;
            }
            assert!(!connection.is_over());
            connection.pass(Duration::from_millis(1500)).await;
            assert!(connection.is_over(), "{begun}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time_and_is_never_half_processed() {
    on_a_worker(async || {
        let service = service();
        let mut connection = open(&service);
        let request = token_request();
        connection.send(&request[..request.len() - 5]).await;
        connection.pass(seconds(5)).await;
        assert_eq!(service.metric("jeton_http_requests_total{endpoint=\"token\",code=\"408\"}").unwrap(), "0");
        connection.pass(Duration::from_millis(500)).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        assert_eq!(service.store.batches.get(), 0);

        let mut cut = open(&service);
        cut.send(&request[..request.len() - 5]).await;
        tokio::io::AsyncWriteExt::shutdown(&mut cut.stream).await.unwrap();
        let answer = cut.answer().await.unwrap();
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"));
        assert_eq!(service.store.batches.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut() {
    on_a_worker(async || {
        let service = service();
        let mut connection = TestConnection::open(service.public(), 256);
        // The answers do not fit between the two, and nobody reads them.
        connection.send(get("/health/alive").repeat(4)).await;
        connection.pass(seconds(10)).await;
        assert!(!connection.is_over());
        connection.pass(Duration::from_millis(500)).await;
        assert!(connection.is_over());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_side_gets_its_answer() {
    on_a_worker(async || {
        let service = service();
        let mut connection = open(&service);
        connection.send(token_request()).await;
        tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await.unwrap();
        assert_eq!(connection.answer().await.unwrap().status, 200);
        assert!(connection.answer().await.is_none());
        connection.task.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h19_pipelined_requests_are_answered_in_order() {
    on_a_worker(async || {
        let service = service();
        let mut connection = open(&service);
        let paths = ["/health/alive", "/nothing", "/health/ready", "/.well-known/openid-configuration"];
        connection.send((0..48).map(|n| get(paths[n % 4])).collect::<String>()).await;
        for n in 0..48 {
            let answer = connection.answer().await.unwrap();
            assert_eq!(answer.status, if n % 4 == 1 { 404 } else { 200 });
            assert_eq!(answer.header("etag").is_some(), n % 4 == 3);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h15_a_head_that_is_too_large_is_431() {
    on_a_worker(async || {
        let service = service();
        let field = |bytes: usize| format!("x: {}\r\n", "a".repeat(bytes - 5));
        let head = |fields: String| format!("GET /health/alive HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        let fixed = head(String::new()).len();
        for (fields, status) in [
            (field(16_384 - fixed), 200),
            (field(16_385 - fixed), 431),
            ("x: y\r\n".repeat(63), 200),
            ("x: y\r\n".repeat(64), 431),
            ("x: y\r\n".repeat(200), 431),
        ] {
            let mut connection = open(&service);
            let answer = connection.ask(head(fields)).await;
            assert_eq!(answer.status, status);
            if status == 431 {
                assert!(connection.answer().await.is_none());
                connection.pass(seconds(2)).await;
            }
        }
        // hyper refuses by itself what is longer than it reads; the router what has more fields than it wants.
        let count = |endpoint: &str| {
            service.metric(&format!("jeton_http_requests_total{{endpoint=\"{endpoint}\",code=\"431\"}}")).unwrap()
        };
        assert_eq!((count("other").as_str(), count("alive").as_str()), ("2", "1"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn told_to_leave_it_answers_once_more() {
    on_a_worker(async || {
        let service = service();
        let mut connection = open(&service);
        assert_eq!(connection.ask(token_request()).await.header("connection"), None);
        connection.activity.tell(Order::Leave);
        connection.pass(seconds(60)).await;
        assert!(!connection.is_over());
        assert_eq!(connection.ask(token_request()).await.header("connection"), Some("close"));
        assert!(connection.answer().await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn told_to_leave_if_idle_it_still_answers_what_has_begun() {
    on_a_worker(async || {
        let service = service();
        let (mut fresh, mut idle, mut begun) = (open(&service), open(&service), open(&service));
        assert_eq!(idle.ask(token_request()).await.status, 200);
        assert_eq!(begun.ask(token_request()).await.status, 200);
        let request = token_request();
        begun.send(&request[..20]).await;
        for connection in [&mut fresh, &mut idle, &mut begun] {
            connection.pass(Duration::from_millis(100)).await;
            connection.activity.tell(Order::LeaveIfIdle);
        }
        assert!(fresh.answer().await.is_none() && idle.answer().await.is_none());
        begun.pass(seconds(2)).await;
        let answer = begun.ask(&request[20..]).await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(begun.answer().await.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_is_read_on_for_a_moment() {
    on_a_worker(async || {
        let service = service();
        let mut connection = open(&service);
        // Far more than any buffer: what is sent after the refusal must not turn it into a reset.
        let head = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
        let refused = connection.ask(head).await;
        assert_eq!((refused.status, refused.header("connection")), (413, Some("close")));
        for _ in 0..100 {
            connection.send(vec![b'a'; 10_000]).await;
        }
        assert!(!connection.is_over());
        connection.pass(Duration::from_millis(1500)).await;
        assert!(connection.is_over());
    })
    .await;
}

/// Two servers in a row may see two requests there, or one: only one is answered.
#[tokio::test(start_paused = true)]
async fn a_line_that_ends_in_lf_alone_makes_the_next_answer_the_last() {
    on_a_worker(async || {
        let service = service();
        let (first, second) = (get("/health/alive"), get("/smuggled"));
        let bare = first.replace("\r\n\r\n", "\r\nx: y\n\n");
        for pieces in [vec![bare.clone() + &second], vec![first[..9].into(), bare[9..].into(), second.clone()]] {
            let mut connection = open(&service);
            for piece in pieces {
                connection.send(piece).await;
            }
            let answer = connection.answer().await.unwrap();
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
            assert!(connection.answer().await.is_none());
        }
        // A line end that is read in two parts is none.
        let mut connection = open(&service);
        for piece in first.split_inclusive('\r') {
            connection.send(piece).await;
            connection.pass(Duration::from_millis(100)).await;
        }
        assert_eq!(connection.answer().await.unwrap().header("connection"), None);
    })
    .await;
}
