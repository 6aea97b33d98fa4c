//! The command line: one file a subcommand. The only room that prints.
//!
//! Invariant: results go to standard output, everything else to standard error; the exit code is 0, 1 (failed), 2 (usage) or 78 (bad
//! configuration), and whoever gets one of the last three also gets a hint.

mod client;
mod config;
mod health;
mod http_client;
mod input;
mod keys;
mod output;
mod serve;
mod sources;
mod tls;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An OAuth 2.0 token service for machines: it issues, introspects and revokes opaque access tokens.
#[derive(Debug, Parser)]
#[command(name = "jeton", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
To see it work, with nothing configured:  jeton serve --dev

Exit codes: 0, 1 (failed), 2 (usage), 78 (bad configuration).";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Keys(keys::Command),
    #[command(subcommand)]
    Client(client::Command),
    #[command(subcommand)]
    Token(token::Command),
    Health(health::Arguments),
}

/// Does what the arguments ask for; the first is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, with code 0. Nobody is left to tell where even printing fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match arguments.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Config(command) => config::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Client(command) => client::run(command),
        Command::Token(command) => token::run(command),
        Command::Health(arguments) => health::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_subcommand_has_help() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        command.build();
        let mut waiting: Vec<&clap::Command> = command.get_subcommands().collect();
        while let Some(command) = waiting.pop() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no help", command.get_name(), argument.get_id());
            }
            waiting.extend(command.get_subcommands());
        }
    }

    #[test]
    fn no_secret_is_taken_as_an_argument() {
        let refused = |words: &[&str]| Arguments::try_parse_from([&["jeton"], words].concat()).is_err();
        assert!(refused(&["token", "get", "--client-id", "a", "--client-secret", "s"]));
        assert!(refused(&["client", "hash", "secret"]));
    }
}
