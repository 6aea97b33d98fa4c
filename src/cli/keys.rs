//! `jeton keys`: makes and changes the file of the service's own keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;

use super::input::{everything, is_dash};
use super::output::{Failure, note, print, print_bytes};
use crate::clock::Clock;
use crate::config::keys_file::disk::{self, KeyFileError};
use crate::config::keys_file::{KeyFile, KeyState, KeySummary, moment_text};
use crate::oauth::keys::KeyId;
use crate::oauth::time::Timestamp;
use crate::random::Random;

/// Make and change the service's own keys; every node that shares a Redis needs the same file
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key file with one key, mode 0600; one that exists is never touched
    Generate {
        /// The file; `-` is standard output
        file: PathBuf,
        /// Leave a file that exists, say so, and exit with 0
        #[arg(long)]
        if_missing: bool,
    },
    /// Add a key: at once it verifies and opens, later it also makes tokens
    ///
    /// Every node must have read the changed file before the new key makes: until then it would call the others' tokens forged. A running
    /// service reads it within two seconds of its change.
    Rotate {
        /// The file; `-` is standard input and output
        file: PathBuf,
        /// How long until it makes tokens: the time all nodes have to read the file
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
        active_in: Duration,
    },
    /// End a key, and at once all tokens it made; after a leak: `rotate --active-in 0s`, then this
    Remove {
        /// The file; `-` is standard input and output
        file: PathBuf,
        /// The key's id, as `list` shows it
        #[arg(value_parser = clap::value_parser!(u8).range(1..))]
        id: u8,
    },
    /// Show the keys without their secrets
    List {
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// Remove the keys whose last token ended at least an hour ago
    Prune {
        /// The file; `-` is standard input and output
        file: PathBuf,
        /// The longest life of a token, in seconds: tokens.ttl_seconds_max
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        ttl_seconds_max: u32,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Generate { file, if_missing } => generate(&file, if_missing),
        Command::Rotate { file, active_in } => {
            let active_from = active_from(now(), active_in);
            let id = change(&file, |keys| keys.rotate(&Random::system(), active_from))?;
            let from = moment_text(active_from);
            note(&format!(
                "key {} added; it makes tokens from {from} on: by then every node must have read the file",
                id.0
            ));
            Ok(())
        }
        Command::Remove { file, id } => {
            change(&file, |keys| keys.remove(KeyId(id)))?;
            note(&format!("key {id} removed: its tokens end as nodes read the file"));
            Ok(())
        }
        Command::List { file } => {
            let keys = if is_dash(&file) {
                from_stdin()?
            } else {
                disk::read(&file).map_err(|error| failure(&file, error))?
            };
            print(&listed(&keys.summaries(now())))
        }
        Command::Prune { file, ttl_seconds_max } => {
            let removed = change(&file, |keys| Ok(keys.prune(now(), ttl_seconds_max)))?;
            let ids: Vec<String> = removed.iter().map(|id| id.0.to_string()).collect();
            match ids.len() {
                0 => note("no key is old enough to be removed"),
                1 => note(&format!("key {} removed", ids[0])),
                _ => note(&format!("keys {} removed", ids.join(", "))),
            }
            Ok(())
        }
    }
}

/// In whole seconds, as the file has it: never earlier than asked, and at once where nothing is waited for.
fn active_from(now: Timestamp, delay: Duration) -> Timestamp {
    if delay.is_zero() {
        return Timestamp::from_unix_seconds(now.unix_seconds());
    }
    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_seconds(now.unix_millis().saturating_add(delay).div_ceil(1000))
}

fn now() -> Timestamp {
    Timestamp::from_unix_millis(Clock::System.unix_millis())
}

fn generate(path: &Path, if_missing: bool) -> Result<(), Failure> {
    let keys = KeyFile::generate(&Random::system(), now()).map_err(Failure::new)?;
    if is_dash(path) {
        return print_bytes(keys.render().as_bytes());
    }
    match disk::create(path, &keys) {
        Ok(()) => note(&format!("{} made, with one key; keep it secret, and give it to every node", path.display())),
        Err(KeyFileError::Exists) if if_missing => note(&format!("{} exists and stays as it is", path.display())),
        Err(error) => return Err(failure(path, error)),
    }
    Ok(())
}

/// Changes a file in its place, or what comes on standard input on its way to standard output.
fn change<T>(path: &Path, change: impl FnOnce(&mut KeyFile) -> Result<T, String>) -> Result<T, Failure> {
    if is_dash(path) {
        let mut keys = from_stdin()?;
        let outcome = change(&mut keys).map_err(Failure::new)?;
        print_bytes(keys.render().as_bytes())?;
        return Ok(outcome);
    }
    disk::update(path, change).map_err(|error| failure(path, error))
}

fn from_stdin() -> Result<KeyFile, Failure> {
    Ok(KeyFile::parse(Path::new("standard input"), everything()?)?)
}

fn failure(path: &Path, error: KeyFileError) -> Failure {
    match error {
        KeyFileError::Exists => Failure::with_hint(
            format!("{} exists, and a lost key ends its tokens: it stays as it is", path.display()),
            "`jeton keys rotate` adds a key to it; `--if-missing` is content with it",
        ),
        KeyFileError::Unreadable(error) => Failure::with_hint(
            format!("{} cannot be read: {error}", path.display()),
            "`jeton keys generate FILE` makes a key file",
        ),
        KeyFileError::Mistakes(mistakes) => Failure::Configuration(mistakes),
        KeyFileError::Refused(what) => Failure::new(what),
    }
}

fn listed(keys: &[KeySummary]) -> String {
    let state = |state| match state {
        KeyState::Waiting => "verifies, makes later",
        KeyState::Making => "makes",
        KeyState::Retired => "verifies",
    };
    let line =
        |key: &KeySummary| format!("{:>3}  {:<20}  {}", key.id.0, moment_text(key.active_from), state(key.state));
    let lines = keys.iter().map(line);
    std::iter::once(" id  active from           state".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_no_secret() {
        let mut keys = KeyFile::generate(&Random::seeded(1), Timestamp::from_unix_seconds(0)).unwrap();
        keys.rotate(&Random::seeded(2), Timestamp::from_unix_seconds(60)).unwrap();
        let text = listed(&keys.summaries(Timestamp::from_unix_seconds(1)));
        let expected = " id  active from           state\n  1  1970-01-01T00:00:00Z  makes\n  2  1970-01-01T00:01:00Z  verifies, makes later";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_key_makes_no_earlier_than_asked() {
        let at = |millis, delay| active_from(Timestamp::from_unix_millis(millis), delay).unix_millis();
        assert_eq!(at(1_900, Duration::from_secs(5)), 7_000);
        assert_eq!(at(2_000, Duration::from_secs(5)), 7_000);
        assert_eq!(at(1_900, Duration::ZERO), 1_000);
        // As good as never, and still a moment that can be written.
        let never = active_from(Timestamp::from_unix_millis(0), Duration::MAX);
        assert!(moment_text(never).starts_with("9999-12-31T23:59:59"));
    }

    #[test]
    fn generate_refuses_what_exists_unless_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        generate(&path, true).unwrap();
        assert!(generate(&path, true).is_ok());
        assert!(matches!(generate(&path, false), Err(Failure::Failed { hint: Some(_), .. })));
    }
}
