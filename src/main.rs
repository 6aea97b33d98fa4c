//! The program: arguments, then [`jeton::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // Fails only where one is installed already, and then that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    jeton::cli::run(std::env::args_os())
}
