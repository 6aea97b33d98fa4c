//! Row W14: what is taken of an answer.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"}"#;

/// What comes of a server that answers so; and what it was asked.
async fn asked(place: &KeyPlace, answer: &[u8]) -> (Result<FetchedKeys, FetchError>, String) {
    let (ours, mut theirs) = duplex(1 << 20);
    let server = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(theirs.read_u8().await.unwrap());
        }
        // It may be hung up on: that is what some answers are for.
        let _ = theirs.write_all(answer).await;
        drop(theirs);
        String::from_utf8(request).unwrap()
    };
    tokio::join!(get(place, ours), server)
}

fn place() -> KeyPlace {
    KeyPlace::parse("https://keys.example:8443/a/jwks?b=c").unwrap()
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{head}\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn w14_a_set_is_asked_for_plainly_and_taken() {
    let (fetched, request) =
        asked(&place(), &answer("cache-control: max-age=600\r\n", &format!("{{\"keys\":[{KEY}]}}"))).await;
    let fetched = fetched.unwrap();
    assert_eq!((fetched.keys.len(), fetched.max_age.map(|age| age.as_secs())), (1, Some(600)));
    assert!(request.starts_with("GET /a/jwks?b=c HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: keys.example:8443\r\n") && !request.contains("authorization"), "{request}");
    let by_their_close = format!("HTTP/1.1 200 OK\r\n\r\n{{\"keys\":[{KEY},{{\"kty\":\"oct\",\"k\":\"AA\"}}]}}");
    assert_eq!(asked(&place(), by_their_close.as_bytes()).await.0.unwrap().keys.len(), 1);
    assert_eq!(asked(&place(), &answer("", "{\"keys\":[]}")).await.0.unwrap().keys.len(), 0, "all are taken back");
}

#[tokio::test]
async fn w14_anything_else_is_no_set() {
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    let private = KEY.replace("\"x\"", "\"d\":\"AA\",\"x\"");
    let set = format!("{{\"keys\":[{KEY}]}}");
    for (answer, expected) in [
        (
            b"HTTP/1.1 302 Found\r\nlocation: https://b.example/\r\ncontent-length: 0\r\n\r\n".to_vec(),
            FetchOutcome::Status,
        ),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), FetchOutcome::Status),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), FetchOutcome::Status),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), FetchOutcome::Broken),
        (Vec::new(), FetchOutcome::Broken),
        (answer("content-encoding: gzip\r\n", &set), FetchOutcome::Broken),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), FetchOutcome::Broken),
        (answer(&format!("a: {}\r\n", "b".repeat(HEAD_BYTES_MAX)), &set), FetchOutcome::Broken),
        (answer(&"a: b\r\n".repeat(HEADERS_MAX + 1), &set), FetchOutcome::Broken),
        (answer("", &long), FetchOutcome::TooLarge),
        (format!("HTTP/1.1 200 OK\r\n\r\n{long}").into_bytes(), FetchOutcome::TooLarge),
        (answer("", "<html>"), FetchOutcome::Malformed),
        (answer("", "[]"), FetchOutcome::Malformed),
        (answer("", "{}"), FetchOutcome::Malformed),
        (answer("", &format!("{{\"keys\":[{KEY}],\"keys\":[]}}")), FetchOutcome::Malformed),
        (answer("", &format!("{{\"keys\":[{}]}}", vec![KEY; 33].join(","))), FetchOutcome::Malformed),
        (answer("", &format!("{{\"keys\":[{KEY},{private}]}}")), FetchOutcome::Malformed),
    ] {
        let found = asked(&place(), &answer).await.0.unwrap_err();
        assert_eq!(found.outcome, expected, "{found}: {}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
    }
}

#[tokio::test]
async fn a_token_is_read_when_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let place = place().opened_by(path.clone());
    let refused = get(&place, duplex(64).0).await.unwrap_err();
    assert!(refused.what.contains("the token for it"), "{refused}");
    for token in ["one", "two\n"] {
        std::fs::write(&path, token).unwrap();
        let body = json!({ "keys": [] }).to_string();
        let request = asked(&place, &answer("", &body)).await.1;
        assert!(request.contains(&format!("authorization: Bearer {}\r\n", token.trim())), "{request}");
    }
    for token in ["a\nb", &"x".repeat(20_000)] {
        std::fs::write(&path, token).unwrap();
        assert!(get(&place, duplex(64).0).await.is_err());
    }
}
