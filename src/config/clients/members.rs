//! The members of one `[[client]]` table, read by name and type, with their places.

use std::cell::RefCell;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::document::Document;
use crate::config::hint::closest;
use crate::config::mistake::{Mistake, Origin};
use crate::config::moment;
use crate::oauth::introspection::RESERVED_CLAIMS;
use crate::oauth::time::Timestamp;

/// The members of this release.
pub(crate) const MEMBERS: [&str; 31] = [
    "client_id",
    "client_name",
    "client_secret_hash",
    "client_secret_file",
    "client_secret",
    "client_secrets",
    "token_endpoint_auth_method",
    "jwks",
    "jwks_file",
    "jwks_uri",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
    "tls_client_certificate_bound_access_tokens",
    "scope",
    "default_scope",
    "audience",
    "default_audience",
    "access_token_ttl_seconds",
    "subject",
    "claims",
    "not_before",
    "disabled",
    "strict_auth_method",
    "grant_types",
    "introspection",
    "workloads",
    "dpop_bound_access_tokens",
    "rate_limit",
];

/// A text and its place.
pub(super) type Placed = (String, Origin);

/// One table.
pub(super) struct Members<'a> {
    document: &'a Document,
    table: &'a DeTable<'a>,
    /// The place of the table.
    pub(super) origin: Origin,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Members<'a> {
    /// Takes a table whose members are all known by name; others are mistakes.
    pub(super) fn new(
        document: &'a Document,
        value: &'a Spanned<DeValue<'a>>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let origin = document.origin(&value.span());
        let DeValue::Table(table) = value.get_ref() else {
            mistakes.push(Mistake::new(origin, "a client is a table").hint("write [[client]]"));
            return None;
        };
        for name in table.keys().filter(|name| !MEMBERS.contains(&name.get_ref().as_ref())) {
            let (text, place) = (name.get_ref().as_ref(), document.origin(&name.span()));
            let mistake = Mistake::new(place, format!("a client has no `{text}`"));
            mistakes.push(mistake.did_you_mean(closest(text, MEMBERS)));
        }
        Some(Self { document, table, origin, mistakes: RefCell::default() })
    }

    /// Takes a table of another kind, which is `what`.
    pub(super) fn of_other(
        document: &'a Document,
        value: &'a Spanned<DeValue<'a>>,
        what: &str,
        known: &[&str],
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let origin = document.origin(&value.span());
        let DeValue::Table(table) = value.get_ref() else {
            mistakes.push(Mistake::new(origin, format!("{what} is a table")));
            return None;
        };
        for name in table.keys().filter(|name| !known.contains(&name.get_ref().as_ref())) {
            let (text, place) = (name.get_ref().as_ref(), document.origin(&name.span()));
            let mistake = Mistake::new(place, format!("{what} has no `{text}`"));
            mistakes.push(mistake.did_you_mean(closest(text, known.iter().copied())));
        }
        Some(Self { document, table, origin, mistakes: RefCell::default() })
    }

    /// An array of tables that have these members and no other. What is found wrong in one is told to [`Members::take_mistakes_of`].
    pub(super) fn tables(&self, name: &str, known: &[&str]) -> Vec<Members<'a>> {
        let Some(value) = self.table.get(name) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            return self.wrong(name, value, "an array of tables, as in [{ id = \"one\" }]").unwrap_or_default();
        };
        array.iter().filter_map(|item| self.inner(name, item, known, "an array of tables alone")).collect()
    }

    /// A table that has these members and no other, as [`Members::tables`].
    pub(super) fn table(&self, name: &str, known: &[&str], form: &str) -> Option<Members<'a>> {
        self.inner(name, self.table.get(name)?, known, form)
    }

    fn inner(&self, name: &str, item: &'a Spanned<DeValue<'a>>, known: &[&str], form: &str) -> Option<Members<'a>> {
        let DeValue::Table(table) = item.get_ref() else {
            return self.wrong(name, item, form);
        };
        for other in table.keys().filter(|other| !known.contains(&other.get_ref().as_ref())) {
            let (text, place) = (other.get_ref().as_ref(), self.place(&other.span()));
            let mistake = Mistake::new(place, format!("`{name}` has no `{text}`"));
            self.push(mistake.did_you_mean(closest(text, known.iter().copied())));
        }
        let (document, origin) = (self.document, self.place(&item.span()));
        Some(Members { document, table, origin, mistakes: RefCell::default() })
    }

    /// Takes what was found wrong in a table within this one.
    pub(super) fn take_mistakes_of(&self, inner: Members<'_>) {
        self.mistakes.borrow_mut().extend(inner.into_mistakes());
    }

    /// The mistakes found so far, taken out.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }

    /// Notes a mistake.
    pub(super) fn mistake(&self, origin: Origin, what: impl Into<String>) {
        self.push(Mistake::new(origin, what));
    }

    /// Notes a mistake that has a hint.
    pub(super) fn push(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Whether the member is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether the member is there, or another that nobody knows and that was likely meant to be it: what is mistyped is not also missing.
    pub(super) fn has_or_nearly(&self, name: &str) -> bool {
        let unknown = |text: &str| !MEMBERS.contains(&text);
        let texts = self.table.keys().map(|key| key.get_ref().as_ref());
        self.has(name) || texts.filter(|text| unknown(text)).any(|text| closest(text, MEMBERS) == Some(name))
    }

    /// The place of a member's value.
    pub(super) fn place_of(&self, name: &str) -> Option<Origin> {
        Some(self.place(&self.table.get(name)?.span()))
    }

    /// A text, for use in a sentence: what is wrong with it is told elsewhere.
    pub(super) fn peek(&self, name: &str) -> Option<&str> {
        self.table.get(name)?.get_ref().as_str()
    }

    /// The same with its place.
    pub(super) fn peek_placed(&self, name: &str) -> Option<(&str, Origin)> {
        Some((self.peek(name)?, self.place_of(name)?))
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<Placed> {
        let value = self.table.get(name)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), self.place(&value.span()))),
            _ => self.wrong(name, value, "text in quotes"),
        }
    }

    /// The path of a file, relative to the clients file.
    pub(super) fn path(&self, name: &str) -> Option<(PathBuf, Origin)> {
        let (text, origin) = self.text(name)?;
        if text.is_empty() {
            self.mistake(origin, format!("`{name}` is empty"));
            return None;
        }
        Some((self.document.folder().join(text), origin))
    }

    /// An array of texts.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<Placed>> {
        let value = self.table.get(name)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self.wrong(name, value, "an array of texts, as in [\"one\", \"two\"]");
        };
        let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Some((text.to_string(), self.place(&item.span()))),
            _ => self.wrong(name, item, "an array of texts alone"),
        };
        Some(array.iter().filter_map(text).collect())
    }

    /// A text, or an array of them.
    pub(super) fn text_or_texts(&self, name: &str) -> Option<Vec<Placed>> {
        match self.table.get(name)?.get_ref() {
            DeValue::String(_) => self.text(name).map(|one| vec![one]),
            _ => self.texts(name),
        }
    }

    /// true or false; false where it is absent.
    pub(super) fn flag(&self, name: &str) -> bool {
        let Some(value) = self.table.get(name) else { return false };
        match value.get_ref() {
            DeValue::Boolean(flag) => *flag,
            _ => self.wrong(name, value, "true or false, without quotes").unwrap_or_default(),
        }
    }

    /// A whole number from `min` to `max`; `bound` says where the latter comes from.
    pub(super) fn number(&self, name: &str, min: u32, max: u32, bound: &str) -> Option<u32> {
        let value = self.table.get(name)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.wrong(name, value, "a whole number without quotes");
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.mistake(
                self.place(&value.span()),
                format!("`{name}`: {integer} is not between {min} and {max}{bound}"),
            );
        }
        number
    }

    /// A moment: a text by RFC 3339, or a TOML date.
    pub(super) fn moment(&self, name: &str) -> Option<Timestamp> {
        let value = self.table.get(name)?;
        let moment = match value.get_ref() {
            DeValue::String(text) => moment::parse(text),
            DeValue::Datetime(datetime) => moment::from_toml(datetime),
            _ => None,
        };
        moment.or_else(|| self.wrong(name, value, "a time by RFC 3339 with its offset, as in \"2026-11-23T10:00:00Z\""))
    }

    /// A table, as the JSON object that it stands for.
    pub(super) fn object(&self, name: &str) -> Option<(Map<String, Value>, Origin)> {
        let value = self.table.get(name)?;
        match value.get_ref() {
            DeValue::Table(table) => Some((self.json_object(table), self.place(&value.span()))),
            _ => self.wrong(name, value, "a table, as in { keys = [{ kty = \"EC\", … }] }"),
        }
    }

    /// A table that becomes members of the introspection answer (I15).
    pub(super) fn claims(&self, name: &str) -> Map<String, Value> {
        let Some(value) = self.table.get(name) else { return Map::new() };
        let DeValue::Table(table) = value.get_ref() else {
            return self.wrong(name, value, "a table, as in { tenant = \"acme\" }").unwrap_or_default();
        };
        for claim in table.keys().filter(|claim| RESERVED_CLAIMS.contains(&claim.get_ref().as_ref())) {
            let what = format!(
                "claim `{}` is one that the answer has itself, or a user's; no client may set it",
                claim.get_ref()
            );
            self.mistake(self.place(&claim.span()), what);
        }
        self.json_object(table)
    }

    fn json_object(&self, table: &DeTable<'_>) -> Map<String, Value> {
        table.iter().map(|(name, value)| (name.get_ref().to_string(), self.json(value))).collect()
    }

    fn json(&self, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(array) => Value::Array(array.iter().map(|item| self.json(item)).collect()),
            DeValue::Table(table) => Value::Object(self.json_object(table)),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => self.no_json(value),
            },
            DeValue::Float(float) => match float.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
                Some(number) => Value::Number(number),
                None => self.no_json(value),
            },
        }
    }

    fn no_json(&self, value: &Spanned<DeValue<'_>>) -> Value {
        self.mistake(self.place(&value.span()), "is a number that JSON cannot hold");
        Value::Null
    }

    fn wrong<T>(&self, name: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        self.mistake(self.place(&value.span()), format!("`{name}` must be {expected}"));
        None
    }

    fn place(&self, span: &Range<usize>) -> Origin {
        self.document.origin(span)
    }
}
