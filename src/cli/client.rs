//! `jeton client hash`: from a secret to what a clients file keeps of it.

use std::io::{IsTerminal, stdout};

use clap::Subcommand;
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::input;
use super::output::{Failure, note, print};
use crate::oauth::secret::{Secret, SecretHash, check_strength};
use crate::random::Random;

/// Help with clients
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a secret on standard input and print its `client_secret_hash`
    ///
    /// A secret that could be guessed (fewer than 32 characters, or few different ones) is refused: the fast hash would not protect it.
    Hash {
        /// Make a secret of 256 random bits: prints it, and its hash in the next line
        #[arg(long)]
        generate: bool,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let Command::Hash { generate } = command;
    if generate {
        let bytes: Zeroizing<[u8; 32]> =
            Zeroizing::new(Random::system().bytes().map_err(|error| Failure::new(error.to_string()))?);
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes));
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
    print(&SecretHash::of(&secret).expose())
}
