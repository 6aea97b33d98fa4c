//! Every key of the configuration in one table: its name, form, default, and why the default is what it is.
//!
//! The readers of file, environment and flags, `config show`, the hints for unknown keys and the test of jeton.example.toml all
//! follow this table. To add a key: a row in `keys`, a field in `options`, a line in `build`, a line in jeton.example.toml.

mod keys;

pub(crate) use self::keys::KEYS;

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its section and name, with dots.
    pub(crate) path: &'static str,
    /// What its value looks like.
    pub(crate) kind: Kind,
    /// Its value where nobody gives one.
    pub(crate) preset: Preset,
    /// Unit and reason, for people.
    pub(crate) about: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is a secret or may hold one: never shown, and `<key>_file` may name a file with it.
    Secret,
    /// A URL in which a secret may stand: shown with that masked; `<key>_file` as above.
    SecretUrl,
    /// The path of a file.
    Path,
    /// An address to listen on.
    Address,
    /// true or false.
    Flag,
    /// A whole number between two bounds, both allowed.
    Number(u64, u64),
    /// Texts, a comma between each and the next where they are one text.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// None: absent unless given.
    Absent,
    /// A text, path, address or choice.
    Text(&'static str),
    /// A number.
    Number(u64),
    /// A flag.
    Flag(bool),
}

const fn key(path: &'static str, kind: Kind, preset: Preset, about: &'static str) -> Key {
    Key { path, kind, preset, about }
}

/// What a name in a configuration stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// A key's own value.
    Value(&'static Key),
    /// `<key>_file`: the file that holds the value.
    FileOf(&'static Key),
    /// A section.
    Section,
}

impl Key {
    /// Whether `<key>_file` may name a file that holds the value.
    pub(crate) fn can_come_from_file(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::SecretUrl)
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        variable(self.path)
    }
}

/// The environment variable of a path.
pub(crate) fn variable(path: &str) -> String {
    format!("JETON_{}", path.replace('.', "__").to_ascii_uppercase())
}

/// What a dotted path stands for, if anything.
pub(crate) fn find(path: &str) -> Option<Named> {
    if let Some(key) = KEYS.iter().find(|key| key.path == path) {
        return Some(Named::Value(key));
    }
    let owner = path.strip_suffix("_file").and_then(|path| KEYS.iter().find(|key| key.path == path));
    if let Some(key) = owner.filter(|key| key.can_come_from_file()) {
        return Some(Named::FileOf(key));
    }
    let within = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    names().any(|known| within(&known)).then_some(Named::Section)
}

/// Every path that may be written: keys, and their `_file` twins.
pub(crate) fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| {
        let twin = key.can_come_from_file().then(|| format!("{}_file", key.path));
        std::iter::once(key.path.to_owned()).chain(twin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.path != key.path), "{} stands twice", key.path);
            assert!(key.about.ends_with('.'), "{}", key.path);
            let fits = match (key.kind, key.preset) {
                (_, Preset::Absent) => true,
                (Kind::Number(min, max), Preset::Number(number)) => (min..=max).contains(&number),
                (Kind::Flag, Preset::Flag(_)) => true,
                (Kind::Choice(words), Preset::Text(word)) => words.contains(&word),
                (Kind::Text | Kind::Path | Kind::Address | Kind::List, Preset::Text(_)) => true,
                _ => false,
            };
            assert!(fits, "the default of {} is not of its kind", key.path);
        }
    }

    #[test]
    fn names_are_found() {
        assert!(matches!(find("admin.token_file"), Some(Named::FileOf(key)) if key.path == "admin.token"));
        assert!(matches!(find("store.tls"), Some(Named::Section)));
        assert!(find("stor").is_none() && find("keys.file_file").is_none());
        assert_eq!(variable("store.tls.ca_file"), "JETON_STORE__TLS__CA_FILE");
    }
}
