//! Questions about where others are, to a server that need not be the store itself: a sentinel, or any node of a cluster.
//!
//! Invariants: a question is answered within [`PATIENCE`] or the connection is of no more use; the replies to one are believed only
//! once the `PING` behind it has come back with its number.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::{Cmd, Value};
use tokio::time::timeout;

use super::connector::{Connector, NetConnector, NetStream};
use super::endpoint::Endpoint;
use super::errors;
use super::options::Access;
use super::wire::{Wire, WireBroken};

/// For a connection, and for each question.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection to one who is asked. What fails on it is a sentence for the log.
pub(super) struct Inquiry {
    wire: Wire<NetStream>,
    number: u64,
}

impl Inquiry {
    /// Connects and says who we are.
    pub(super) async fn open(endpoint: Endpoint, access: &Arc<ArcSwap<Access>>) -> Result<Self, String> {
        let opened = timeout(PATIENCE, NetConnector::to(endpoint, Arc::clone(access)).connect()).await;
        let stream = opened.map_err(|_| "connecting took too long")?.map_err(|error| error.to_string())?;
        let mut inquiry = Self { wire: Wire::new(stream), number: 0 };
        inquiry.greet(&access.load()).await?;
        Ok(inquiry)
    }

    /// Asks questions together and returns a reply to each.
    pub(super) async fn ask(&mut self, questions: &[&[&[u8]]]) -> Result<Vec<Value>, String> {
        self.number += 1;
        let number = self.number.to_string();
        for question in questions {
            self.send(question);
        }
        self.send(&[b"PING", number.as_bytes()]);
        let mut replies = Vec::new();
        let read = async {
            while replies.len() <= questions.len() {
                match self.next().await? {
                    Value::Push { .. } => {}
                    reply => replies.push(reply),
                }
            }
            Ok::<(), WireBroken>(())
        };
        timeout(PATIENCE, read).await.map_err(|_| "an answer took too long")?.map_err(|broken| broken.to_string())?;
        match replies.pop() {
            Some(Value::BulkString(echo)) if echo == number.as_bytes() => Ok(replies),
            // Where the password was refused, so is all that follows: the first refusal says why.
            Some(Value::ServerError(last)) => {
                let first = replies.iter().find_map(|reply| match reply {
                    Value::ServerError(error) => Some(error),
                    _ => None,
                });
                Err(errors::text(first.unwrap_or(&last)))
            }
            _ => Err("its replies answer something else".into()),
        }
    }

    /// Asks to hear what is published on a channel; see [`Inquiry::hear`].
    pub(super) fn subscribe(&mut self, channel: &[u8]) {
        self.send(&[b"SUBSCRIBE", channel]);
    }

    /// Waits until something is published, between two questions. Giving up waiting loses nothing.
    pub(super) async fn hear(&mut self) -> Result<(), String> {
        match self.next().await {
            Ok(Value::Push { .. }) => Ok(()),
            Ok(_) => Err("it answers what nobody asked".into()),
            Err(broken) => Err(broken.to_string()),
        }
    }

    async fn greet(&mut self, access: &Access) -> Result<(), String> {
        let user = access.username.as_deref().unwrap_or("default");
        let plain: &[&[u8]] = &[b"HELLO", b"3", b"SETNAME", b"jeton"];
        let mut first_refusal = None;
        for password in [&access.password, &access.password_previous].into_iter().flatten() {
            let words: &[&[u8]] = &[b"HELLO", b"3", b"AUTH", user.as_bytes(), password.expose(), b"SETNAME", b"jeton"];
            match self.hello(words).await {
                Err(refusal) if refusal.starts_with("WRONGPASS") => first_refusal.get_or_insert(refusal),
                other => return other,
            };
        }
        // Sentinels often know no users, although the servers do.
        let greeted = self.hello(plain).await;
        greeted.map_err(|refusal| first_refusal.unwrap_or(refusal))
    }

    async fn hello(&mut self, words: &[&[u8]]) -> Result<(), String> {
        match self.ask(&[words]).await?.pop() {
            Some(Value::Map(_)) => Ok(()),
            Some(Value::ServerError(error)) => Err(errors::text(&error)),
            _ => Err("it does not speak RESP3".into()),
        }
    }

    fn send(&mut self, words: &[&[u8]]) {
        let mut command = Cmd::new();
        for word in words {
            command.arg(*word);
        }
        self.wire.send(&command.get_packed_command());
    }

    async fn next(&mut self) -> Result<Value, WireBroken> {
        poll_fn(|context| {
            if let Poll::Ready(Err(broken)) = self.wire.poll_send(context) {
                return Poll::Ready(Err(broken));
            }
            self.wire.poll_value(context)
        })
        .await
    }
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inquiry").field("wire", &self.wire).finish_non_exhaustive()
    }
}
