//! Doors for fuzzers into what comes back from Redis; see `fuzzing.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a door says by a panic what does not hold")]

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use redis::Value;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::grant_seal::{self, GrantId};
use super::seal;
use super::trip::{Expected, Trip};
use super::wire::{Wire, WireBroken};
use crate::oauth::grant::Grant;
use crate::oauth::keys::{KeyId, ServiceKey};
use crate::oauth::time::Timestamp;
use crate::oauth::token::{Page, Token};

fn sealing_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).unwrap())
}

/// No bytes that nobody sealed open as a record; and whatever a seal could hold is read as one record or none, whose bytes those are.
pub fn record(bytes: &[u8]) {
    let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
    let (_, address) = Token::make("jt", &key, Page { dead_second: 2_000_000_000, number: 7 }, &[9; 20]);
    assert!(seal::open(&sealing_key(), &address, &mut bytes.to_vec()).is_err(), "a record that nobody sealed");
    if let Some(read) = seal::read(bytes) {
        let sealed = seal::seal(&sealing_key(), &address, &read).unwrap();
        let mut stored = sealed.as_bytes().to_vec();
        let opened = seal::open(&sealing_key(), &address, &mut stored).unwrap();
        assert_eq!(opened, read);
        assert_eq!(&stored[1..=bytes.len()], bytes, "two plaintexts for one record");
    }
}

/// No bytes that nobody sealed open as a grant; what is read as one is read the same again.
pub fn grant(bytes: &[u8]) {
    let opened = grant_seal::open(&sealing_key(), KeyId(1), GrantId([5; 12]), &mut bytes.to_vec()).map(<[u8]>::to_vec);
    assert!(opened.is_err(), "a grant that nobody sealed");
    if let Ok(read) = Grant::from_canonical(bytes) {
        let again = Grant::from_canonical(read.canonical()).unwrap();
        assert_eq!(again.canonical(), read.canonical());
        let members = format!("{{{}{}}}", read.introspection_members(), read.claim_members());
        // A claim that bears the name of a member is refused with the clients file; JSON takes the last one.
        assert!(serde_json::from_str::<serde_json::Value>(&members).is_ok(), "{members}");
    }
}

/// Replies are the same however the network cuts them, as far as they are replies, and a trip that is believed has a reply of its kind for each command. The first
/// byte says how they are cut, the second what was asked.
pub fn replies(bytes: &[u8]) {
    let [cut, asked, stream @ ..] = bytes else { return };
    let (whole, ended) = read_all(stream, usize::MAX);
    let (pieces, pieces_ended) = read_all(stream, usize::from(*cut).max(1));
    if ended {
        assert!(pieces_ended && pieces == whole, "cut to {cut}: {pieces:?}, whole: {whole:?}");
    } else {
        // Within an array, the codec passes over a byte that begins no reply where it comes alone: some replies more, none other.
        assert!(pieces.starts_with(&whole), "cut to {cut}: {pieces:?}, whole: {whole:?}");
    }
    use Expected::{BytesOrNil, Number, Okay, OkayOrNil, Queued, Transaction};
    let expected = match asked % 4 {
        0 => vec![BytesOrNil],
        1 => vec![OkayOrNil, Okay, Queued, Queued, Transaction(2), Number(1)],
        2 => vec![Number(1), Number(1)],
        _ => vec![Expected::Properties, Expected::Text],
    };
    let wanted = expected.len() + 1;
    let mut trip = Trip { expected, replies: whole, number: 7, ..Trip::default() };
    trip.replies.truncate(wanted);
    if trip.is_complete() && trip.judge().is_ok() {
        assert_eq!(trip.replies.len(), trip.expected.len());
        assert!(!trip.replies.iter().any(|reply| matches!(reply, Value::Push { .. } | Value::Attribute { .. })));
    }
}

/// The replies of a stream that comes in pieces of this length and then ends, and whether it was RESP to that end.
fn read_all(stream: &[u8], piece: usize) -> (Vec<Value>, bool) {
    let mut wire = Wire::new(Pieces { left: stream.to_vec(), piece });
    let mut replies = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let reply = pin!(poll_fn(|context| wire.poll_reply(context))).poll(&mut context);
        match reply {
            Poll::Ready(Ok(reply)) => replies.push(reply),
            Poll::Ready(Err(broken)) => return (replies, matches!(broken, WireBroken::Closed)),
            Poll::Pending => unreachable!("a stream that has all it will ever have"),
        }
    }
}

struct Pieces {
    left: Vec<u8>,
    piece: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.left.len().min(self.piece).min(into.remaining());
        into.put_slice(&self.left[..count]);
        self.left.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
