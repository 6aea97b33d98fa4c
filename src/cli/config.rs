//! `jeton config`: checks a configuration, or shows it as it counts.

use clap::Subcommand;

use super::output::{Failure, print, warn};
use super::sources::SourceArguments;
use crate::clock::Clock;
use crate::config;
use crate::config::Shown;
use crate::oauth::time::Timestamp;
use crate::random::Random;

/// Check or show a configuration
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the configuration with all it names: clients, keys, secrets; every mistake is told at once
    Check(SourceArguments),
    /// Show the effective configuration and where each value came from, secrets masked
    Show {
        #[command(flatten)]
        sources: SourceArguments,
        /// Say of each key what it means, and which environment variable sets it
        #[arg(long)]
        explain: bool,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(arguments) => check(arguments),
        Command::Show { sources, explain } => show(sources, explain),
    }
}

fn check(arguments: SourceArguments) -> Result<(), Failure> {
    let now = Timestamp::from_unix_millis(Clock::System.unix_millis());
    let loaded = config::load(arguments.sources(), &Random::system(), now)?;
    warn(&loaded.warnings);
    let (clients, keys) = (loaded.clients.clients.len(), loaded.keys.iter().count());
    let warnings = loaded.warnings.len();
    print(&format!("no mistakes: {clients} clients, {keys} keys, {warnings} warnings"))
}

fn show(arguments: SourceArguments, explain: bool) -> Result<(), Failure> {
    let (effective, mistakes) = arguments.sources().read_all();
    print(&rendered(&effective.show(), explain))?;
    warn(&effective.warnings);
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.into()) }
}

/// As TOML, each line with the origin of its value behind it.
fn rendered(shown: &[Shown], explain: bool) -> String {
    let assignment = |one: &Shown| match &one.value {
        Some(value) => format!("{} = {value}", one.path),
        None => format!("# {} is not set", one.path),
    };
    let left: Vec<String> = shown.iter().map(assignment).collect();
    let width = left.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let line = |(left, one): (&String, &Shown)| {
        let above = if explain { format!("\n# {}\n# {}\n", one.about, one.variable) } else { String::new() };
        match one.value {
            Some(_) => format!("{above}{left:width$}  # {}", one.origin),
            None => above + left,
        }
    };
    left.iter().zip(shown).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_toml() {
        let one = |path, value: Option<&str>| Shown {
            path,
            value: value.map(str::to_owned),
            origin: "a:1:1".into(),
            variable: "JETON_X".into(),
            about: "Why.",
        };
        let all = [one("store.url", Some("\"memory:\"")), one("issuer", None), one("log.level", Some("\"info\""))];
        let text = rendered(&all, false);
        let expected = "store.url = \"memory:\"  # a:1:1\n# issuer is not set\nlog.level = \"info\"     # a:1:1";
        assert_eq!(text, expected);
        assert!(rendered(&all, true).contains("\n# Why.\n# JETON_X\nlog.level = \"info\""));
        assert!(text.parse::<toml::Table>().is_ok());
    }
}
