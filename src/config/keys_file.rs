//! The file of the service's own keys, as a value: read, written, and changed by what `jeton keys` can do.
//!
//! Invariant: ids are never given twice, since a token names its key by id: `last_id` remembers the highest ever given.

pub mod disk;

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::document::Document;
use super::hint::closest;
use super::mistake::{Mistake, Origin};
use super::moment;
pub use super::moment::format as moment_text;
use crate::oauth::keys::{KEY_BYTES, KeyId, ServiceKey, ServiceKeys};
use crate::oauth::time::Timestamp;
use crate::random::Random;

/// The content of a key file.
#[derive(Debug)]
pub struct KeyFile {
    last_id: u8,
    keys: Vec<Entry>,
}

struct Entry {
    id: KeyId,
    active_from: Timestamp,
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

/// What a key is for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Its time has not come: it verifies and opens.
    Waiting,
    /// It makes tokens.
    Making,
    /// It made tokens once and still verifies and opens.
    Retired,
}

/// One key without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySummary {
    /// Its id.
    pub id: KeyId,
    /// From when on it makes.
    pub active_from: Timestamp,
    /// What it is for now.
    pub state: KeyState,
}

/// How long after its last token's end a key is kept: clocks differ, and somebody may still be asking.
const KEPT_LONGER_SECONDS: u64 = 3600;
const HEADER: &str = "# Keys of jeton. Secret: whoever has them and writes to the store can forge tokens.\n\
                      # Changed by `jeton keys rotate`, `remove` and `prune`.\n";

impl KeyFile {
    /// A file with one new key that makes from `now` on.
    ///
    /// # Errors
    /// Why there are no random bytes.
    pub fn generate(random: &Random, now: Timestamp) -> Result<Self, String> {
        let mut file = Self { last_id: 0, keys: Vec::new() };
        file.rotate(random, now)?;
        Ok(file)
    }

    /// Adds a key that makes from `active_from` on, in whole seconds: what a human reads and writes.
    ///
    /// # Errors
    /// A sentence: all ids are used up, or there are no random bytes.
    pub fn rotate(&mut self, random: &Random, active_from: Timestamp) -> Result<KeyId, String> {
        let Some(id) = self.last_id.checked_add(1) else {
            return Err("all 255 key ids were given, and none is given twice: generate a new file and let the tokens of this one end".into());
        };
        let secret = Zeroizing::new(random.bytes().map_err(|error| error.to_string())?);
        let active_from = Timestamp::from_unix_seconds(active_from.unix_seconds());
        self.last_id = id;
        self.keys.push(Entry { id: KeyId(id), active_from, secret });
        Ok(KeyId(id))
    }

    /// Ends a key.
    ///
    /// # Errors
    /// A sentence: there is no such key, or it is the only one.
    pub fn remove(&mut self, id: KeyId) -> Result<(), String> {
        if !self.keys.iter().any(|key| key.id == id) {
            return Err(format!("there is no key {}", id.0));
        }
        if self.keys.len() == 1 {
            return Err(format!(
                "key {} is the only one, and without a key nothing is made; `jeton keys rotate --active-in 0s` first",
                id.0
            ));
        }
        self.keys.retain(|key| key.id != id);
        Ok(())
    }

    /// Removes the keys whose successor has made for longer than the longest life of a token and an hour; tells which.
    pub fn prune(&mut self, now: Timestamp, ttl_seconds_max: u32) -> Vec<KeyId> {
        self.sort();
        let kept_seconds = u64::from(ttl_seconds_max) + KEPT_LONGER_SECONDS;
        let is_over =
            |successor: &Entry| successor.active_from.unix_seconds().saturating_add(kept_seconds) < now.unix_seconds();
        // Sorted by activity, so those that are over are the first ones.
        let over = self.keys.windows(2).take_while(|pair| is_over(&pair[1])).count();
        self.keys.drain(..over).map(|key| key.id).collect()
    }

    /// All keys, in the order of their activity.
    pub fn summaries(&self, now: Timestamp) -> Vec<KeySummary> {
        let mut keys: Vec<&Entry> = self.keys.iter().collect();
        keys.sort_by_key(|key| (key.active_from, key.id));
        let maker = keys.iter().rposition(|key| key.active_from <= now).unwrap_or(0);
        let state = |at: usize| match at.cmp(&maker) {
            std::cmp::Ordering::Less => KeyState::Retired,
            std::cmp::Ordering::Equal => KeyState::Making,
            std::cmp::Ordering::Greater => KeyState::Waiting,
        };
        let summary =
            |(at, key): (usize, &&Entry)| KeySummary { id: key.id, active_from: key.active_from, state: state(at) };
        keys.iter().enumerate().map(summary).collect()
    }

    /// The keys, ready for use.
    ///
    /// # Errors
    /// A sentence: there is no key.
    pub fn service_keys(&self) -> Result<ServiceKeys, String> {
        let keys = self.keys.iter().map(|key| ServiceKey::new(key.id, key.active_from, &key.secret));
        ServiceKeys::new(keys.collect()).map_err(|error| error.to_string())
    }

