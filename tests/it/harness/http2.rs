//! HTTP/2 through hyper's client: by prior knowledge, or as TLS agreed on it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::http::HeaderValue;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::task::AbortHandle;

use super::expect::Answer;
use super::request::Request;
use super::tls::{self, Stream};
use super::wait::within_patience;

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The connection takes no more requests, and none of this one was sent.
    NotSent,
    /// It was sent, and its stream or the connection ended.
    Failed(String),
}

impl Unanswered {
    /// A graceful GOAWAY that was read in the moment before the request was taken: the HTTP/2 layer below refuses to open a stream, and
    /// hyper does not hand the request back. (It says the same of a stream beyond the last one of a GOAWAY, which RFC 9113 section 6.8
    /// declares untouched.)
    fn of(error: &hyper::Error) -> Self {
        let why = format!("{error:?}");
        if why.contains("NO_ERROR, Remote") { Self::NotSent } else { Self::Failed(why) }
    }
}

/// One connection. Ends on drop.
#[derive(Debug)]
pub(crate) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    connection: AbortHandle,
}

impl Wire {
    /// Connects to a listener.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::try_connect(to).await.unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"))
    }

    /// Connects to a listener that may be gone.
    pub(crate) async fn try_connect(to: SocketAddr) -> std::io::Result<Self> {
        Self::over(tls::connect_http2(to).await?, &to.to_string()).await
    }

    /// Over a stream to somebody of this name.
    pub(crate) async fn over(stream: Box<dyn Stream>, authority: &str) -> std::io::Result<Self> {
        let (sender, connection) = handshake(Executor, Io(stream)).await.map_err(std::io::Error::other)?;
        let connection = tokio::spawn(async { drop(connection.await) }).abort_handle();
        Ok(Self { sender, authority: authority.to_owned(), connection })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Answer {
        self.try_ask(request).await.unwrap_or_else(|error| panic!("no answer over HTTP/2: {error:?}"))
    }

    /// Sends a request; an error when the server resets the stream or ends the connection.
    pub(crate) async fn try_ask(&mut self, request: &Request) -> hyper::Result<Answer> {
        let built = self.build(request);
        within_patience("an answer over HTTP/2", async {
            self.sender.ready().await?;
            receive(self.sender.send_request(built).await?).await
        })
        .await
    }

    /// Sends a request and reads its answer; why there is none, and whether any of the request was sent.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<Answer, Unanswered> {
        let built = self.build(request);
        within_patience("an answer over HTTP/2", async {
            self.sender.ready().await.map_err(|_| Unanswered::NotSent)?;
            let response =
                self.sender.try_send_request(built).await.map_err(|mut error| match error.take_message() {
                    Some(_) => Unanswered::NotSent,
                    None => Unanswered::of(&error.into_error()),
                })?;
            receive(response).await.map_err(|error| Unanswered::Failed(format!("{error:?}")))
        })
        .await
    }

    fn build(&self, request: &Request) -> hyper::Request<Full<Bytes>> {
        let uri = format!("http://{}{}", self.authority, request.target);
        let mut built = hyper::Request::builder().method(request.method.as_str()).uri(uri);
        for (name, value) in &request.headers {
            built = built.header(name.as_str(), HeaderValue::from_bytes(value).unwrap());
        }
        built.body(Full::new(Bytes::from(request.body.clone()))).unwrap()
    }

    /// Another sender on the same connection, for streams beside each other.
    pub(crate) fn share(&self) -> Self {
        Self { sender: self.sender.clone(), authority: self.authority.clone(), connection: self.connection.clone() }
    }

    /// Whether the connection has ended or takes no more requests (GOAWAY).
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

async fn receive(response: hyper::Response<Incoming>) -> hyper::Result<Answer> {
    let (head, body) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = body.collect().await?.to_bytes().to_vec();
    Ok(Answer { status: head.status.as_u16(), headers, body })
}

/// Runs hyper's own tasks on the test's runtime, which ends them with the test.
#[derive(Clone)]
struct Executor;

impl<F: Future<Output: Send + 'static> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}

/// tokio's stream in hyper's words.
struct Io(Box<dyn Stream>);

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut bytes = [0; 4096];
        let limit = cursor.remaining().min(bytes.len());
        let mut buffer = ReadBuf::new(&mut bytes[..limit]);
        let polled = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        if let Poll::Ready(Ok(())) = polled {
            cursor.put_slice(buffer.filled());
        }
        polled
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
