//! The configuration file as a layer of settings.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::document::Document;
use super::hint::closest;
use super::mistake::{Mistake, Origin};
use super::settings::{self, Settings, Value};
use super::table::{self, Key, Kind, Named};
use crate::oauth::secret::Secret;

/// Reads a file as settings; every mistake in it goes to `mistakes`.
pub(crate) fn read(path: &Path, mistakes: &mut Vec<Mistake>) -> Settings {
    match Document::read(path) {
        Ok(document) => read_document(&document, mistakes),
        Err(mistake) => {
            mistakes.push(mistake);
            Settings::default()
        }
    }
}

/// The mistakes of a file with this content.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_bytes(path: &Path, bytes: Vec<u8>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    match Document::from_bytes(path, bytes) {
        Ok(document) => drop(read_document(&document, &mut mistakes)),
        Err(mistake) => mistakes.push(mistake),
    }
    mistakes
}

/// Reads a document as settings.
pub(crate) fn read_document(document: &Document, mistakes: &mut Vec<Mistake>) -> Settings {
    let (tree, syntax) = document.parse();
    let mut layer = Layer { document, settings: Settings::default(), mistakes: Vec::new() };
    layer.walk("", tree.get_ref());
    // Where the text is broken the tree is a guess: what it says of the same line would only repeat the syntax error.
    let broken: Vec<u32> = syntax.iter().filter_map(|mistake| line(&mistake.origin)).collect();
    let is_broken = |origin: &Origin| line(origin).is_some_and(|line| broken.contains(&line));
    mistakes.extend(layer.mistakes.iter().filter(|mistake| !is_broken(&mistake.origin)).cloned());
    for key in table::KEYS.iter().filter(|_| !syntax.is_empty()) {
        layer.settings.spoil(key);
        if layer.settings.get(key.path).is_some_and(|setting| is_broken(&setting.origin)) {
            layer.settings.remove(key.path);
        }
    }
    mistakes.extend(syntax);
    layer.settings
}

fn line(origin: &Origin) -> Option<u32> {
    match origin {
        Origin::Place { line, .. } => Some(*line),
        _ => None,
    }
}

struct Layer<'a> {
    document: &'a Document,
    settings: Settings,
    mistakes: Vec<Mistake>,
}

impl Layer<'_> {
    fn walk(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path =
                if section.is_empty() { name.get_ref().to_string() } else { format!("{section}.{}", name.get_ref()) };
            let (at_name, at_value) = (name.span(), value.span());
            match (table::find(&path), value.get_ref()) {
                (Some(Named::Section), DeValue::Table(inner)) => self.walk(&path, inner),
                (Some(Named::Section), _) => self.mistake(&at_value, format!("`{path}` is a section: write [{path}]")),
                (Some(Named::Value(key)), value) => match from_toml(key, value) {
                    Ok(value) => self.set(key, value, &at_value),
                    Err(what) => self.spoil(key, &at_value, format!("`{path}`: {what}")),
                },
                (Some(Named::FileOf(key)), DeValue::String(file)) if !file.is_empty() => {
                    self.set(key, Value::FileOf(self.document.folder().join(&**file)), &at_value);
                }
                (Some(Named::FileOf(key)), _) => self.spoil(key, &at_value, format!("`{path}` is the path of a file")),
                (None, _) => self.mistakes.push(unknown(&path, self.document.origin(&at_name))),
            }
        }
    }

    fn set(&mut self, key: &'static Key, value: Value, at: &Range<usize>) {
        let origin = self.document.origin(at);
        if self.settings.get(key.path).is_some() {
            self.mistakes.push(given_twice(key, origin));
        } else {
            self.settings.put(key, value, origin, self.document.folder());
        }
    }

    fn spoil(&mut self, key: &'static Key, at: &Range<usize>, what: String) {
        self.settings.spoil(key);
        self.mistake(at, what);
    }

    fn mistake(&mut self, at: &Range<usize>, what: String) {
        self.mistakes.push(Mistake::new(self.document.origin(at), what));
    }
}

