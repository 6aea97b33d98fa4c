//! Smuggling (RFC 9112 section 11.2): the corpus of `smuggling.txt`, none of which may become two requests.

use crate::harness::clients::secret_of;
use crate::harness::http1::Wire;
use crate::harness::request::{FORM, Request, TOKEN};
use crate::harness::{Answer, TestServer};

const CORPUS: &str = include_str!("smuggling.txt");

/// The bytes that a line stands for.
fn bytes_of(escaped: &str) -> Vec<u8> {
    let basic = Request::new("POST", TOKEN).basic("billing", &secret_of("billing")).headers.remove(0).1;
    let basic = String::from_utf8(basic).unwrap();
    let head =
        format!("POST {TOKEN} HTTP/1.1\r\nhost: as.example\r\nauthorization: {basic}\r\ncontent-type: {FORM}\r\n");
    let text = escaped
        .replace("{P}", &head)
        .replace("{GET}", "GET /health/alive HTTP/1.1\r\nhost: as.example\r\n")
        .replace("{G}", "grant_type=client_credentials")
        .replace("{S}", "GET /smuggled HTTP/1.1\r\nhost: as.example\r\n\r\n");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [b'r', ..]) => bytes.push(b'\r'),
            (b'\\', [b'n', ..]) => bytes.push(b'\n'),
            (b'\\', [b't', ..]) => bytes.push(b'\t'),
            (b'\\', [b'0', ..]) => bytes.push(0),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = &tail[2..];
            }
            (b'\\', _) => panic!("an escape nobody knows: {escaped}"),
            _ => {
                bytes.push(*first);
                continue;
            }
        }
        rest = &rest[1..];
    }
    bytes
}

/// What is wrong with how the server took it.
fn fault(answers: &[Answer]) -> Option<String> {
    let [answer] = answers else { return Some(format!("{} answers", answers.len())) };
    let refused = [400, 408, 413, 417, 431].contains(&answer.status);
    let last = answer.header("connection") == Some("close");
    (!refused && !last).then(|| format!("{}, and the connection went on", answer.status))
}

#[tokio::test]
async fn nothing_of_the_corpus_becomes_two_requests() {
    let timers = ["header_timeout_ms", "body_timeout_ms", "idle_timeout_ms"];
    let builder = timers.iter().fold(TestServer::builder(), |all, name| all.set(&format!("limits.{name}"), 1000));
    let server = builder.start().await;
    let lines = CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut faults, mut count) = (Vec::new(), 0);
    for line in lines {
        let (name, escaped) = line.split_once(' ').expect("a name and bytes");
        let mut wire = Wire::connect(server.public).await;
        let _ = wire.try_send(&bytes_of(escaped.trim_start())).await;
        // The client keeps its side open: it is the server that must close.
        let mut answers = Vec::new();
        while let Some(answer) = wire.try_receive("POST").await {
            answers.push(answer);
        }
        faults.extend(fault(&answers).map(|what| format!("{name}: {what}")));
        count += 1;
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count >= 100, "the corpus shrank to {count}");
    let smuggled = server.metric("jeton_http_requests_total", &["endpoint=\"other\"", "code=\"404\""]).await;
    assert_eq!(smuggled, 0.0, "something was smuggled");
    server.client("billing").request_token("").await.expect_token();
}
