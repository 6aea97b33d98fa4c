//! Why a run could not be made: one sentence for the person at the terminal.

use std::fmt;

/// A sentence, the cause behind a colon. Everything that goes wrong ends the command, so nobody needs to tell kinds apart.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(cause: std::io::Error) -> Self {
        Self(cause.to_string())
    }
}

/// Says what was being done when a result failed.
pub(crate) trait Context<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|cause| Failure(format!("{}: {cause}", doing())))
    }
}
