//! A row: a request, and what its answer must be.

use serde_json::Value;

use crate::harness::clients::secret_of;
use crate::harness::request::{INTROSPECT, REVOKE, TOKEN};
use crate::harness::{Answer, Request};

/// One request and what must come back.
///
/// `{billing}`, `{revoked}` and the like in target, header or body stand for tokens of the [`super::bench::Bench`].
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) case: String,
    pub(crate) request: Request,
    pub(crate) status: u16,
    pub(crate) checks: Vec<Check>,
    /// What the token that was given must introspect as, member by member; `null` for one that must be absent.
    pub(crate) grants: Vec<(&'static str, Value)>,
}

/// One thing an answer must be.
#[derive(Debug)]
pub(crate) enum Check {
    /// This header with exactly this value.
    Header(&'static str, &'static str),
    /// A header with this in its value.
    HeaderHas(&'static str, &'static str),
    /// No header of this name.
    NoHeader(&'static str),
    /// `no-store`, `no-cache`, and JSON with no charset.
    NoStore,
    /// A JSON body with this `error`.
    Error(&'static str),
    /// A response of RFC 6749 section 5.1.
    Token,
    /// The JSON member at this pointer.
    Json(&'static str, Value),
    /// No JSON member at this pointer.
    Absent(&'static str),
    /// Exactly this body.
    Body(&'static str),
}

/// A request for a token by `billing`.
pub(crate) fn ask(form: impl Into<Vec<u8>>) -> Request {
    ask_by("billing", form)
}

/// A request for a token by this client.
pub(crate) fn ask_by(id: &str, form: impl Into<Vec<u8>>) -> Request {
    Request::form(TOKEN, form).basic(id, &secret_of(id))
}

/// An introspection by `orders-api`.
pub(crate) fn introspect(form: impl Into<Vec<u8>>) -> Request {
    introspect_by("orders-api", form)
}

/// An introspection by this resource server.
pub(crate) fn introspect_by(id: &str, form: impl Into<Vec<u8>>) -> Request {
    Request::form(INTROSPECT, form).basic(id, &secret_of(id))
}

/// A revocation by `billing`.
pub(crate) fn revoke(form: impl Into<Vec<u8>>) -> Request {
    Request::form(REVOKE, form).basic("billing", &secret_of("billing"))
}

/// A row that expects status 200, until told otherwise.
pub(crate) fn row(id: &'static str, case: impl Into<String>, request: Request) -> Row {
    Row { id, case: case.into(), request, status: 200, checks: Vec::new(), grants: Vec::new() }
}

impl Row {
    /// Expects this status.
    pub(crate) fn gives(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Expects one thing more.
    pub(crate) fn with(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Expects 400 and this code.
    pub(crate) fn error(self, code: &'static str) -> Self {
        self.error_at(400, code)
    }

    /// Expects this status and code.
    pub(crate) fn error_at(self, status: u16, code: &'static str) -> Self {
        self.gives(status).with(Check::NoStore).with(Check::Error(code))
    }

    /// Expects 401 `invalid_client` with a challenge.
    pub(crate) fn unauthorized(self) -> Self {
        self.error_at(401, "invalid_client")
            .with(Check::HeaderHas("www-authenticate", "Basic realm=\""))
            .with(Check::HeaderHas("www-authenticate", "charset=\"UTF-8\""))
    }

    /// Expects a token.
    pub(crate) fn token(self) -> Self {
        self.with(Check::NoStore).with(Check::Token)
    }

    /// Expects that the token which is given introspects with this member; `null`: without it.
    pub(crate) fn grants(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.grants.push((member, value.into()));
        self
    }

    /// Expects a live token.
    pub(crate) fn active(self) -> Self {
        self.with(Check::NoStore).with(Check::Json("/active", true.into()))
    }

    /// Expects exactly what is said of a token that is not live.
    pub(crate) fn inactive(self) -> Self {
        self.with(Check::NoStore).with(Check::Body(r#"{"active":false}"#))
    }

    /// Expects the answer to a revocation.
    pub(crate) fn revoked(self) -> Self {
        self.with(Check::Header("cache-control", "no-store")).with(Check::Body(""))
    }
}

impl Check {
    /// Says what is wrong with the answer.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), String> {
        let fine = match self {
            Self::Header(name, value) => answer.all(name).eq([*value]),
            Self::HeaderHas(name, part) => answer.all(name).any(|value| value.contains(part)),
            Self::NoHeader(name) => answer.header(name).is_none(),
            Self::NoStore => {
                answer.header("cache-control") == Some("no-store")
                    && answer.header("pragma") == Some("no-cache")
                    && answer.header("content-type") == Some("application/json")
            }
            Self::Error(code) => answer.body.is_empty() || answer.try_json()?["error"] == *code,
            Self::Token => return token_response(&answer.try_json()?),
            Self::Json(pointer, value) => answer.try_json()?.pointer(pointer) == Some(value),
            Self::Absent(pointer) => answer.try_json()?.pointer(pointer).is_none(),
            Self::Body(body) => answer.body == body.as_bytes(),
        };
        if fine { Ok(()) } else { Err(format!("not {self:?}")) }
    }
}

/// What holds of every answer (rows H21, H22, K11), whatever was asked.
pub(crate) fn judge_any(method: &str, answer: &Answer) -> Result<(), String> {
    if answer.header("date").is_none() {
        return Err("no date".to_owned());
    }
    if answer.header("x-content-type-options") != Some("nosniff") {
        return Err("no nosniff".to_owned());
    }
    if answer.header("set-cookie").is_some() || answer.header("server").is_some() {
        return Err("a cookie or a server's name".to_owned());
    }
    if answer.status >= 400 && method != "HEAD" { judge_error(answer) } else { Ok(()) }
}

const CODES: [&str; 11] = [
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "insufficient_scope",
    "access_denied",
    "temporarily_unavailable",
    "server_error",
];

/// RFC 6749 section 5.2: the codes, and the characters of a description; nothing that a request sent (the rows send `canary`).
fn judge_error(answer: &Answer) -> Result<(), String> {
    let body = answer.try_json()?;
    if !body["error"].as_str().is_some_and(|code| CODES.contains(&code)) {
        return Err("an unknown code".to_owned());
    }
    let description = body["error_description"].as_str().unwrap_or_default();
    if !description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
        return Err("a forbidden character in error_description".to_owned());
    }
    let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    if ["canary", "panicked", "redis", "src/", ".rs", "backtrace"].iter().any(|word| text.contains(word)) {
        return Err("an error that tells too much".to_owned());
    }
    Ok(())
}

/// RFC 6749 section 5.1, and the form of our tokens.
fn token_response(body: &Value) -> Result<(), String> {
    let token = body["access_token"].as_str().ok_or("no access_token")?;
    let rest = token.strip_prefix("jt_").ok_or("another prefix")?;
    if rest.len() != 56 || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        return Err("a token of another form".to_owned());
    }
    if body["token_type"] != "Bearer" || !body["expires_in"].is_u64() {
        return Err("token_type or expires_in".to_owned());
    }
    if body.get("refresh_token").is_some() || body.get("id_token").is_some() {
        return Err("a token nobody asked for".to_owned());
    }
    Ok(())
}
