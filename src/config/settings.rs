//! What was set, by whom: raw values by key, each with its origin, before they become typed options.
//!
//! Invariant: a setting that is here is of its key's kind; one that was given and is not, was reported and is `spoiled`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::mistake::{Mistake, Origin};
use super::secret_file;
use super::table::{self, Key, Kind, Preset};
use crate::oauth::secret::Secret;

/// A raw value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A text, path, address or choice.
    Text(String),
    /// A secret, or a URL in which one may stand.
    Secret(Secret),
    /// A number.
    Number(u64),
    /// A flag.
    Flag(bool),
    /// The file that holds the value; gone once [`Settings::read_files`] has read it.
    FileOf(PathBuf),
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The value.
    pub(crate) value: Value,
    /// Who gave it.
    pub(crate) origin: Origin,
    /// What a relative path in it is relative to.
    pub(crate) folder: PathBuf,
    /// The file that its value was read from, where `<key>_file` named one.
    pub(crate) read_from: Option<PathBuf>,
}

/// All settings, by the path of their key.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    by_path: BTreeMap<&'static str, Setting>,
    spoiled: BTreeSet<&'static str>,
    /// Files that hold a value, and could not be read.
    unread: Vec<PathBuf>,
}

impl Settings {
    /// The defaults; relative paths among them are relative to `folder`.
    pub(crate) fn defaults(folder: &Path) -> Self {
        let mut settings = Self::default();
        for key in table::KEYS {
            let value = match key.preset {
                Preset::Absent => continue,
                Preset::Text(text) => Value::Text(text.to_owned()),
                Preset::Number(number) => Value::Number(number),
                Preset::Flag(flag) => Value::Flag(flag),
            };
            settings.put(key, value, Origin::Default, folder);
        }
        settings
    }

    /// Sets a key; what was there is gone.
    pub(crate) fn put(&mut self, key: &'static Key, value: Value, origin: Origin, folder: &Path) {
        let setting = Setting { value, origin, folder: folder.to_path_buf(), read_from: None };
        self.by_path.insert(key.path, setting);
        self.spoiled.remove(key.path);
    }

    /// Notes that a key was given a value that it cannot have, so that nobody says that it is missing.
    pub(crate) fn spoil(&mut self, key: &'static Key) {
        self.spoiled.insert(key.path);
    }

    /// Forgets a key: back to absent.
    pub(crate) fn remove(&mut self, path: &str) -> Option<Setting> {
        self.by_path.remove(path)
    }

    /// A key's setting.
    pub(crate) fn get(&self, path: &str) -> Option<&Setting> {
        self.by_path.get(path)
    }

    /// Whether nobody gave this key a value, not even one that it cannot have.
    pub(crate) fn is_missing(&self, path: &str) -> bool {
        !self.by_path.contains_key(path) && !self.spoiled.contains(path)
    }

    /// Puts another layer over this one.
    pub(crate) fn overlay(&mut self, above: Self) {
        for path in above.by_path.keys() {
            self.spoiled.remove(path);
        }
        self.by_path.extend(above.by_path);
        self.spoiled.extend(above.spoiled);
    }

    /// Reads every file that holds a value.
    pub(crate) fn read_files(&mut self, mistakes: &mut Vec<Mistake>) {
        let named: Vec<(&'static str, PathBuf)> =
            self.by_path.iter().filter_map(|(path, s)| Some((*path, s.file_of()?.to_path_buf()))).collect();
        for (path, file) in named {
            let Some(setting) = self.by_path.get_mut(path) else { continue };
            match secret_file::read(&file) {
                Ok(secret) => {
                    setting.value = Value::Secret(secret);
                    setting.read_from = Some(file);
                }
                Err(what) => {
                    mistakes.push(Mistake::new(setting.origin.clone(), what));
                    self.by_path.remove(path);
                    self.unread.push(file);
                    self.spoiled.extend(table::KEYS.iter().map(|key| key.path).filter(|known| *known == path));
                }
            }
        }
    }

    /// The files that values were read from, or could not be.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let read = self.by_path.values().filter_map(|setting| setting.read_from.as_deref());
        read.chain(self.unread.iter().map(PathBuf::as_path))
    }
}

impl Setting {
    fn file_of(&self) -> Option<&Path> {
        match &self.value {
            Value::FileOf(path) => Some(path),
            _ => None,
        }
    }
}

/// Turns text, as variables and flags hold it, into a value of the key's kind.
///
/// # Errors
/// What is wrong with it, without the value where that is a secret.
pub(crate) fn from_text(key: &Key, text: &str) -> Result<Value, String> {
    match key.kind {
        Kind::Number(min, max) => match text.parse() {
            Ok(number) => in_range(number, min, max),
            Err(_) => Err(format!("`{text}` is not a whole number from {min} to {max}")),
        },
        Kind::Flag => match text {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            _ => Err(format!("`{text}` is neither true nor false")),
        },
        Kind::Secret | Kind::SecretUrl if text.is_empty() => Err("is empty".into()),
        Kind::Secret | Kind::SecretUrl => Ok(Value::Secret(Secret::new(text.as_bytes()))),
        Kind::Choice(words) if !words.contains(&text) => Err(format!("`{text}` is none of: {}", words.join(", "))),
        Kind::Path | Kind::Address if text.is_empty() => Err("is empty".into()),
        Kind::Text | Kind::List | Kind::Path | Kind::Address | Kind::Choice(_) => Ok(Value::Text(text.to_owned())),
    }
}

/// A number between its bounds.
pub(crate) fn in_range(number: u64, min: u64, max: u64) -> Result<Value, String> {
    if (min..=max).contains(&number) {
        Ok(Value::Number(number))
    } else {
        Err(format!("{number} is not between {min} and {max}"))
    }
}
