//! What goes over the wire, seen by a service that answers once.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread::{self, JoinHandle};

use super::*;

/// A service that answers one request, and hands over what it read.
fn service(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !is_whole(&request) {
            let count = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, served)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

/// A folder with a secret and a token in files.
fn files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (secret, token) = (folder.path().join("secret"), folder.path().join("token"));
    std::fs::write(&secret, "p@ss word\n").unwrap();
    std::fs::write(&token, "jt_abc\n").unwrap();
    (folder, secret, token)
}

fn at(url: String) -> Service {
    Service { url: Some(url), ca_file: None }
}

#[test]
fn get_asks_as_a_client_does() {
    let (_folder, secret, _) = files();
    let (url, served) = service("200 OK", r#"{"access_token":"jt_x","token_type":"Bearer","expires_in":3600}"#);
    let command = Command::Get {
        service: at(url + "/t1/"),
        client: Client { client_id: "a:b".into(), client_secret_file: secret },
        scope: Some("read write".into()),
        resource: vec!["https://one".into(), "https://two".into()],
        audience: Vec::new(),
        only_token: false,
    };
    run(command).unwrap();
    let request = served.join().unwrap();
    assert!(request.starts_with("POST /t1/oauth2/token HTTP/1.1\r\n"), "{request}");
    // Form-encoded, then base64: `a%3Ab:p%40ss+word`.
    assert!(request.contains("authorization: Basic YSUzQWI6cCU0MHNzK3dvcmQ=\r\n"), "{request}");
    let body = "grant_type=client_credentials&scope=read+write&resource=https%3A%2F%2Fone&resource=https%3A%2F%2Ftwo";
    assert!(request.ends_with(body), "{request}");
}

#[test]
fn an_operator_asks_with_the_admin_token() {
    let (folder, secret, token) = files();
    std::fs::write(&secret, "0123456789").unwrap();
    std::fs::write(folder.path().join("answer"), r#"{"access_token":"jt_y"}"#).unwrap();
    for (file, expected) in [(token, "token=jt_abc"), (folder.path().join("answer"), "token=jt_y")] {
        let (url, served) = service("200 OK", r#"{"active":false,"reason":"expired"}"#);
        let command = Command::Introspect {
            service: at(url),
            client: OptionalClient { client_id: None, client_secret_file: None },
            admin: true,
            token: Token { file: Some(file), token_file: Some(secret.clone()) },
        };
        run(command).unwrap();
        let request = served.join().unwrap();
        assert!(request.starts_with("POST /admin/oauth2/introspect HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer 0123456789\r\n") && request.ends_with(expected), "{request}");
    }
}

#[test]
fn a_refusal_is_told_with_a_hint() {
    let (_folder, secret, token) = files();
    let (url, served) =
        service("401 Unauthorized", r#"{"error":"invalid_client","error_description":"unknown or unproven"}"#);
    let command = Command::Revoke {
        service: at(url),
        client: Client { client_id: "a".into(), client_secret_file: secret },
        token: Token { file: None, token_file: Some(token) },
    };
    let Err(Failure::Failed { what, hint: Some(_) }) = run(command) else { panic!("no failure with a hint") };
    assert_eq!(what, "the service answers 401 invalid_client: unknown or unproven");
    assert!(served.join().unwrap().starts_with("POST /oauth2/revoke "));
}

#[test]
fn where_nobody_listens_the_place_is_named() {
    let (_folder, secret, _) = files();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let command = Command::Get {
        service: at(format!("http://{free}")),
        client: Client { client_id: "a".into(), client_secret_file: secret },
        scope: None,
        resource: Vec::new(),
        audience: Vec::new(),
        only_token: true,
    };
    let Err(Failure::Failed { what, hint: Some(_) }) = run(command) else { panic!("no failure with a hint") };
    assert!(what.starts_with(&format!("127.0.0.1 port {} cannot be reached", free.port())), "{what}");
}

#[test]
fn places_of_a_service_are_read() {
    let shown = |url| Endpoint::parse(url).map(|endpoint| endpoint.to_string()).ok();
    assert_eq!(shown("https://auth.example").as_deref(), Some("auth.example port 443"));
    assert_eq!(shown("http://[::1]:80/x").as_deref(), Some("::1 port 80"));
    assert_eq!(shown("unix:/run/s").as_deref(), Some("/run/s"));
    for url in ["auth.example", "ftp://x", "http://u:p@x", "unix:", "http://x?y"] {
        assert_eq!(shown(url), None, "{url}");
    }
    let readable = |url| Endpoint::parse(url).unwrap().is_readable_by_others();
    assert!(
        readable("http://auth.example")
            && !readable("http://127.0.0.1:1")
            && !readable("https://x")
            && !readable("unix:s")
    );
}
