//! Log lines: text on a terminal, JSON elsewhere, to standard error.
//!
//! Invariant: every line has a field `event` from a closed set, so that a reader can count and filter without reading prose. No
//! secret and no token is ever a field: their types have no `Display`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// The level can be changed while the service runs.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// A level, or directives by target, that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(pub String);

/// Starts logging for the process. `level`: a level or the directives of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// [`LevelError`] where the level cannot be read. Where a logger is already set (tests) it stays.
pub fn start(format: Format, level: &str) -> Result<LogLevel, LevelError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let json = match format {
        Format::Auto => !stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    let lines = if json {
        fmt::layer().json().flatten_event(true).with_writer(stderr).boxed()
    } else {
        fmt::layer().with_target(false).with_ansi(stderr().is_terminal()).with_writer(stderr).boxed()
    };
    // A second start in one process (tests) keeps the first logger.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(LogLevel(handle))
}

impl LogLevel {
    /// Changes the level from now on.
    ///
    /// # Errors
    /// [`LevelError`]; the old level stays.
    pub fn set(&self, level: &str) -> Result<(), LevelError> {
        let filter = parse(level)?;
        self.0.reload(filter).map_err(|gone| LevelError(gone.to_string()))
    }
}

fn parse(level: &str) -> Result<EnvFilter, LevelError> {
    EnvFilter::try_new(level).map_err(|error| LevelError(error.to_string()))
}

impl std::fmt::Display for LevelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a log level: {}", self.0)
    }
}

impl std::error::Error for LevelError {}