    /// The file's text.
    pub fn render(&self) -> Zeroizing<String> {
        // Room for all of it, so that no copy of a secret stays behind where the text grew.
        let mut text = Zeroizing::new(String::with_capacity(HEADER.len() + 64 + self.keys.len() * 160));
        text.push_str(HEADER);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "last_id = {}", self.last_id);
        for key in &self.keys {
            let secret = Zeroizing::new(BASE64URL_NOPAD.encode(&*key.secret));
            let _ =
                writeln!(text, "\n[[key]]\nid = {}\nactive_from = \"{}\"", key.id.0, moment::format(key.active_from));
            let _ = writeln!(text, "secret = \"{}\"", secret.as_str());
        }
        text
    }

    /// Reads a file's bytes; `path` is its name in mistakes.
    ///
    /// # Errors
    /// Every mistake with its place; none repeats a secret.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, Vec<Mistake>> {
        let document = Document::from_bytes(path, bytes).map_err(|mistake| vec![mistake])?;
        let (tree, syntax) = document.parse();
        if !syntax.is_empty() {
            return Err(syntax);
        }
        let mut reader = Reader { document: &document, mistakes: Vec::new() };
        let mut file = reader.file(tree.get_ref());
        if reader.mistakes.is_empty() {
            file.sort();
            Ok(file)
        } else {
            reader.mistakes.sort();
            Err(reader.mistakes)
        }
    }

    fn sort(&mut self) {
        self.keys.sort_by_key(|key| (key.active_from, key.id));
    }
}

struct Reader<'a> {
    document: &'a Document,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn file(&mut self, table: &DeTable<'_>) -> KeyFile {
        self.know(table, &["last_id", "key"]);
        let mut keys: Vec<Entry> = Vec::new();
        let mut last_id = None;
        if let Some(value) = table.get("last_id") {
            last_id = self.id(value);
        }
        let listed = match table.get("key").map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::Array(listed), _)) => Some(listed),
            Some((_, span)) => {
                self.mistake(self.document.origin(&span), "each key is a table [[key]]");
                return KeyFile { last_id: 0, keys };
            }
            None => None,
        };
        for value in listed.into_iter().flat_map(|listed| listed.iter()) {
            let Some(key) = self.key(value) else { continue };
            if keys.iter().any(|other| other.id == key.id) {
                self.mistake(self.document.origin(&value.span()), &format!("key id {} stands twice", key.id.0));
            }
            keys.push(key);
        }
        let highest = keys.iter().map(|key| key.id.0).max().unwrap_or(0);
        if keys.is_empty() && self.mistakes.is_empty() {
            let mistake = Mistake::new(Origin::File(self.document.path().to_path_buf()), "holds no key");
            self.mistakes.push(mistake.hint("`jeton keys generate` makes a file with one"));
        }
        KeyFile { last_id: last_id.unwrap_or(0).max(highest), keys }
    }

    fn key(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Entry> {
        let origin = self.document.origin(&value.span());
        let DeValue::Table(table) = value.get_ref() else {
            self.mistake(origin, "each key is a table [[key]]");
            return None;
        };
        self.know(table, &["id", "active_from", "secret"]);
        let id = self.member(table, "id", &origin).and_then(|value| self.id(value));
        let active_from = self.member(table, "active_from", &origin).and_then(|value| self.active_from(value));
        let secret = self.member(table, "secret", &origin).and_then(|value| self.secret(value));
        Some(Entry { id: KeyId(id?), active_from: active_from?, secret: secret? })
    }

    fn know(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for name in table.keys().filter(|name| !known.contains(&name.get_ref().as_ref())) {
            let mistake = Mistake::new(
                self.document.origin(&name.span()),
                format!("there is no `{}` in a key file", name.get_ref()),
            );
            self.mistakes.push(mistake.did_you_mean(closest(name.get_ref(), known.iter().copied())));
        }
    }

    fn member<'t>(&mut self, table: &'t DeTable<'t>, name: &str, at: &Origin) -> Option<&'t Spanned<DeValue<'t>>> {
        let value = table.get(name);
        if value.is_none() {
            self.mistake(at.clone(), &format!("a key without `{name}`"));
        }
        value
    }

    fn id(&mut self, value: &Spanned<DeValue<'_>>) -> Option<u8> {
        let number =
            value.get_ref().as_integer().and_then(|number| u8::from_str_radix(number.as_str(), number.radix()).ok());
        let id = number.filter(|id| *id > 0);
        if id.is_none() {
            self.mistake(self.document.origin(&value.span()), "a key's id is a whole number from 1 to 255");
        }
        id
    }

    fn active_from(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Timestamp> {
        let moment = match value.get_ref() {
            DeValue::String(text) => moment::parse(text),
            DeValue::Datetime(datetime) => moment::from_toml(datetime),
            _ => None,
        };
        if moment.is_none() {
            self.mistake(
                self.document.origin(&value.span()),
                "`active_from` is a time by RFC 3339, as in \"2026-11-23T10:00:00Z\"",
            );
        }
        moment
    }

    fn secret(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        let decoded =
            value.get_ref().as_str().and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok()).map(Zeroizing::new);
        let secret = decoded.and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok());
        if secret.is_none() {
            self.mistake(self.document.origin(&value.span()), "`secret` is not 32 bytes in base64url, 43 characters");
        }
        secret.map(Zeroizing::new)
    }

    fn mistake(&mut self, origin: Origin, what: &str) {
        self.mistakes.push(Mistake::new(origin, what));
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("active_from", &self.active_from).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
