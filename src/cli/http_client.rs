//! One HTTP/1.1 request to a service: over TCP, TLS or a unix socket, on a runtime of its own.

mod stream;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use url::Url;

use self::stream::Hyper;
use super::output::Failure;
use super::tls::{self, Trust};
use crate::config::ListenAddress;
use crate::config::options::local_url;
use crate::oauth::secret::Secret;

/// More than any answer of the service.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A service.
#[derive(Debug)]
pub(super) struct Endpoint {
    place: Place,
    /// The Host header.
    authority: String,
    /// Before each path.
    prefix: String,
}

#[derive(Debug)]
enum Place {
    Tcp { host: String, port: u16, tls: bool },
    Unix { path: PathBuf, tls: bool },
}

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    path: Cow<'static, str>,
    authorization: Option<HeaderValue>,
    form: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status code.
    pub(super) status: u16,
    /// Its whole body.
    pub(super) body: Vec<u8>,
}

impl Endpoint {
    /// Reads `http://HOST:PORT`, `https://…` or `unix:PATH`; a path stays before those of the service.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self {
                place: Place::Unix { path: path.into(), tls: false },
                authority: "localhost".into(),
                prefix: String::new(),
            });
        }
        let refused = || {
            Failure::with_hint(
                format!("`{text}` is no URL of a service"),
                "write http://HOST:PORT, https://HOST or unix:PATH",
            )
        };
        let url = Url::parse(text).map_err(|_| refused())?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(refused()) };
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.query().is_some() {
            return Err(refused());
        }
        let place = Place::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port, tls: url.scheme() == "https" };
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { place, authority, prefix: url.path().trim_end_matches('/').to_owned() })
    }

    /// A listener of this machine, and whether it speaks TLS.
    pub(super) fn local(listener: &ListenAddress, tls: bool) -> Self {
        match listener {
            ListenAddress::Unix(path) => {
                let place = Place::Unix { path: path.clone(), tls };
                Self { place, authority: "localhost".into(), prefix: String::new() }
            }
            ListenAddress::Tcp(address) => {
                let host = if address.ip().is_loopback() { address.ip().to_string() } else { "127.0.0.1".into() };
                let authority = local_url(listener, false).replace("http://", "");
                Self { place: Place::Tcp { host, port: address.port(), tls }, authority, prefix: String::new() }
            }
        }
    }

    /// Whether what is sent there crosses a network readable.
    pub(super) fn is_readable_by_others(&self) -> bool {
        match &self.place {
            Place::Tcp { host, tls: false, .. } => {
                host != "localhost" && !host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp { host, port, .. } => write!(f, "{host} port {port}"),
            Place::Unix { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

impl Call {
    /// A GET.
    pub(super) fn get(path: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), authorization: None, form: None }
    }

    /// A POST of a form.
    pub(super) fn post(path: &'static str, form: String) -> Self {
        Self { path: path.into(), authorization: None, form: Some(form) }
    }

    /// With an id and a secret by HTTP Basic, both form-encoded first (RFC 6749 section 2.3.1).
    pub(super) fn basic(self, id: &str, secret: &Secret) -> Result<Self, Failure> {
        let encoded = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
        let pair = format!("{}:{}", encoded(id.as_bytes()), encoded(secret.expose()));
        self.authorized(format!("Basic {}", BASE64.encode(pair.as_bytes())).as_bytes())
    }

    /// With a bearer token.
    pub(super) fn bearer(self, token: &Secret) -> Result<Self, Failure> {
        self.authorized(&[b"Bearer ", token.expose()].concat())
    }

    fn authorized(mut self, value: &[u8]) -> Result<Self, Failure> {
        let value = HeaderValue::from_bytes(value);
        let mut value = value.map_err(|_| Failure::new("the secret holds characters that a header cannot carry"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Sends it and waits for the whole answer, `timeout` at most.
    pub(super) fn send(self, endpoint: &Endpoint, trust: Trust<'_>, timeout: Duration) -> Result<Answer, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(format!("no runtime: {error}")))?;
        runtime.block_on(async {
            let answer = tokio::time::timeout(timeout, self.exchange(endpoint, trust)).await;
            answer.unwrap_or_else(|_| Err(Failure::new(format!("{endpoint} did not answer within {timeout:?}"))))
        })
    }

    async fn exchange(self, endpoint: &Endpoint, trust: Trust<'_>) -> Result<Answer, Failure> {
        let unreachable = |error: std::io::Error| {
            Failure::with_hint(
                format!("{endpoint} cannot be reached: {error}"),
                "is `jeton serve` running there? --url names another place",
            )
        };
        match &endpoint.place {
            Place::Unix { path, tls } => {
                let stream = UnixStream::connect(path).await.map_err(unreachable)?;
                if *tls {
                    self.over(endpoint, tls::connect("localhost", stream, trust).await?).await
                } else {
                    self.over(endpoint, stream).await
                }
            }
            Place::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                if *tls {
                    self.over(endpoint, tls::connect(host, stream, trust).await?).await
                } else {
                    self.over(endpoint, stream).await
                }
            }
        }
    }

    async fn over(
        self,
        endpoint: &Endpoint,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Answer, Failure> {
        let broken = |error: hyper::Error| Failure::new(format!("{endpoint} does not answer as HTTP does: {error}"));
        let request = self.request(endpoint)?;
        let (mut sender, connection) = http1::handshake(Hyper(stream)).await.map_err(broken)?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| Failure::new(format!("{endpoint} broke off its answer: {error}")))?;
            Ok(Answer { status, body: body.to_bytes().to_vec() })
        };
        tokio::pin!(connection);
        tokio::pin!(answer);
        // The connection does its work only while it is polled; it may end first, and the answer then says why.
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    }

    fn request(self, endpoint: &Endpoint) -> Result<Request<Full<Bytes>>, Failure> {
        let method = if self.form.is_some() { "POST" } else { "GET" };
        let mut request = Request::builder().method(method).uri(format!("{}{}", endpoint.prefix, self.path));
        request = request.header(HOST, &endpoint.authority).header(ACCEPT, "application/json");
        if let Some(value) = self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if self.form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::new(Bytes::from(self.form.unwrap_or_default())));
        request.map_err(|error| Failure::new(format!("no request can be made of this: {error}")))
    }
}
