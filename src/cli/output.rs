//! What is printed, and how a failure ends the program.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::app::RunError;
use crate::config::{Mistake, Origin, Warning};

/// Why a subcommand did not do what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is mistaken, with every mistake: exit code 78.
    Configuration(Vec<Mistake>),
    /// It failed: what, and perhaps what to do about it: exit code 1.
    Failed { what: String, hint: Option<String> },
    /// The arguments do not go together: exit code 2.
    Usage(String),
}

const CODE_FAILED: u8 = 1;
const CODE_USAGE: u8 = 2;
const CODE_CONFIGURATION: u8 = 78;

impl Failure {
    /// A failure without a hint.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), hint: None }
    }

    /// A failure with a hint.
    pub(super) fn with_hint(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), hint: Some(hint.into()) }
    }

    /// Tells it on standard error.
    pub(super) fn report(self) -> ExitCode {
        match self {
            Self::Configuration(mistakes) => {
                mistakes.iter().for_each(|mistake| note(&mistake.to_string()));
                let count = mistakes.len();
                note(&format!(
                    "jeton: {count} {} in the configuration",
                    if count == 1 { "mistake" } else { "mistakes" }
                ));
                ExitCode::from(CODE_CONFIGURATION)
            }
            Self::Failed { what, hint } => {
                note(&format!("jeton: {what}"));
                if let Some(hint) = hint {
                    note(&format!("  hint: {hint}"));
                }
                ExitCode::from(CODE_FAILED)
            }
            Self::Usage(what) => {
                note(&format!("jeton: {what}\n  hint: `--help` shows what goes together"));
                ExitCode::from(CODE_USAGE)
            }
        }
    }
}

impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Configuration(mistakes)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Configuration(what) => Self::Configuration(vec![Mistake::new(Origin::Default, what)]),
            refused @ (RunError::Refused(_) | RunError::Crashed(_) | RunError::WorkersGone) => {
                Self::new(refused.to_string())
            }
        }
    }
}

/// A result, on standard output, with a line end.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())?;
    print_bytes(b"\n")
}

/// A result as it is, on standard output.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        // Whoever was reading has seen enough, as `head` has.
        return Ok(());
    }
    written.map_err(|error| Failure::new(format!("standard output cannot be written: {error}")))
}

/// A line for people, on standard error. Nobody is left to tell where that is closed.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Warnings, on standard error.
pub(super) fn warn(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
}
