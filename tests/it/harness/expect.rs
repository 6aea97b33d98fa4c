//! An answer, and what a test expects of it.

use serde_json::Value;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header; the first, where there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body that is no text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        self.try_json().unwrap_or_else(|why| panic!("{why}"))
    }

    /// The body as JSON, or why it is none.
    pub(crate) fn try_json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("no JSON ({error}): {self:?}"))
    }

    /// The status and all headers but the date, and the body: what row A07 compares.
    pub(crate) fn without_date(&self) -> Self {
        let headers = self.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
        Self { headers, ..self.clone() }
    }

    /// Expects this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.told());
        self
    }

    /// Expects a token, and returns it.
    #[track_caller]
    pub(crate) fn expect_token(self) -> String {
        let answer = self.expect(200).expect_no_store();
        answer.json()["access_token"].as_str().expect("access_token").to_owned()
    }

    /// Expects a token, and returns its type.
    #[track_caller]
    pub(crate) fn expect_token_type(&self) -> String {
        self.clone().expect_token();
        self.json()["token_type"].as_str().expect("token_type").to_owned()
    }

    /// Expects an error of this status and code; one of 503 and 429 says when to come again.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status).expect_no_store();
        assert_eq!(answer.json()["error"], code, "{}", answer.told());
        assert!(answer.json().get("access_token").is_none(), "a token in an error");
        // Until a day's grants are over it takes a day at most.
        let longest = [(503, 5), (429, 86_400)].into_iter().find(|(limited, _)| *limited == status);
        if let Some((_, longest)) = longest {
            assert!((1..=longest).contains(&answer.retry_after()), "{}", answer.told());
        }
        answer
    }

    /// Expects a live token's introspection, and returns it.
    #[track_caller]
    pub(crate) fn expect_active(self) -> Value {
        let answer = self.expect(200).expect_no_store();
        let body = answer.json();
        assert_eq!(body["active"], true, "{}", answer.told());
        body
    }

    /// Expects exactly what is said of a token that is not live.
    #[track_caller]
    pub(crate) fn expect_inactive(self) -> Self {
        let answer = self.expect(200).expect_no_store();
        assert_eq!(answer.text(), r#"{"active":false}"#, "{}", answer.told());
        answer
    }

    /// Expects the answer to a revocation.
    #[track_caller]
    pub(crate) fn expect_revoked(self) -> Self {
        let answer = self.expect(200);
        assert_eq!(answer.text(), "", "{}", answer.told());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.told());
        answer
    }

    /// Expects the headers of RFC 6749 section 5.1, and JSON with no charset.
    #[track_caller]
    pub(crate) fn expect_no_store(self) -> Self {
        assert_eq!(self.header("cache-control"), Some("no-store"), "{}", self.told());
        assert_eq!(self.header("pragma"), Some("no-cache"), "{}", self.told());
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.told());
        self
    }

    /// The seconds of `Retry-After`.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u32 {
        let value = self.header("retry-after").unwrap_or_else(|| panic!("no retry-after: {}", self.told()));
        value.parse().expect("retry-after")
    }

    /// All of it, for a person.
    pub(crate) fn told(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("\n  {name}: {value}")).collect();
        format!("answer {}{headers}\n  {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
