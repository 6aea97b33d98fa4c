//! Somebody who publishes keys: a server that speaks TLS on loopback, answers each path as it is told, and knows what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::tls::Certificate;
use super::until;

/// The server; it ends when it is dropped.
pub(crate) struct Publisher {
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Said>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Said {
    /// By path; who asks for another waits until it is there.
    answers: HashMap<String, Vec<u8>>,
    /// Every request's head.
    asked: Vec<String>,
    connections: usize,
}

impl Publisher {
    /// Starts one that shows this certificate.
    pub(crate) async fn start(certificate: &Certificate) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, said) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Said::default())));
        let task = tokio::spawn({
            let said = said.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    said.lock().unwrap().connections += 1;
                    tokio::spawn(serve(acceptor.clone(), stream, said.clone()));
                }
            }
        });
        Self { address, said, task }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Answers a path so from now on: a status and fields, and a body.
    pub(crate) fn answer(&self, path: &str, head: &str, body: &str) {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.said.lock().unwrap().answers.insert(path.to_owned(), answer.into_bytes());
    }

    /// Publishes a set there.
    pub(crate) fn publish(&self, path: &str, set: &Value) {
        self.answer(path, "200 OK", &set.to_string());
    }

    /// The heads of all requests for a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<String> {
        let line = format!("GET {path} HTTP/1.1\r\n");
        self.said.lock().unwrap().asked.iter().filter(|asked| asked.starts_with(&line)).cloned().collect()
    }

    /// Waits until somebody has asked for a path.
    pub(crate) async fn until_asked(&self, path: &str) {
        until("a request to the publisher", async || (!self.asked(path).is_empty()).then_some(())).await;
    }

    /// Connections so far, whatever came of them.
    pub(crate) fn connections(&self) -> usize {
        self.said.lock().unwrap().connections
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, said: Arc<Mutex<Said>>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    said.lock().unwrap().asked.push(head);
    let answer = loop {
        if let Some(answer) = said.lock().unwrap().answers.get(&path).cloned() {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    // Who asked may have hung up: some of what is said here is for that.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}