fn from_toml(key: &Key, value: &DeValue<'_>) -> Result<Value, String> {
    match (key.kind, value) {
        (Kind::Number(min, max), DeValue::Integer(integer)) => {
            match u64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => settings::in_range(number, min, max),
                Err(_) => Err(format!("{integer} is not between {min} and {max}")),
            }
        }
        (Kind::Number(min, max), _) => Err(format!("must be a whole number from {min} to {max}")),
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Flag, _) => Err("must be true or false, without quotes".into()),
        (Kind::Secret | Kind::SecretUrl, DeValue::String(text)) if !text.is_empty() => {
            Ok(Value::Secret(Secret::new(text.as_bytes())))
        }
        (Kind::List, DeValue::Array(items)) => {
            let text = |item: &toml::Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err("must be an array of texts in quotes".to_owned()),
            };
            let texts: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
            Ok(Value::Text(texts.join(",")))
        }
        (Kind::List, _) => Err("must be an array of texts in quotes".into()),
        (_, DeValue::String(text)) => settings::from_text(key, text),
        (_, _) => Err("must be text in quotes".into()),
    }
}

/// A key and its `_file` twin in one layer.
pub(crate) fn given_twice(key: &Key, origin: Origin) -> Mistake {
    Mistake::new(origin, format!("`{0}` and `{0}_file` are both given", key.path)).hint("keep one of them")
}

/// A key that nobody knows.
fn unknown(path: &str, origin: Origin) -> Mistake {
    let (section, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    let names: Vec<String> = table::names().collect();
    let split =
        |name: &str| name.rsplit_once('.').map_or(("".to_owned(), name.to_owned()), |(s, l)| (s.into(), l.into()));
    let mut siblings: Vec<String> =
        names.iter().map(|name| split(name)).filter(|(s, _)| s == section).map(|(_, leaf)| leaf).collect();
    let sections = names.iter().map(|name| split(name).0);
    let below = sections.filter_map(|s| match section {
        "" => s.split('.').next().filter(|name| !name.is_empty()).map(str::to_owned),
        _ => s.strip_prefix(section)?.strip_prefix('.').map(str::to_owned),
    });
    siblings.extend(below);
    let elsewhere = || names.iter().find(|name| split(name).1 == leaf).map(|name| name.as_str());
    let meant = closest(leaf, siblings.iter().map(String::as_str))
        .or_else(elsewhere)
        .or_else(|| closest(path, names.iter().map(String::as_str)));
    let what = match section {
        "" => format!("there is no `{leaf}`"),
        _ => format!("there is no `{leaf}` in [{section}]"),
    };
    Mistake::new(origin, what).did_you_mean(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let document = Document::from_bytes(Path::new("j.toml"), text.into()).unwrap();
        let mut mistakes = Vec::new();
        read_document(&document, &mut mistakes);
        mistakes.sort();
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_at_once_with_place_and_hint() {
        let text = "isuer = 1\n\n[limits]\nbody_byte = 3\nconnections = 0\n  header_timeout_ms = \"5\"\nbody_timeout_ms = -1\n\
                    [stor]\n[store]\nrequire_noeviction = 1\ntls = 3\n[public]\nplain_http = \"al\"\ntrusted_proxies = [1]\n\
                    [admin]\ntoken = \"x\"\ntoken_file = \"y\"\nissuer = \"z\"\n";
        assert_eq!(
            mistakes(text),
            [
                "j.toml:1:1: there is no `isuer`; did you mean `issuer`?",
                "j.toml:4:1: there is no `body_byte` in [limits]; did you mean `body_bytes`?",
                "j.toml:5:15: `limits.connections`: 0 is not between 1 and 10000000",
                "j.toml:6:23: `limits.header_timeout_ms`: must be a whole number from 1 to 86400000",
                "j.toml:7:19: `limits.body_timeout_ms`: -1 is not between 1 and 86400000",
                "j.toml:8:2: there is no `stor`; did you mean `store`?",
                "j.toml:10:22: `store.require_noeviction`: must be true or false, without quotes",
                "j.toml:11:7: `store.tls` is a section: write [store.tls]",
                "j.toml:13:14: `public.plain_http`: `al` is none of: loopback, any",
                "j.toml:14:19: `public.trusted_proxies`: must be an array of texts in quotes",
                "j.toml:17:14: `admin.token` and `admin.token_file` are both given; keep one of them",
                "j.toml:18:1: there is no `issuer` in [admin]; did you mean `issuer`?",
            ]
        );
    }

    #[test]
    fn syntax_errors_hide_no_other_mistake() {
        assert_eq!(mistakes("issuer = \n[limits]\nbody_byte = 1\n").len(), 2);
    }

    #[test]
    fn numbers_are_read_as_toml_writes_them() {
        let document = Document::from_bytes(Path::new("j"), b"limits.body_bytes = 0x4_000".to_vec()).unwrap();
        let mut mistakes = Vec::new();
        let settings = read_document(&document, &mut mistakes);
        assert!(mistakes.is_empty());
        assert!(matches!(settings.get("limits.body_bytes").unwrap().value, Value::Number(16_384)));
    }
}
