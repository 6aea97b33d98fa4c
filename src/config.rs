//! The configuration: file, environment and flags become one checked value, and every mistake in them is told at once.
//!
//! # Invariants
//! - **Every value knows its origin**, so that a mistake names the file, line and column, the variable or the flag.
//! - **Nothing is started on a half-read configuration**: [`load`] gives all of it or all mistakes.
//! - **Only this room reads the environment**, and only [`environment::from_process`] in it.
//! - **A reload cannot disturb**: [`Sources::read`], [`ClientsSource::reload`] and [`keys_file::disk::load`] give a new value or mistakes
//!   and leave the old one alone.

pub mod address;
mod build;
pub mod certificates;
pub mod clients;
mod document;
pub mod environment;
pub(crate) mod file;
mod flags;
mod hint;
pub mod keys_file;
pub mod mistake;
mod moment;
pub mod options;
pub(crate) mod secret_file;
mod settings;
mod show;
pub mod store_url;
mod table;
pub mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::address::ListenAddress;
pub use self::certificates::Certificates;
pub use self::clients::{ClientsRead, ClientsSource};
pub use self::flags::Flags;
pub use self::mistake::{Mistake, Origin, Warning};
pub use self::options::Config;
pub use self::show::Shown;
pub use self::watched::Watched;

use self::build::Findings;
use self::clients::{CertificatesTaken, Terms};
use self::keys_file::{KeyFile, disk};
use self::settings::{Settings, Value};
use crate::oauth::keys::ServiceKeys;
use crate::oauth::secret::Secret;
use crate::oauth::time::Timestamp;
use crate::random::Random;

/// Where a configuration is read from; kept, since a reload reads the same again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`; none: `jeton.toml` in the folder, if it is there.
    pub config_file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `JETON_` are left aside.
    pub environment: Vec<(String, String)>,
    /// Flags.
    pub flags: Flags,
    /// `--dev`.
    pub dev: Option<Dev>,
    /// What relative paths in variables and flags are relative to; empty: the working folder.
    pub folder: PathBuf,
}

/// `--dev`: no file, no Redis and no environment needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dev {
    /// `--dev-allow-remote`: other addresses than loopback are meant.
    pub allow_remote: bool,
}

/// A configuration with the origin of its values.
#[derive(Debug)]
pub struct Effective {
    /// The options.
    pub config: Config,
    /// What can hardly be meant.
    pub warnings: Vec<Warning>,
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    settings: Settings,
}

/// A configuration with all that it names: what a service starts on.
#[derive(Debug)]
pub struct Loaded {
    /// The options.
    pub config: Config,
    /// Whether and how `--dev` was given.
    pub dev: Option<Dev>,
    /// Where it came from, for reloads.
    pub sources: Sources,
    /// The keys of the file, or those made just now.
    pub keys: Arc<ServiceKeys>,
    /// What the listeners show.
    pub certificates: Certificates,
    /// The clients, as of now.
    pub clients: ClientsRead,
    /// Where the clients come from, for reloads.
    pub clients_source: ClientsSource,
    /// What can hardly be meant: of the configuration, the keys and the clients.
    pub warnings: Vec<Warning>,
    /// What all of it was read from, watched since before it was read: no change is lost.
    pub watched: WatchedFiles,
}

/// The files behind a running service.
#[derive(Debug)]
pub struct WatchedFiles {
    /// The configuration file, every `*_file` with a secret, certificates.
    pub options: Watched,
    /// The clients file or folder and every secret file it names.
    pub clients: Watched,
    /// The key file, if there is one.
    pub keys: Watched,
}

/// The name of the configuration file in the working folder.
const FILE_NAME: &str = "jeton.toml";
/// What `--dev` takes from flags and environment alone: a file in the folder was written for a service with real clients.
const NOT_FROM_FILE_IN_DEV: [&str; 3] = ["issuer", "store.url", "keys.file"];

impl Sources {
    /// Reads and checks the options alone.
    ///
    /// # Errors
    /// Every mistake.
    pub fn read(&self) -> Result<Effective, Vec<Mistake>> {
        let (effective, mistakes) = self.read_all();
        if mistakes.is_empty() { Ok(effective) } else { Err(mistakes) }
    }

    /// Reads the options with the defaults in the place of what is mistaken, and every mistake.
    pub fn read_all(&self) -> (Effective, Vec<Mistake>) {
        let mut findings = Findings::default();
        let file = self.file();
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(&self.folder);
        let mut settings = Settings::defaults(folder);
        if let Some(file) = &file {
            let mut layer = file::read(file, &mut findings.mistakes);
            if self.dev.is_some() {
                leave_aside_in_dev(&mut layer, &mut findings.warnings);
            }
            settings.overlay(layer);
        }
        settings.overlay(environment::read(&self.environment, &self.folder, &mut findings.mistakes));
        settings.overlay(flags::read(&self.flags, &self.folder, &mut findings.mistakes));
        if self.dev.is_some() {
            set_for_dev(&mut settings);
        }
        settings.read_files(&mut findings.mistakes);
        let config = build::build(&settings, self.dev, &mut findings);
        findings.mistakes.sort();
        (Effective { config, warnings: findings.warnings, file, settings }, findings.mistakes)
    }

