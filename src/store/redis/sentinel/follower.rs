//! Follows the primary: a connection to each sentinel, which is asked every second, whenever somebody misses the primary, and
//! whenever it publishes that there is another.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::verdict::Answers;
use crate::store::redis::endpoint::{Address, Endpoint};
use crate::store::redis::errors;
use crate::store::redis::inquiry::Inquiry;
use crate::store::redis::lookout::{Lookout, Primary};
use crate::store::redis::options::RedisOptions;

const ASK_EVERY: Duration = Duration::from_secs(1);
/// Between two questions to one sentinel, however often the primary is missed.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Follows for ever, for all who have this lookout.
pub(super) async fn follow(options: &RedisOptions, lookout: &Lookout<Primary>) {
    let Endpoint::Sentinel { sentinels, service, tls } = &options.endpoint else { return };
    let believed = lookout.known().borrow().as_deref().cloned();
    let answers = RefCell::new(Answers::new(sentinels.len(), believed));
    let followers = sentinels.iter().enumerate().map(|(number, address)| {
        let endpoint = Endpoint::one(address, *tls);
        Follower { number, endpoint, service, options, lookout, answers: &answers }.follow_for_ever()
    });
    let mut followers: FuturesUnordered<_> = followers.collect();
    while followers.next().await.is_some() {}
}

/// Follows what one sentinel says.
struct Follower<'a> {
    number: usize,
    endpoint: Endpoint,
    service: &'a str,
    options: &'a RedisOptions,
    lookout: &'a Lookout<Primary>,
    answers: &'a RefCell<Answers>,
}

impl Follower<'_> {
    async fn follow_for_ever(self) {
        let mut missed = self.lookout.missed();
        loop {
            let Err(trouble) = self.converse(&mut missed).await;
            self.note(Err(format!("{}: {trouble}", self.endpoint)));
            sleep(PAUSE_MIN).await;
            let _ = timeout(ASK_EVERY, missed.changed()).await;
        }
    }

    /// Asks one sentinel again and again, on one connection, for as long as it answers.
    async fn converse(&self, missed: &mut watch::Receiver<u64>) -> Result<Never, String> {
        let mut sentinel = Inquiry::open(self.endpoint.clone(), &self.options.access).await?;
        // What is published only says that it is time to ask.
        sentinel.subscribe(b"+switch-master");
        loop {
            missed.mark_unchanged();
            let primary = self.ask(&mut sentinel).await?;
            self.note(Ok(primary));
            sleep(PAUSE_MIN).await;
            tokio::select! {
                heard = sentinel.hear() => heard?,
                _ = missed.changed() => {}
                () = sleep(ASK_EVERY) => {}
            }
        }
    }

    async fn ask(&self, sentinel: &mut Inquiry) -> Result<Primary, String> {
        let service = self.service.as_bytes();
        let address: &[&[u8]] = &[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", service];
        let state: &[&[u8]] = &[b"SENTINEL", b"MASTER", service];
        let replies = sentinel.ask(&[address, state]).await?;
        read_primary(&replies)
            .map_err(|why| why.unwrap_or_else(|| format!("it knows no primary named {}", self.service)))
    }

    fn note(&self, answer: Result<Primary, String>) {
        let mut answers = self.answers.borrow_mut();
        if let Some(primary) = answers.note(self.number, answer) {
            self.lookout.tell(primary);
        }
        self.lookout.set_trouble(answers.trouble());
    }
}

/// What cannot be: a conversation ends only by a failure.
enum Never {}

/// The replies to the two questions; `Err(None)` where the sentinel does not know the name.
fn read_primary(replies: &[Value]) -> Result<Primary, Option<String>> {
    match replies {
        [Value::Nil, _] => Err(None),
        [Value::ServerError(error), _] | [_, Value::ServerError(error)] => Err(Some(errors::text(error))),
        [Value::Array(address), state] => {
            let [host, port] = address.as_slice() else { return Err(Some("its answer is no address".into())) };
            let read = |value: &Value| text(value).ok_or_else(|| Some("its answer is no text".to_owned()));
            let port = read(port)?.parse().map_err(|_| Some("its answer has no port".to_owned()))?;
            let epoch = member(state, "config-epoch").and_then(|epoch| epoch.parse().ok());
            let epoch = epoch.ok_or_else(|| Some("its answer has no config-epoch".to_owned()))?;
            Ok(Primary { address: Address { host: read(host)?, port }, epoch })
        }
        _ => Err(Some("its answer is none".into())),
    }
}

/// A member of a map, or of an array of names and values.
fn member(state: &Value, name: &str) -> Option<String> {
    let value = match state {
        Value::Map(members) => {
            members.iter().find(|(key, _)| text(key).as_deref() == Some(name)).map(|(_, value)| value)
        }
        Value::Array(flat) => {
            flat.as_chunks::<2>().0.iter().find(|[key, _]| text(key).as_deref() == Some(name)).map(|[_, value]| value)
        }
        _ => None,
    };
    value.and_then(text)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn read(replies: [&str; 2]) -> Result<Primary, Option<String>> {
        read_primary(&replies.map(|reply| parse_redis_value(reply.as_bytes()).unwrap()))
    }

    #[test]
    fn both_forms_of_a_sentinels_state_are_read() {
        let address = "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n";
        let map = "%2\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$1\r\n7\r\n";
        let flat = "*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$1\r\n7\r\n";
        let primary = Primary { address: Address { host: "127.0.0.1".into(), port: 6380 }, epoch: 7 };
        assert_eq!(read([address, map]), Ok(primary.clone()));
        assert_eq!(read([address, flat]), Ok(primary));
        assert_eq!(read(["_\r\n", "-ERR No such master with that name\r\n"]), Err(None));
        for (replies, why) in [
            (["-NOPERM x\r\n", map], "NOPERM"),
            ([address, "*0\r\n"], "config-epoch"),
            (["*1\r\n:1\r\n", map], "no address"),
            (["*2\r\n$1\r\nh\r\n$1\r\nx\r\n", map], "no port"),
            (["+OK\r\n", map], "none"),
        ] {
            let told = read(replies).unwrap_err().unwrap();
            assert!(told.contains(why), "{told}");
        }
    }
}
