//! Requests from the first byte to the last of their answers, through a real connection.

use super::super::activity::CoarseClock;
use super::super::testing::{
    ADMIN_TOKEN, BILLING, ORDERS_API, TestConnection, TestService, get, limits, on_a_worker, post,
};
use super::*;
use crate::actors::testing::{Fault, StoreError};

const TOKEN: &str = "/oauth2/token";
const GRANT: &str = "grant_type=client_credentials";

fn service() -> TestService {
    TestService::start("https://as.example", limits())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_issued_introspected_and_revoked() {
    on_a_worker(async || {
        let service = service();
        let mut connection = TestConnection::open(service.public(), 65_536);
        let issued = connection.ask(post(TOKEN, BILLING, GRANT)).await;
        assert_eq!(issued.status, 200, "{issued:?}");
        assert_eq!(issued.header("content-type"), Some("application/json"));
        assert_eq!((issued.header("cache-control"), issued.header("pragma")), (Some("no-store"), Some("no-cache")));
        assert_eq!(issued.header("x-content-type-options"), Some("nosniff"));
        assert!(issued.header("date").is_some() && issued.header("connection").is_none());
        let token = issued.json()["access_token"].as_str().unwrap().to_string();

        let ask = post("/oauth2/introspect", ORDERS_API, &format!("token={token}"));
        let active = connection.ask(&ask).await;
        assert_eq!((active.status, active.json()["client_id"].as_str()), (200, Some("billing")));
        let stranger = connection.ask(post("/oauth2/introspect", ORDERS_API, "token=x")).await;
        assert_eq!(stranger.body, r#"{"active":false}"#);

        let foreign = connection.ask(post("/oauth2/revoke", ORDERS_API, &format!("token={token}"))).await;
        assert_eq!((foreign.status, foreign.error().as_str()), (400, "unauthorized_client"));
        let revoked = connection.ask(post("/oauth2/revoke", BILLING, &format!("token={token}"))).await;
        assert_eq!((revoked.status, revoked.body.as_str()), (200, ""));
        let gone = connection.ask(&ask).await;
        assert_eq!((gone.body.as_str(), gone.head.len()), (r#"{"active":false}"#, stranger.head.len()));

        let count = |series: &str| service.metric(series).unwrap_or_default();
        assert_eq!(count("jeton_token_requests_total{outcome=\"issued\"}"), "1");
        assert_eq!(count("jeton_tokens_issued_total{auth_method=\"client_secret_basic\"}"), "1");
        assert_eq!(count("jeton_introspections_total{outcome=\"malformed\"}"), "1");
        assert_eq!(count("jeton_introspections_total{outcome=\"not_found\"}"), "1");
        assert_eq!(count("jeton_revocations_total{outcome=\"not_owner\"}"), "1");
        assert_eq!(count("jeton_http_requests_total{endpoint=\"revoke\",code=\"200\"}"), "1");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_a_503_and_never_a_statement() {
    on_a_worker(async || {
        let service = service();
        let mut connection = TestConnection::open(service.public(), 65_536);
        let issued = connection.ask(post(TOKEN, BILLING, GRANT)).await;
        let token = issued.json()["access_token"].as_str().unwrap().to_string();
        let asks = [
            post(TOKEN, BILLING, GRANT),
            post("/oauth2/introspect", ORDERS_API, &format!("token={token}")),
            post("/oauth2/revoke", BILLING, &format!("token={token}")),
        ];
        let faults = [
            (Fault::Says(StoreError::Unavailable), "2"),
            (Fault::Says(StoreError::Full), "5"),
            (Fault::Hangs, "1"),
            (Fault::Panics, "1"),
        ];
        for ask in &asks {
            for (fault, retry_after) in faults {
                service.store.fault.set(Some(fault));
                let answer = connection.ask(ask).await;
                assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"), "{fault:?}");
                assert_eq!(answer.header("retry-after"), Some(retry_after), "{fault:?}");
                service.store.fault.set(None);
                // An actor that hangs in its store is asked no more until it is back: time it out of its story.
                if fault == Fault::Hangs {
                    tokio::time::advance(std::time::Duration::from_secs(1 << 20)).await;
                }
            }
        }
        service.store.fault.set(Some(Fault::Says(StoreError::Unavailable)));
        assert_eq!(connection.ask(post(TOKEN, "Basic YmlsbGluZzp3cm9uZw==", GRANT)).await.status, 401);
        assert_eq!(connection.ask(post("/oauth2/introspect", ORDERS_API, "token=jt_x")).await.status, 200);
        assert_eq!(connection.ask(get("/.well-known/oauth-authorization-server")).await.status, 200);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h01_h02_h03_methods_and_paths() {
    on_a_worker(async || {
        let service = service();
        for path in [TOKEN, "/oauth2/introspect", "/oauth2/revoke"] {
            for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
                let mut connection = TestConnection::open(service.public(), 65_536);
                connection.send(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
                connection.expect_no_body(method == "HEAD");
                let answer = connection.answer().await.unwrap();
                assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                if method != "HEAD" {
                    assert_eq!(answer.error(), "invalid_request");
                }
            }
        }
        let mut connection = TestConnection::open(service.public(), 65_536);
        let unknown = connection.ask(get("/secret-path")).await;
        assert_eq!((unknown.status, unknown.body.contains("secret-path")), (404, false));
        let wrong = connection.ask(post("/.well-known/oauth-authorization-server", "x", "")).await;
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
        assert_eq!(connection.ask(get("/metrics")).await.status, 404);
        assert_eq!(connection.ask(get("/admin/oauth2/introspect")).await.status, 404);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h03_a_head_is_a_get_without_its_body() {
    on_a_worker(async || {
        let service = service();
        let mut connection = TestConnection::open(service.public(), 65_536);
        let whole = connection.ask(get("/.well-known/openid-configuration")).await;
        connection.send("HEAD /.well-known/openid-configuration HTTP/1.1\r\nhost: x\r\n\r\n").await;
        connection.expect_no_body(true);
        let head = connection.answer().await.unwrap();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        let without_length = |head: &str| {
            let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("content-length")).collect();
            lines.sort_unstable();
            lines.join("\n")
        };
        assert_eq!(without_length(&head.head), without_length(&whole.head));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn m02_an_issuer_with_a_path_answers_with_and_without_it() {
    on_a_worker(async || {
        let service = TestService::start("https://as.example/t1", limits());
        let mut connection = TestConnection::open(service.public(), 65_536);
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/t1",
            "/.well-known/openid-configuration",
            "/t1/.well-known/openid-configuration",
        ] {
            assert_eq!(connection.ask(get(path)).await.status, 200, "{path}");
        }
        for path in ["/.well-known/oauth-authorization-server/t2", "/t1x/oauth2/token", "/t1/t1/oauth2/token"] {
            assert_eq!(connection.ask(get(path)).await.status, 404, "{path}");
        }
        for path in ["/t1/oauth2/token", TOKEN] {
            assert_eq!(connection.ask(post(path, BILLING, GRANT)).await.status, 200, "{path}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn h14_h16_what_every_request_must_be() {
    on_a_worker(async || {
        let service = service();
        let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(8192));
        for (request, status) in [
            ("GET /health/alive HTTP/1.1\r\n\r\n", 400),
            ("GET /health/alive HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
            (&*long, 414),
            ("POST /oauth2/token HTTP/1.1\r\nhost: x\r\nexpect: foo\r\ncontent-length: 5\r\n\r\n", 417),
        ] {
            let mut connection = TestConnection::open(service.public(), 65_536);
            let answer = connection.ask(request).await;
            assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{answer:?}");
            assert_eq!(answer.error(), "invalid_request");
            assert!(connection.answer().await.is_none());
        }
        let mut connection = TestConnection::open(service.public(), 65_536);
        let absolute = "GET http://elsewhere/health/alive HTTP/1.1\r\nhost: elsewhere\r\n\r\n";
        assert_eq!(connection.ask(absolute).await.status, 200);
        assert_eq!(connection.ask("GET /health/ready HTTP/1.0\r\n\r\n").await.status, 200);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_admin_listener_is_guarded() {
    on_a_worker(async || {
        let service = service();
        let mut public = TestConnection::open(service.public(), 65_536);
        let issued = public.ask(post(TOKEN, BILLING, GRANT)).await;
        let token = issued.json()["access_token"].as_str().unwrap().to_string();
        let ask = |bearer: &str| post("/admin/oauth2/introspect", bearer, &format!("token={token}"));
        let right = format!("Bearer {ADMIN_TOKEN}");

        let mut remote = TestConnection::open(service.admin(Reach::Remote), 65_536);
        let refused = remote.ask(ask(&right)).await;
        assert_eq!((refused.status, refused.error().as_str()), (403, "access_denied"));
        assert!(remote.ask(get("/metrics")).await.body.contains("jeton_http_requests_total"));
        assert_eq!(remote.ask(post(TOKEN, BILLING, GRANT)).await.status, 404);

        let mut loopback = TestConnection::open(service.admin(Reach::Private), 65_536);
        assert_eq!(loopback.ask(ask(&right)).await.json()["active"], true);
        let challenge = async |connection: &mut TestConnection, bearer: &str| {
            let answer = connection.ask(ask(bearer)).await;
            (answer.status, answer.header("www-authenticate").unwrap_or_default().to_string())
        };
        let invalid = "Bearer error=\"invalid_token\", realm=\"jeton\"";
        assert_eq!(challenge(&mut loopback, BILLING).await, (401, "Bearer realm=\"jeton\"".into()));
        assert_eq!(challenge(&mut loopback, "Bearer wrong").await, (401, invalid.into()));
        assert_eq!(challenge(&mut loopback, "Bearer").await.0, 400);

        let mut unix = TestConnection::open(service.admin(Reach::UnixSocket), 65_536);
        let why = unix.ask(post("/admin/oauth2/introspect", "Bearer x", "token=nothing")).await;
        assert_eq!(why.body, r#"{"active":false,"reason":"malformed"}"#);

        service.services.shared.admin_token.store(std::sync::Arc::new(None));
        let off = loopback.ask(ask(&right)).await;
        assert_eq!((off.status, off.body.contains("admin.token_file")), (403, true));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_process() {
    on_a_worker(async || {
        let service = service();
        let mut connection = TestConnection::open(service.public(), 65_536);
        let ready = connection.ask(get("/health/ready")).await;
        assert_eq!((ready.status, ready.body.as_str()), (200, r#"{"status":"ready","store":"up"}"#));
        service.services.shared.health.store_lost();
        let ready = connection.ask(get("/health/ready")).await;
        assert_eq!((ready.status, ready.body.as_str()), (200, r#"{"status":"ready","store":"down"}"#));
        service.services.shared.health.drain();
        let ready = connection.ask(get("/health/ready")).await;
        assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
        // The drain's `Connection: close`.
        assert_eq!(ready.header("connection"), Some("close"));
        assert!(connection.answer().await.is_none());
    })
    .await;
}

/// HTTP/2 has no such field (RFC 9113 section 8.2.2).
#[tokio::test(start_paused = true)]
async fn only_http1_is_told_that_a_connection_closes() {
    on_a_worker(async || {
        let router = service().public();
        for (version, closes) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
            let mut request = Request::post(TOKEN).header("host", "a").header("content-length", "99999");
            request = request.version(version);
            let request = request.body(Full::new(Bytes::from_static(b"x"))).unwrap();
            let activity = Activity::new(CoarseClock::default(), None);
            let response = router.clone().serve(Rc::default(), activity, request).await;
            let told = response.headers().contains_key(CONNECTION);
            assert_eq!((response.status(), told), (StatusCode::PAYLOAD_TOO_LARGE, closes));
        }
    })
    .await;
}