    fn file(&self) -> Option<PathBuf> {
        let in_folder = || Some(self.folder.join(FILE_NAME)).filter(|path| path.exists());
        self.config_file.clone().or_else(in_folder)
    }
}

fn leave_aside_in_dev(layer: &mut Settings, warnings: &mut Vec<Warning>) {
    for path in NOT_FROM_FILE_IN_DEV {
        if let Some(setting) = layer.remove(path) {
            warnings.push(Warning::new(
                setting.origin,
                format!("`{path}` of the file is left aside with --dev; a flag or variable is not"),
            ));
        }
    }
}

/// What `--dev` means for options: a store where nobody named one, and no waiting for balancers that are not there.
fn set_for_dev(settings: &mut Settings) {
    let origin = Origin::Flag("--dev");
    for key in table::KEYS {
        let value = match key.path {
            "store.url" if settings.is_missing(key.path) => Value::Secret(Secret::new(b"memory:")),
            "limits.drain_delay_ms" => Value::Number(0),
            _ => continue,
        };
        settings.put(key, value, origin.clone(), Path::new(""));
    }
}

impl Effective {
    fn terms_of_clients(&self) -> Terms {
        let config = &self.config;
        let certificates = match (config.takes_certificates(), &config.client_ca_file) {
            (false, _) => CertificatesTaken::None,
            (true, None) => CertificatesTaken::Registered,
            (true, Some(_)) => CertificatesTaken::All,
        };
        let reachable = config.jwks.reachable.clone();
        Terms { ttl_seconds_max: config.tokens.ttl_seconds_max, certificates, reachable }
    }

    /// Each key's value with its origin, secrets masked, in the order of the table.
    pub fn show(&self) -> Vec<Shown> {
        show::all(&self.settings)
    }

    /// The configuration file, every file that an option's value stands in, readable or not, and those of TLS.
    pub fn files(&self) -> Vec<PathBuf> {
        let tls = &self.config.store.tls;
        let of_store = [&tls.ca_file, &tls.certificate_file, &tls.private_key_file].into_iter().flatten();
        let mtls = self.config.mtls.as_ref();
        let of_others = [&self.config.client_ca_file, &self.config.jwks.ca_file].into_iter().flatten();
        let of_listeners =
            [self.config.public.tls.as_ref(), self.config.admin.tls.as_ref(), mtls.map(|mtls| &mtls.tls)];
        let of_listeners = of_listeners.into_iter().flatten();
        let of_listeners = of_listeners.flat_map(|tls| [&tls.certificate_file, &tls.private_key_file]);
        let values = self.settings.files().map(Path::to_path_buf);
        self.file.iter().cloned().chain(values).chain(of_store.chain(of_listeners).chain(of_others).cloned()).collect()
    }
}

/// Reads everything that a service starts on: options, clients, keys. Without a key file keys are made, that make from `now` on.
///
/// # Errors
/// Every mistake in all of them.
pub fn load(sources: Sources, random: &Random, now: Timestamp) -> Result<Loaded, Vec<Mistake>> {
    let (effective, mut mistakes) = sources.read_all();
    let config = &effective.config;
    let mut warnings = effective.warnings.clone();

    let watched = WatchedFiles {
        options: Watched::new(effective.files()),
        clients: Watched::new([config.clients.file.clone()]),
        keys: Watched::new(config.keys.file.clone()),
    };
    let demo = if sources.dev.is_some() { clients::demo::registrations() } else { Vec::new() };
    let clients = ClientsSource::open(&config.clients.file, effective.terms_of_clients(), demo);
    let clients = clients.map_err(|found| mistakes.extend(found)).ok();
    let keys = match &config.keys.file {
        Some(path) => disk::load(path),
        None => made_at_start(random, now).map(|keys| (keys, Vec::new())),
    };
    let keys = keys.map_err(|found| mistakes.extend(found)).ok();
    let (certificates, of_certificates) = effective.certificates();
    mistakes.extend(of_certificates);
    warnings.extend(effective.expired(&certificates, now));

    match (clients, keys) {
        (Some((clients_source, clients)), Some((keys, of_keys))) if mistakes.is_empty() => {
            warnings.extend(of_keys);
            warnings.extend(clients.warnings.iter().cloned());
            let mut watched = watched;
            watched.clients.watch(clients_source.watched_paths());
            let (config, dev) = (effective.config, sources.dev);
            let keys = Arc::new(keys);
            Ok(Loaded { config, dev, sources, keys, certificates, clients, clients_source, warnings, watched })
        }
        _ => {
            mistakes.sort();
            Err(mistakes)
        }
    }
}

fn made_at_start(random: &Random, now: Timestamp) -> Result<ServiceKeys, Vec<Mistake>> {
    let keys = KeyFile::generate(random, now).and_then(|file| file.service_keys());
    keys.map_err(|what| vec![Mistake::new(Origin::Default, what)])
}

#[cfg(test)]
mod tests;
