//! HTTP/1.1 byte by byte: what is sent is exactly what the test says, half requests and pipelines too.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::expect::Answer;
use super::request::Request;
use super::tls::{self, Stream};
use super::wait::within_patience;

/// One connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    authority: String,
    buffer: Vec<u8>,
    read_bytes: usize,
}

impl Wire {
    /// Connects to a listener.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::try_connect(to).await.unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"))
    }

    /// Connects to a listener that may be gone.
    pub(crate) async fn try_connect(to: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::over(tls::connect_http1(to).await?, &to.to_string()))
    }

    /// Over a stream to somebody of this name.
    pub(crate) fn over(stream: Box<dyn Stream>, authority: &str) -> Self {
        Self { stream, authority: authority.to_owned(), buffer: Vec::new(), read_bytes: 0 }
    }

    /// Connects to a unix socket.
    pub(crate) async fn connect_unix(path: &std::path::Path) -> Self {
        let stream = UnixStream::connect(path).await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::over(Box::new(stream), "localhost")
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Answer {
        // An answer may come before the whole request is sent, and the connection may then be closed.
        let _ = self.try_send(&self.bytes_of(request)).await;
        self.receive(&request.method).await
    }

    /// Sends a request and reads its answer; why there is none, or only a part of one, where the connection ends. `halves`: how long
    /// it pauses in the middle of the request.
    pub(crate) async fn exchange(&mut self, request: &Request, halves: Option<Duration>) -> Result<Answer, String> {
        let bytes = self.bytes_of(request);
        let (begin, end) = bytes.split_at(halves.map_or(0, |_| bytes.len() / 2));
        let mut sent = self.try_send(begin).await;
        if let Some(pause) = halves {
            tokio::time::sleep(pause).await;
        }
        if sent.is_ok() {
            sent = self.try_send(end).await;
        }
        match self.read_answer(&request.method).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(format!("the connection ended before an answer (sending: {sent:?})")),
            Err(within) => Err(format!("the connection ended within {within}")),
        }
    }

    /// As [`Wire::ask`]; `None` when the connection ends with no answer.
    pub(crate) async fn try_ask(&mut self, request: &Request) -> Option<Answer> {
        let _ = self.try_send(&self.bytes_of(request)).await;
        self.try_receive(&request.method).await
    }

    /// The bytes of a request: `Host`, its headers, and `Content-Length` unless it frames itself or is a GET or HEAD with no body.
    pub(crate) fn bytes_of(&self, request: &Request) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.target, self.authority).into_bytes();
        for (name, value) in &request.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let framed = request.headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding");
        let bare = request.body.is_empty() && ["GET", "HEAD"].contains(&request.method.as_str());
        if !framed && !bare {
            bytes.extend(format!("content-length: {}\r\n", request.body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&request.body);
        bytes
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).await.expect("the server closed the connection");
    }

    /// Sends bytes as they are, to a server that may have closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within_patience("sending", self.stream.write_all(bytes)).await
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Reads one answer to a request of this method; a `100 Continue` is an answer of its own.
    pub(crate) async fn receive(&mut self, method: &str) -> Answer {
        self.try_receive(method).await.expect("the connection ended before an answer")
    }

    /// Reads one answer; `None` when the connection ends before one has begun.
    pub(crate) async fn try_receive(&mut self, method: &str) -> Option<Answer> {
        match self.read_answer(method).await {
            Ok(answer) => answer,
            Err(within) => panic!("the connection ended within {within}: {:?}", String::from_utf8_lossy(&self.buffer)),
        }
    }

    /// Reads one answer; within what the connection ended, where it did.
    async fn read_answer(&mut self, method: &str) -> Result<Option<Answer>, &'static str> {
        let end_of_head = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more().await {
                return if self.buffer.is_empty() { Ok(None) } else { Err("a head") };
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end_of_head).collect();
        let mut answer = parse_head(std::str::from_utf8(&head).expect("a head that is no text"));
        if method != "HEAD" && answer.status >= 200 && ![204, 304].contains(&answer.status) {
            answer.body = self.read_body(&answer).await?;
        }
        Ok(Some(answer))
    }

    /// Whether the server closes the connection without a further byte, sooner or later.
    pub(crate) async fn until_closed(&mut self) {
        while self.read_more().await {}
        assert!(self.buffer.is_empty(), "unasked bytes: {:?}", String::from_utf8_lossy(&self.buffer));
    }

    /// All bytes up to the end of the connection.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.buffer)
    }

    async fn read_body(&mut self, answer: &Answer) -> Result<Vec<u8>, &'static str> {
        if answer.header("transfer-encoding") == Some("chunked") {
            return self.read_chunks().await;
        }
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("content-length");
            return self.read_bytes(length).await;
        }
        assert_eq!(answer.header("connection"), Some("close"), "a body whose end nobody can tell");
        Ok(self.read_to_end().await)
    }

    async fn read_chunks(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut body = Vec::new();
        loop {
            let size = self.read_line().await?;
            let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).expect("a chunk's size");
            body.extend(self.read_bytes(size).await?);
            assert_eq!(self.read_line().await?, "", "behind a chunk");
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn read_line(&mut self) -> Result<String, &'static str> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8(line).unwrap());
            }
            if !self.read_more().await {
                return Err("a line");
            }
        }
    }

    /// Reads one answer, and how many bytes it has.
    pub(crate) async fn length_of_answer(&mut self) -> usize {
        let (before, answer) = (self.read_bytes, self.receive("POST").await);
        assert!(self.buffer.is_empty(), "more than an answer");
        drop(answer);
        self.read_bytes - before
    }

    /// So many bytes, whatever they are.
    pub(crate) async fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        self.read_bytes(count).await.unwrap_or_else(|within| panic!("the connection ended within {within}"))
    }

    async fn read_bytes(&mut self, count: usize) -> Result<Vec<u8>, &'static str> {
        while self.buffer.len() < count {
            if !self.read_more().await {
                return Err("a body");
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    async fn read_more(&mut self) -> bool {
        // A reset is an end too: it follows where the server closed on bytes it had not read.
        let count = within_patience("reading", self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0);
        self.read_bytes += count;
        count > 0
    }
}

fn parse_head(head: &str) -> Answer {
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().unwrap();
    let status = status_line.strip_prefix("HTTP/1.1 ").or_else(|| status_line.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest[..3].parse().ok()).unwrap_or_else(|| panic!("status line: {status_line}"));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("header line: {line}"));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Answer { status, headers: headers.collect(), body: Vec::new() }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
