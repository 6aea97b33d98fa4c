//! Header blocks of HTTP/2 by hand (RFC 7541), without Huffman codes: what no library would send.

use crate::harness::clients::secret_of;
use crate::harness::request::{FORM, Request, TOKEN};

/// A string literal: up to 126 bytes, or more with a length that is continued.
fn text(text: &[u8]) -> Vec<u8> {
    [integer(text.len(), 7, 0), text.to_vec()].concat()
}

/// An integer with a prefix of so many bits (section 5.1).
fn integer(value: usize, bits: u32, pattern: u8) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![pattern | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![pattern | u8::try_from(most).unwrap()];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A field that is not indexed.
pub(super) fn field(name: &str, value: &[u8]) -> Vec<u8> {
    [vec![0], text(name.as_bytes()), text(value)].concat()
}

/// A field that is put into the dynamic table.
pub(super) fn remembered(name: &str, value: &[u8]) -> Vec<u8> {
    [vec![0x40], text(name.as_bytes()), text(value)].concat()
}

/// The newest field of the dynamic table.
pub(super) const NEWEST: u8 = 0x80 | 62;

/// `:method` (2 GET, 3 POST), `:scheme`, `:path`, `:authority`.
fn pseudo(method: u8, path: &str) -> Vec<u8> {
    [vec![0x80 | method, 0x86, 0x04], text(path.as_bytes()), vec![0x01], text(b"as.example")].concat()
}

/// A GET that is answered at once.
pub(super) fn get() -> Vec<u8> {
    pseudo(2, "/health/alive")
}

/// A right token request but for its body.
pub(super) fn post_token() -> Vec<u8> {
    let basic = Request::new("POST", TOKEN).basic("billing", &secret_of("billing")).headers.remove(0).1;
    [pseudo(3, TOKEN), field("authorization", &basic), field("content-type", FORM.as_bytes())].concat()
}
