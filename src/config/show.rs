//! `config show`: each value as it counts, with its origin; no secret.

use super::mistake::Origin;
use super::settings::{Setting, Settings, Value};
use super::store_url;
use super::table::{self, Key, Kind};

/// One key as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its section and name, with dots.
    pub path: &'static str,
    /// Its value as TOML would have it, masked where secret; none: absent.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: String,
    /// The environment variable that would set it.
    pub variable: String,
    /// Unit and reason.
    pub about: &'static str,
}

/// All keys, in the order of the table.
pub(crate) fn all(settings: &Settings) -> Vec<Shown> {
    let shown = |key: &'static Key| {
        let setting = settings.get(key.path);
        Shown {
            path: key.path,
            value: setting.map(|setting| value(key, setting)),
            origin: setting.map_or_else(|| Origin::Default.to_string(), origin),
            variable: key.variable(),
            about: key.about,
        }
    };
    table::KEYS.iter().map(shown).collect()
}

fn value(key: &Key, setting: &Setting) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    match (&setting.value, key.kind) {
        (Value::Text(text), Kind::Path) => quoted(&setting.folder.join(text).to_string_lossy()),
        (Value::Text(text), Kind::List) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(toml::Value::from).collect()).to_string()
        }
        (Value::Text(text), _) => quoted(text),
        (Value::Number(number), _) => number.to_string(),
        (Value::Flag(flag), _) => flag.to_string(),
        (Value::Secret(url), Kind::SecretUrl) => quoted(&store_url::masked(&String::from_utf8_lossy(url.expose()))),
        (Value::Secret(_) | Value::FileOf(_), _) => quoted("…"),
    }
}

fn origin(setting: &Setting) -> String {
    match &setting.read_from {
        Some(file) => format!("{}, in {}", setting.origin, file.display()),
        None => setting.origin.to_string(),
    }
}
