//! `jeton client`: from a secret to what a clients file keeps of it, and who is registered with a running service.

mod list;

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use clap::Subcommand;
use zeroize::Zeroizing;

use super::input;
use super::output::{Failure, note, print};
use super::token::Service;
use crate::oauth::generated_secret;
use crate::oauth::secret::{Secret, SecretHash, check_strength};
use crate::random::Random;

/// Help with clients
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a secret on standard input and print its `client_secret_hash`
    ///
    /// A secret that could be guessed (fewer than 32 characters, or few different ones) is refused: the fast hash would not protect it.
    Hash {
        /// Make a secret of 256 random bits, with the prefix `jts_` and a checksum: prints it, and its hash in the next line
        #[arg(long)]
        generate: bool,
    },
    /// List the clients of a running service: their secrets, when each ends and when it was last used
    ///
    /// It asks the admin listener. Last uses are those that this node has seen since it was started.
    List {
        #[command(flatten)]
        service: Service,
        /// The file with the token that opens /admin/; `-` for a line of standard input (on a unix socket none is needed)
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// How to show it
        #[arg(long, value_enum, default_value_t)]
        format: list::Format,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Hash { generate } => hash(generate),
        Command::List { service, token_file, format } => list::run(&service, token_file.as_deref(), format),
    }
}

fn hash(generate: bool) -> Result<(), Failure> {
    if generate {
        let bytes: Zeroizing<[u8; 32]> =
            Zeroizing::new(Random::system().bytes().map_err(|error| Failure::new(error.to_string()))?);
        let text = generated_secret::make(&bytes);
        if stdout().is_terminal() {
            note("the secret, shown this once, and what to write as client_secret_hash:");
        }
        print(&text)?;
        return print(&SecretHash::of(&Secret::new(text.as_bytes())).expose());
    }
    let secret = input::line("secret")?;
    if let Err(error) = check_strength(&secret) {
        let what = format!("this secret could be guessed: {error}");
        return Err(Failure::with_hint(what, "`jeton client hash --generate` makes one of 256 random bits"));
    }
    if generated_secret::is_mistyped(secret.expose()) {
        let what = "this secret begins as one of `jeton client hash --generate` does, and its checksum is wrong: it was cut or mistyped";
        return Err(Failure::new(what.to_owned()));
    }
    print(&SecretHash::of(&secret).expose())
}
