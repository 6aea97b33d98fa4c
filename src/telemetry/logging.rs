//! Log lines: text on a terminal, JSON elsewhere, to standard error by way of a [`LogQueue`], so that nobody waits for it.
//!
//! Invariant: every line has a field `event` from a closed set, so that a reader can count and filter without reading prose. No
//! secret and no token is ever a field: their types have no `Display`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::log_queue::LogQueue;

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

/// Logging, started.
#[derive(Clone, Debug)]
pub struct Logging {
    /// What is logged.
    pub level: LogLevel,
    /// Where lines wait until they are written.
    pub queue: LogQueue,
}

/// A level that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(pub String);

/// Why logging could not start.
#[derive(Debug)]
pub enum StartError {
    /// The level cannot be read.
    Level(LevelError),
    /// The operating system gives no thread.
    Thread(std::io::Error),
}

/// Starts logging for the process. `level`: `error`, `warn`, `info`, `debug` or `trace`.
///
/// # Errors
/// [`StartError`]. Where a logger is already set (tests) it stays.
pub fn start(format: Format, level: &str) -> Result<Logging, StartError> {
    let (filter, handle) = reload::Layer::new(parse(level).map_err(StartError::Level)?);
    let queue = LogQueue::to(stderr()).map_err(StartError::Thread)?;
    let json = match format {
        Format::Auto => !stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    // A line that cannot be formatted would be told by a macro that panics where standard error is closed.
    let lines = fmt::layer().with_writer(queue.clone()).log_internal_errors(false);
    let lines = if json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_target(false).with_ansi(stderr().is_terminal()).boxed()
    };
    // A second start in one process (tests) keeps the first logger.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(Logging { level: LogLevel(handle), queue })
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

/// Our own lines alone: those of the libraries have no `event`, and some of them a client can bring about at will.
fn parse(level: &str) -> Result<EnvFilter, LevelError> {
    EnvFilter::try_new(format!("off,jeton={level}")).map_err(|error| LevelError(error.to_string()))
}

impl std::fmt::Display for LevelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a log level: {}", self.0)
    }
}

impl std::error::Error for LevelError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_five_words() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            assert!(parse(level).is_ok(), "{level}");
        }
        assert!(parse("loud").is_err());
    }
}
