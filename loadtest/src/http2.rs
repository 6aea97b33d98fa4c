//! One HTTP/2 connection, by prior knowledge or as TLS agrees on it, with hyper's client, and the streams on it that ask side by side.
//!
//! Dearer than [`crate::http1`]: with it the load generator's own cost is no longer small beside the server's.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use crate::answer::Answer;
use crate::http1::connect;
use crate::request::Draft;
use crate::target::Target;
use crate::wire::WireError;

/// Futures of a connection, of either end, run where it lives: one thread, one local set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        // The task ends with its connection, and the thread's local set with the thread: nothing outlives the run.
        drop(tokio::task::spawn_local(async move {
            future.await;
        }));
    }
}

/// A connection that its streams share; it is opened by the first that needs it, and again after it broke.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    target: Arc<Target>,
    /// Locked while a connection is opened: all streams wait for that one.
    sender: Rc<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl Shared {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self { target, sender: Rc::default() }
    }

    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, WireError> {
        let mut shared = self.sender.lock().await;
        if let Some(open) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(open.clone());
        }
        let stream = connect(&self.target, true).await?;
        let (sender, connection) =
            http2::handshake(LocalExecutor, TokioIo::new(stream)).await.map_err(|_| WireError::NotConnected)?;
        hyper::rt::Executor::execute(&LocalExecutor, async move { drop(connection.await) });
        *shared = Some(sender.clone());
        Ok(sender)
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    shared: Shared,
    request: Option<Request<Full<Bytes>>>,
    body: Bytes,
}

impl Stream {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, request: None, body: Bytes::new() }
    }

    pub(crate) fn load(&mut self, draft: Draft<'_>) {
        let mut body = Vec::new();
        draft.write_body(&mut body);
        let uri = format!("http://{}{}", self.shared.target.authority, draft.endpoint.path);
        let mut request = Request::post(uri.parse::<Uri>().unwrap_or_default());
        if let Some(headers) = request.headers_mut() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            if let Ok(value) = HeaderValue::from_str(&draft.credential.authorization)
                && !value.is_empty()
            {
                headers.insert(AUTHORIZATION, value);
            }
        }
        self.request = request.body(Full::new(Bytes::from(body))).ok();
    }

    /// Of every stream of this connection: what is under way on others is still answered.
    pub(crate) async fn close(&mut self) {
        *self.shared.sender.lock().await = None;
    }

    pub(crate) async fn exchange(&mut self) -> Result<Answer<'_>, WireError> {
        let request = self.request.take().ok_or(WireError::Malformed)?;
        let mut sender = self.shared.sender().await?;
        sender.ready().await.map_err(|_| WireError::Broken)?;
        let answer = sender.send_request(request).await.map_err(|_| WireError::Broken)?;
        let (status, retry_after) = (answer.status().as_u16(), answer.headers().contains_key(RETRY_AFTER));
        self.body = answer.into_body().collect().await.map_err(|_| WireError::Broken)?.to_bytes();
        Ok(Answer { status, body: &self.body, retry_after })
    }
}
