//! What a measurement must say of itself to be repeated and believed.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::machine::Machine;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct About {
    /// When it began, RFC 3339.
    pub(crate) date: String,
    pub(crate) command: String,
    /// Of what was measured, as whoever started it says.
    pub(crate) commit: Option<String>,
    /// Of the load generator.
    pub(crate) version: String,
    pub(crate) machine: Machine,
    /// Names and values, in the order to be shown.
    pub(crate) settings: Vec<(String, String)>,
    /// Subjects, and what each is: versions and settings.
    pub(crate) subjects: Vec<(String, String)>,
}

impl About {
    /// Of what begins now, by the command this process was started with.
    pub(crate) fn now(commit: Option<String>, settings: Vec<(String, String)>) -> Self {
        Self {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: command(std::env::args()),
            commit,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::here(),
            settings,
            subjects: Vec::new(),
        }
    }
}

/// The program without its folder, and arguments as a shell would take them. No argument is a secret: those are in files.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let words = arguments.enumerate().map(|(index, argument)| {
        let program = PathBuf::from(&argument);
        match (index, program.file_name()) {
            (0, Some(name)) => name.to_string_lossy().into_owned(),
            _ => quoted(&argument),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_given_again() {
        let arguments = ["/a/b/tool", "run", "--token-form", "scope=a b", "it's", ""].map(str::to_owned);
        assert_eq!(command(arguments.into_iter()), r"tool run --token-form 'scope=a b' 'it'\''s' ''");
    }
}
