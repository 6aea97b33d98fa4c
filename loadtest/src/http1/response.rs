//! Finds the end of an HTTP/1.1 response in what has been read, RFC 9112, as far as servers of this kind use it.
//!
//! Invariant: reads nothing behind the response's end, and a prefix of a response is [`Parsed::Incomplete`], never an error.
//! Not here: interim (1xx) responses, trailers with meaning, and bodies that end with the connection.

use std::borrow::Cow;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    Incomplete,
    Whole(Response<'a>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: Cow<'a, [u8]>,
    /// Bytes from the status line to the body's end.
    pub(crate) length: usize,
    /// The server ends the connection behind this response.
    pub(crate) closes: bool,
    /// It says when to try again, RFC 9110 section 10.2.3.
    pub(crate) retry_after: bool,
}

/// The bytes are no response that this parser knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A head of more than this is taken for a server gone wrong.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a head says beside its framing.
struct Said {
    closes: bool,
    retry_after: bool,
}

enum Framing {
    None,
    Length(usize),
    Chunked,
}

pub(crate) fn parse(buffer: &[u8]) -> Result<Parsed<'_>, Malformed> {
    let Some((status_line, mut rest)) = line(buffer) else {
        return if buffer.len() > HEAD_BYTES_MAX { Err(Malformed) } else { Ok(Parsed::Incomplete) };
    };
    let (status, closes) = status_of(status_line)?;
    let mut said = Said { closes, retry_after: false };
    let mut framing = if matches!(status, 204 | 304) { Framing::Length(0) } else { Framing::None };
    loop {
        let Some((header, after)) = line(rest) else {
            return if buffer.len() > HEAD_BYTES_MAX { Err(Malformed) } else { Ok(Parsed::Incomplete) };
        };
        rest = after;
        if header.is_empty() {
            break;
        }
        read_header(header, &mut framing, &mut said)?;
    }
    let head_length = buffer.len() - rest.len();
    let Said { closes, retry_after } = said;
    match framing {
        Framing::None => Err(Malformed),
        Framing::Length(length) if rest.len() < length => Ok(Parsed::Incomplete),
        Framing::Length(length) => {
            let body = Cow::Borrowed(&rest[..length]);
            Ok(Parsed::Whole(Response { status, body, length: head_length + length, closes, retry_after }))
        }
        Framing::Chunked => Ok(match unchunk(rest)? {
            None => Parsed::Incomplete,
            Some((body, length)) => {
                let body = Cow::Owned(body);
                Parsed::Whole(Response { status, body, length: head_length + length, closes, retry_after })
            }
        }),
    }
}

/// The line before the first CRLF, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

/// The status, and whether the version alone says that the connection ends.
fn status_of(line: &[u8]) -> Result<(u16, bool), Malformed> {
    let minor = line.strip_prefix(b"HTTP/1.").ok_or(Malformed)?;
    match minor {
        [version @ (b'0' | b'1'), b' ', a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..]
            if rest.first().is_none_or(|next| *next == b' ') =>
        {
            let digit = |byte: &u8| u16::from(*byte - b'0');
            Ok((digit(a) * 100 + digit(b) * 10 + digit(c), *version == b'0'))
        }
        _ => Err(Malformed),
    }
}

fn read_header(header: &[u8], framing: &mut Framing, said: &mut Said) -> Result<(), Malformed> {
    // Only four names matter, and their first letters are enough to pass over most others.
    if !matches!(header.first(), Some(b'c' | b'C' | b't' | b'T' | b'r' | b'R')) {
        return Ok(());
    }
    let colon = memchr::memchr(b':', header).ok_or(Malformed)?;
    let (name, value) = (&header[..colon], header[colon + 1..].trim_ascii());
    if name.eq_ignore_ascii_case(b"content-length") {
        *framing = Framing::Length(decimal(value).ok_or(Malformed)?);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed);
        }
        *framing = Framing::Chunked;
    } else if name.eq_ignore_ascii_case(b"connection") {
        said.closes =
            value.eq_ignore_ascii_case(b"close") || (said.closes && !value.eq_ignore_ascii_case(b"keep-alive"));
    } else if name.eq_ignore_ascii_case(b"retry-after") {
        said.retry_after = !value.is_empty();
    }
    Ok(())
}

fn decimal(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The body that chunks carry and the bytes they take; `None` while the last chunk is not there.
fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let mut body = Vec::new();
    let mut rest = bytes;
    loop {
        let Some((size_line, after)) = line(rest) else { return Ok(None) };
        let size = size_line.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii).ok_or(Malformed)?;
        let size = std::str::from_utf8(size).map_err(|_| Malformed)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| Malformed)?;
        if size == 0 {
            let Some((last, after)) = line(after) else { return Ok(None) };
            return if last.is_empty() { Ok(Some((body, bytes.len() - after.len()))) } else { Err(Malformed) };
        }
        let Some(end) = size.checked_add(2) else { return Err(Malformed) };
        if after.len() < end {
            return Ok(None);
        }
        body.extend_from_slice(&after[..size]);
        rest = after[size..].strip_prefix(b"\r\n").ok_or(Malformed)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCACHE-control: no-store\r\ncontent-length: 2\r\n\r\n{}";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n";

    fn whole(bytes: &[u8]) -> Response<'_> {
        match parse(bytes) {
            Ok(Parsed::Whole(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_length_ends_a_body() {
        let mut bytes = PLAIN.to_vec();
        bytes.extend_from_slice(b"HTTP/1.1 200");
        let response = whole(&bytes);
        assert_eq!((response.status, &*response.body, response.closes), (200, &b"{}"[..], false));
        assert_eq!(response.length, PLAIN.len());
    }

    #[test]
    fn chunks_are_joined() {
        let response = whole(CHUNKED);
        assert_eq!((response.status, &*response.body), (401, &b"abc0123456789"[..]));
        assert_eq!(response.length, CHUNKED.len());
    }

    #[test]
    fn every_prefix_is_incomplete() {
        for bytes in [PLAIN, CHUNKED] {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Ok(Parsed::Incomplete), "{end}");
            }
        }
    }

    #[test]
    fn no_content_has_no_body() {
        assert_eq!(whole(b"HTTP/1.1 204 \r\n\r\n").length, 17);
        assert_eq!(whole(b"HTTP/1.1 204\r\n\r\n").status, 204);
    }

    #[test]
    fn a_closing_server_is_heard() {
        assert!(whole(b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n").closes);
        assert!(whole(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n").closes);
        assert!(!whole(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n").closes);
    }

    #[test]
    fn when_to_try_again_is_heard() {
        assert!(whole(b"HTTP/1.1 503 x\r\nRetry-After: 1\r\ncontent-length: 0\r\n\r\n").retry_after);
        assert!(!whole(b"HTTP/1.1 503 x\r\nretry-after:\r\ncontent-length: 0\r\n\r\n").retry_after);
        assert!(!whole(PLAIN).retry_after);
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let no_length = b"HTTP/1.1 200 OK\r\n\r\n";
        let gzip = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n";
        let negative = b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n";
        let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        for bytes in [&b"SSH-2.0\r\n"[..], b"HTTP/2 200\r\n", b"HTTP/1.1 2000\r\n", no_length, gzip, negative, chunk] {
            assert_eq!(parse(bytes), Err(Malformed), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(parse(&[b'x'; HEAD_BYTES_MAX + 1]), Err(Malformed));
    }
}
