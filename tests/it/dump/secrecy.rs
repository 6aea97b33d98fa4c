//! Whoever reads Redis, at rest or on the wire, reads no token, secret, client or scope.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use data_encoding::BASE64URL_NOPAD;

use crate::harness::clients::{API, client, secret_of};
use crate::harness::errands::Journal;
use crate::harness::load::Load;
use crate::harness::{RedisServer, TestServer};

/// What must not be found, in any form: as it is used, and the bytes behind it.
fn forbidden(journal: &Journal) -> Vec<(String, Vec<u8>)> {
    let mut words: Vec<(String, Vec<u8>)> =
        ["billing", "reporting", "named", "invoices", API, "example.com", "svc:named", "acme", "tenant", "client_id"]
            .map(|word| (word.to_owned(), word.as_bytes().to_vec()))
            .into();
    for id in ["billing", "reporting", "named"] {
        words.push((format!("the secret of {id}"), secret_of(id).into_bytes()));
        words.push((format!("the raw secret of {id}"), BASE64URL_NOPAD.decode(secret_of(id).as_bytes()).unwrap()));
    }
    for token in journal.tokens.keys() {
        let raw = BASE64URL_NOPAD.decode(&token.as_bytes()[3..]).unwrap();
        words.push((format!("the token {token}"), token.as_bytes()[3..].to_vec()));
        words.push((format!("the random bits of {token}"), raw[10..30].to_vec()));
        words.push((format!("the tag of {token}"), raw[30..42].to_vec()));
    }
    words
}

fn expect_secrecy(bytes: &[u8], journal: &Journal, place: &str) {
    assert!(bytes.len() > 1000, "{place} is all but empty");
    for (what, word) in forbidden(journal) {
        let found = bytes.windows(word.len()).any(|window| window == word);
        assert!(!found, "{place} holds {what}");
    }
}

#[tokio::test]
async fn a_dump_holds_nothing_readable() {
    let redis = RedisServer::start_with(&["--rdbcompression", "no", "--appendonly", "yes"]).await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    server.client("named").request_token("").await.expect_token();
    let load = Load::on(&server, 4);
    load.until_answered(200).await;
    redis.run::<()>("SAVE");
    let journal = load.stop().await;
    expect_secrecy(&std::fs::read(redis.folder().join("dump.rdb")).unwrap(), &journal, "the dump");
    for file in std::fs::read_dir(redis.folder().join("appendonlydir")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|kind| kind == "aof") {
            expect_secrecy(&bytes, &journal, "the append-only file");
        }
    }
}

#[tokio::test]
async fn a_monitor_sees_nothing_readable() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    let stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    (&stream).write_all(b"MONITOR\r\n").unwrap();
    let mut monitor = BufReader::new(stream);
    let mut line = String::new();
    monitor.read_line(&mut line).unwrap();
    assert_eq!(line, "+OK\r\n");

    let load = Load::on(&server, 4);
    load.until_answered(200).await;
    let journal = load.stop().await;
    server.client("named").request_token("").await.expect_token();
    redis.run::<()>("ECHO that-is-all");
    let mut seen = Vec::new();
    while !line.contains("that-is-all") {
        line.clear();
        monitor.read_line(&mut line).unwrap();
        seen.extend(unescape(line.as_bytes()));
    }
    assert!(seen.windows(4).any(|window| window.eq_ignore_ascii_case(b"HSET")), "no token was written");
    // Names of commands and of jeton's own keys hold no word of the list.
    expect_secrecy(&seen, &journal, "the monitor");
}

/// A client's registration stands in no key, value or name either when it holds what is unusual.
#[tokio::test]
async fn a_clients_words_stand_nowhere() {
    let redis = RedisServer::start_with(&["--rdbcompression", "no"]).await;
    let canary = client(
        "canary-id",
        "scope = \"canary-scope\"\naudience = [\"https://canary-audience.example\"]\nsubject = \"canary-subject\"\nclaims = { canary_claim = \"canary-value\" }",
    );
    let server = TestServer::builder().and_client(&canary).with_redis(&redis).start().await;
    server.until_store_up().await;
    let token = server.client("canary-id").request_token("canary-scope").await.expect_token();
    server.client("canary-id").introspect(&token).await.expect_active();
    redis.run::<()>("SAVE");
    let dump = std::fs::read(redis.folder().join("dump.rdb")).unwrap();
    assert!(!dump.windows(6).any(|window| window.eq_ignore_ascii_case(b"canary")));
}

/// Undoes the escapes of MONITOR, so that raw bytes are found too.
fn unescape(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'a') => bytes.push(7),
            Some(b'b') => bytes.push(8),
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    bytes
}
