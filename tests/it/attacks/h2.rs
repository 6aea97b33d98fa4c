//! HTTP/2 frame by frame: a client that sends what it likes and reads when it likes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Both halves of a connection on which the preface and empty settings were sent.
pub(super) async fn connect(to: SocketAddr) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = TcpStream::connect(to).await.unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
    stream.set_nodelay(true).unwrap();
    let (read, mut write) = stream.into_split();
    write.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await.unwrap();
    (read, write)
}

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// How the server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// The reason of its last GOAWAY; `None` where none came.
    pub(super) reason: Option<u32>,
    /// Answers that came before: header blocks.
    pub(super) answers: u32,
}

/// Reads frames until the connection ends.
pub(super) async fn read_to_end(mut read: OwnedReadHalf) -> Ended {
    let mut ended = Ended { reason: None, answers: 0 };
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 65_536]);
    loop {
        // A reset is an end too.
        match read.read(&mut chunk).await {
            Ok(0) | Err(_) => return ended,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + 9) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let kind = head[3];
            let Some(payload) = bytes.get(at + 9..at + 9 + length) else { break };
            match kind {
                GOAWAY => ended.reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
                HEADERS => ended.answers += 1,
                _ => {}
            }
            at += 9 + length;
        }
        bytes.drain(..at);
    }
}

/// Writes all of it, unless the connection ends first or nothing goes out for `patience`. Whether all went out.
pub(super) async fn write(half: &mut OwnedWriteHalf, bytes: &[u8], patience: Duration) -> bool {
    matches!(tokio::time::timeout(patience, half.write_all(bytes)).await, Ok(Ok(())))
}
