//! RESP as a server speaks it: requests out of bytes, replies into bytes.
//!
//! Invariant: what is no request of the form that clients send, an array of bulk strings, is an error; nothing is guessed.

/// A reply, before it is written for version 2 or 3 of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Simple(&'static str),
    Error(String),
    Number(i64),
    Bulk(Vec<u8>),
    Nil,
    NilArray,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    /// Names and what belongs to each: a map in version 3, an array of arrays before.
    Pairs(Vec<(Reply, Reply)>),
    /// Text that version 3 marks as such.
    Text(String),
}

impl Reply {
    pub(super) const OK: Self = Self::Simple("OK");

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(super) fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, version: u8) {
        match self {
            Self::Simple(text) => line(out, '+', text),
            Self::Error(text) => line(out, '-', text),
            Self::Number(number) => line(out, ':', number),
            Self::Bulk(bytes) => {
                line(out, '$', bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Nil | Self::NilArray if version >= 3 => out.extend_from_slice(b"_\r\n"),
            Self::Nil => line(out, '$', -1),
            Self::NilArray => line(out, '*', -1),
            Self::Array(replies) => {
                line(out, '*', replies.len());
                replies.iter().for_each(|reply| reply.write(out, version));
            }
            Self::Map(pairs) | Self::Pairs(pairs) => {
                let apart = matches!(self, Self::Pairs(_)) && version < 3;
                match version {
                    3.. => line(out, '%', pairs.len()),
                    _ => line(out, '*', if apart { pairs.len() } else { 2 * pairs.len() }),
                }
                for (name, value) in pairs {
                    if apart {
                        line(out, '*', 2);
                    }
                    name.write(out, version);
                    value.write(out, version);
                }
            }
            Self::Text(text) if version >= 3 => {
                line(out, '=', text.len() + 4);
                line(out, 't', format!("xt:{text}"));
            }
            Self::Text(text) => Self::bulk(text).write(out, version),
        }
    }

    pub(super) fn bytes(&self, version: u8) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, version);
        out
    }
}

fn line(out: &mut Vec<u8>, mark: char, rest: impl std::fmt::Display) {
    out.extend_from_slice(format!("{mark}{rest}\r\n").as_bytes());
}

/// What has come of requests that are not executed yet.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<u8>);

/// Bytes that are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRequest;

impl Requests {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The words of the next request that has come whole.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, NoRequest> {
        let mut at = 0;
        let Some(count) = self.number(&mut at, b'*')? else { return Ok(None) };
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(length) = self.number(&mut at, b'$')? else { return Ok(None) };
            let Some(word) = self.0.get(at..at + length + 2) else { return Ok(None) };
            let Some(word) = word.strip_suffix(b"\r\n") else { return Err(NoRequest) };
            words.push(word.to_vec());
            at += length + 2;
        }
        self.0.drain(..at);
        Ok(Some(words))
    }

    fn number(&self, at: &mut usize, mark: u8) -> Result<Option<usize>, NoRequest> {
        let rest = &self.0[*at..];
        if rest.first().is_some_and(|first| *first != mark) {
            return Err(NoRequest);
        }
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let number = std::str::from_utf8(&rest[1..end]).ok().and_then(|text| text.parse().ok()).ok_or(NoRequest)?;
        *at += end + 2;
        Ok(Some(number))
    }
}

/// A request as clients write it.
pub(super) fn request<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut out = Vec::new();
    line(&mut out, '*', words.len());
    words.iter().for_each(|word| Reply::bulk(word).write(&mut out, 2));
    out
}

/// Where the first reply in `bytes` ends, if it has come whole.
pub(super) fn reply_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..end - 2]).ok()?.parse::<i64>().ok();
    let elements = match bytes[0] {
        b'$' | b'=' => {
            let length = usize::try_from(count()?).map_or(0, |length| length + 2);
            return (bytes.len() >= end + length).then_some(end + length);
        }
        b'*' | b'>' | b'~' => usize::try_from(count()?).unwrap_or(0),
        b'%' => 2 * usize::try_from(count()?).ok()?,
        _ => return Some(end),
    };
    (0..elements).try_fold(end, |at, _| Some(at + reply_end(&bytes[at..])?))
}

#[test]
fn requests_come_whole_however_they_are_cut() {
    let sent = [request(&["HSET", "a\r\nb", "", "c"]), request(&["PING"])].concat();
    for cut in 0..sent.len() {
        let mut requests = Requests::default();
        requests.feed(&sent[..cut]);
        let mut words: Vec<_> = std::iter::from_fn(|| requests.next().unwrap()).collect();
        requests.feed(&sent[cut..]);
        words.extend(std::iter::from_fn(|| requests.next().unwrap()));
        assert_eq!(words, [vec![b"HSET".to_vec(), b"a\r\nb".to_vec(), vec![], b"c".to_vec()], vec![b"PING".to_vec()]]);
    }
    let mut requests = Requests::default();
    requests.feed(b"GET / HTTP/1.1\r\n");
    assert_eq!(requests.next(), Err(NoRequest));
}

#[test]
fn the_end_of_a_reply_is_found() {
    let reply = Reply::Map(vec![
        (Reply::bulk("a"), Reply::Array(vec![Reply::Number(1), Reply::Nil, Reply::Text("x\r\ny".into())])),
        (Reply::OK, Reply::error("ERR x")),
    ]);
    for version in [2, 3] {
        let bytes = reply.bytes(version);
        assert_eq!(reply_end(&[bytes.clone(), b":1\r\n".to_vec()].concat()), Some(bytes.len()));
        assert!((0..bytes.len()).all(|cut| reply_end(&bytes[..cut]).is_none()));
    }
}
