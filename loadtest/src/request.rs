//! Requests, encoded ahead of time as far as they can be: what is left to do for each is to copy a few hundred bytes.

use crate::client::Credential;
use crate::operation::Operation;
use crate::target::Target;

/// What all requests to one endpoint have in common.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) path: Box<str>,
    /// Request line and headers of HTTP/1.1, each with its line end, but for what depends on client and token.
    head: Box<[u8]>,
    /// How the body begins.
    body: Box<[u8]>,
}

impl Endpoint {
    /// `form` is what a token request asks for beside its grant type, as `&scope=read`, encoded.
    pub(crate) fn new(target: &Target, operation: Operation, form: &str) -> Self {
        let path = target.path(operation);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n",
            target.authority
        );
        let body = match operation {
            Operation::Issue => format!("grant_type=client_credentials{form}"),
            Operation::Introspect | Operation::Revoke => "token=".to_owned(),
        };
        Self { path: path.into(), head: head.into_bytes().into(), body: body.into_bytes().into() }
    }

    /// The same with the wish that the server end the connection behind its answer, so that its end waits, not ours.
    pub(crate) fn closing(self) -> Self {
        Self { head: [&self.head, &b"connection: close\r\n"[..]].concat().into(), ..self }
    }
}

/// One request: an endpoint, a client, and the token it names (form-encoded; empty where none is named).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) credential: &'a Credential,
    pub(crate) token: &'a [u8],
}

impl Draft<'_> {
    /// Appends the body.
    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.endpoint.body);
        out.extend_from_slice(self.token);
        out.extend_from_slice(self.credential.form.as_bytes());
    }

    /// Replaces what `out` held with the whole request in HTTP/1.1.
    pub(crate) fn write_http1(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.endpoint.head);
        if !self.credential.authorization.is_empty() {
            out.extend_from_slice(b"authorization: ");
            out.extend_from_slice(self.credential.authorization.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"content-length: ");
        push_decimal(out, self.endpoint.body.len() + self.token.len() + self.credential.form.len());
        out.extend_from_slice(b"\r\n\r\n");
        self.write_body(out);
    }
}

fn push_decimal(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::AuthMethod;
    use crate::target::Paths;

    fn text(draft: Draft<'_>) -> String {
        let mut out = b"what was there".to_vec();
        draft.write_http1(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_whole_http() {
        let target = Target::new("http://127.0.0.1:1", Paths::default()).unwrap();
        let endpoint = Endpoint::new(&target, Operation::Issue, "&scope=read");
        let credential = Credential::new(AuthMethod::Basic, "a", "b");
        assert_eq!(
            text(Draft { endpoint: &endpoint, credential: &credential, token: b"" }),
            "POST /oauth2/token HTTP/1.1\r\nhost: 127.0.0.1:1\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             authorization: Basic YTpi\r\ncontent-length: 40\r\n\r\ngrant_type=client_credentials&scope=read"
        );
        let endpoint = Endpoint::new(&target, Operation::Revoke, "").closing();
        let credential = Credential::new(AuthMethod::Body, "a", "b");
        assert_eq!(
            text(Draft { endpoint: &endpoint, credential: &credential, token: b"jt_x" }),
            "POST /oauth2/revoke HTTP/1.1\r\nhost: 127.0.0.1:1\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             connection: close\r\ncontent-length: 38\r\n\r\ntoken=jt_x&client_id=a&client_secret=b"
        );
    }

    #[test]
    fn decimals() {
        for number in [0, 7, 10, 4096, usize::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
