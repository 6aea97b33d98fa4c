//! Flags of the command line as the uppermost layer of settings.

use std::path::Path;

use super::mistake::{Mistake, Origin};
use super::settings::{self, Settings};
use super::table;

/// What flags say of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin-listen`.
    pub admin_listen: Option<String>,
    /// `--store`.
    pub store: Option<String>,
    /// `--issuer`.
    pub issuer: Option<String>,
}

/// Reads flags as settings.
pub(crate) fn read(flags: &Flags, folder: &Path, mistakes: &mut Vec<Mistake>) -> Settings {
    let given = [
        ("--listen", "public.listen", &flags.listen),
        ("--admin-listen", "admin.listen", &flags.admin_listen),
        ("--store", "store.url", &flags.store),
        ("--issuer", "issuer", &flags.issuer),
    ];
    let mut settings = Settings::default();
    for (flag, path, text) in given {
        let Some(text) = text else { continue };
        let Some(key) = table::KEYS.iter().find(|key| key.path == path) else { continue };
        match settings::from_text(key, text) {
            Ok(value) => settings.put(key, value, Origin::Flag(flag), folder),
            Err(what) => {
                settings.spoil(key);
                mistakes.push(Mistake::new(Origin::Flag(flag), what));
            }
        }
    }
    settings
}
