//! A keep-alive connection over HTTP/1.1, written and read by hand: a library's client costs as much as what is measured.
//!
//! Invariant: one request at a time; after an error the next exchange begins on a new connection.

pub(crate) mod response;

use std::ops::Range;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::request::Draft;
use crate::target::Target;
use crate::tls::Channel;
use crate::wire::WireError;
use response::Parsed;

/// Answers of this kind are below one kibibyte; a larger one makes the buffer grow.
const READ_BYTES: usize = 4096;

/// An answer that does not end below this is no answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Http1 {
    target: Arc<Target>,
    stream: Option<Channel>,
    request: Vec<u8>,
    read: Vec<u8>,
    body: Vec<u8>,
}

/// Where an answer lies in a buffer, so that the borrow of it can end.
struct Found {
    status: u16,
    closes: bool,
    retry_after: bool,
    body: Place,
}

enum Place {
    InBuffer(Range<usize>),
    Apart(Vec<u8>),
}

impl Http1 {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self { target, stream: None, request: Vec::new(), read: vec![0; READ_BYTES], body: Vec::new() }
    }

    pub(crate) fn load(&mut self, draft: Draft<'_>) {
        draft.write_http1(&mut self.request);
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    pub(crate) async fn exchange(&mut self) -> Result<Answer<'_>, WireError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.target, false).await?,
        };
        stream.write_all(&self.request).await.map_err(|_| WireError::Broken)?;
        // What TLS could not send at once waits in it.
        stream.flush().await.map_err(|_| WireError::Broken)?;
        let found = read_answer(&mut stream, &mut self.read).await?;
        if !found.closes {
            self.stream = Some(stream);
        }
        let body = match found.body {
            Place::InBuffer(range) => &self.read[range],
            Place::Apart(body) => {
                self.body = body;
                &self.body
            }
        };
        Ok(Answer { status: found.status, body, retry_after: found.retry_after })
    }
}

pub(crate) async fn connect(target: &Target, http2: bool) -> Result<Channel, WireError> {
    let stream = TcpStream::connect(target.address).await.map_err(|_| WireError::NotConnected)?;
    stream.set_nodelay(true).map_err(|_| WireError::NotConnected)?;
    match &target.tls {
        None => Ok(Channel::Plain(stream)),
        Some(tls) => tls.over(stream, http2).await.map_err(|_| WireError::NotConnected),
    }
}

async fn read_answer(stream: &mut Channel, buffer: &mut Vec<u8>) -> Result<Found, WireError> {
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled >= ANSWER_BYTES_MAX {
                return Err(WireError::Malformed);
            }
            buffer.resize(filled * 2, 0);
        }
        let read = stream.read(&mut buffer[filled..]).await.map_err(|_| WireError::Broken)?;
        if read == 0 {
            return Err(WireError::Broken);
        }
        filled += read;
        let Parsed::Whole(response) = response::parse(&buffer[..filled]).map_err(|_| WireError::Malformed)? else {
            continue;
        };
        // Nothing was asked for that could follow: bytes behind the answer are a server's mistake.
        if response.length != filled {
            return Err(WireError::Malformed);
        }
        let body = match response.body {
            std::borrow::Cow::Borrowed(body) => Place::InBuffer(filled - body.len()..filled),
            std::borrow::Cow::Owned(body) => Place::Apart(body),
        };
        return Ok(Found { status: response.status, closes: response.closes, retry_after: response.retry_after, body });
    }
}
