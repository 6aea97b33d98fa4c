//! What came back, and whether it is what was asked for.
//!
//! The body is not parsed as JSON: two members are looked for by their names, at a cost far below the request's.

use memchr::memmem;

/// An answer read whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// It says when to try again.
    pub(crate) retry_after: bool,
}

/// What a right answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    Token,
    Active(bool),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As expected.
    Right,
    /// Status 200 and a body that says something else: a bug in the service or in the test's set-up.
    Wrong,
    /// Another status.
    Refused,
}

impl Answer<'_> {
    pub(crate) fn verdict(&self, expectation: Expectation) -> Verdict {
        if self.status != 200 {
            return Verdict::Refused;
        }
        let right = match expectation {
            Expectation::Token => access_token(self.body).is_some(),
            Expectation::Active(expected) => active(self.body) == Some(expected),
            Expectation::Done => true,
        };
        if right { Verdict::Right } else { Verdict::Wrong }
    }
}

/// The value of the member `access_token`, as it stands between its quotes.
pub(crate) fn access_token(body: &[u8]) -> Option<&[u8]> {
    let value = value_of(body, b"\"access_token\"")?.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    (end > 0).then(|| &value[..end])
}

/// The value of the member `expires_in`, RFC 6749 section 5.1: seconds.
pub(crate) fn expires_in(body: &[u8]) -> Option<u64> {
    let value = value_of(body, b"\"expires_in\"")?;
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()?.parse().ok()
}

fn active(body: &[u8]) -> Option<bool> {
    let value = value_of(body, b"\"active\"")?;
    if value.starts_with(b"true") {
        return Some(true);
    }
    value.starts_with(b"false").then_some(false)
}

/// What stands behind a member's name and its colon.
fn value_of<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let after = &body[memmem::find(body, name)? + name.len()..];
    Some(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_with_and_without_space() {
        assert_eq!(access_token(br#"{"access_token":"jt_x","expires_in":1}"#), Some(&b"jt_x"[..]));
        assert_eq!(access_token(b"{ \"expires_in\": 1,\n \"access_token\" : \"jt_x\" }"), Some(&b"jt_x"[..]));
        for body in ["", "{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#, r#"{"access_token":"x"#] {
            assert_eq!(access_token(body.as_bytes()), None, "{body}");
        }
        assert_eq!(expires_in(br#"{"expires_in": 3600,"x":1}"#), Some(3600));
        assert_eq!((expires_in(b"{\"expires_in\":\"1\"}"), expires_in(b"{}")), (None, None));
        assert_eq!(active(br#"{"active":false}"#), Some(false));
        assert_eq!(active(br#"{"sub":"x", "active" : true}"#), Some(true));
        assert_eq!(active(br#"{"active":"true"}"#), None);
    }

    #[test]
    fn a_verdict_needs_status_and_body() {
        let verdict = |status, body: &str, expectation| {
            Answer { status, body: body.as_bytes(), retry_after: false }.verdict(expectation)
        };
        assert_eq!(verdict(200, r#"{"active":true}"#, Expectation::Active(true)), Verdict::Right);
        assert_eq!(verdict(200, r#"{"active":true}"#, Expectation::Active(false)), Verdict::Wrong);
        assert_eq!(verdict(200, "{}", Expectation::Token), Verdict::Wrong);
        assert_eq!(verdict(200, "", Expectation::Done), Verdict::Right);
        assert_eq!(verdict(503, r#"{"access_token":"x"}"#, Expectation::Token), Verdict::Refused);
    }
}
