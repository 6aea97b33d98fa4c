//! What is wrong with a configuration, and where: plain values, so that all of them can be gathered before one is shown.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from. Sorts as an operator reads: file by file from the top, then variables, flags and defaults.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A place in a file. Line and column count from 1, the column in characters.
    Place {
        /// The file, as it was named.
        path: PathBuf,
        /// Its line.
        line: u32,
        /// The character in that line.
        column: u32,
    },
    /// A file as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
    /// Nobody gave it: the default.
    Default,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong, without the value of a secret.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a configuration can be used with, but hardly as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Where it stands.
    pub origin: Origin,
    /// What will not work, or not as meant.
    pub what: String,
}

impl Mistake {
    /// A mistake without a hint.
    pub fn new(origin: Origin, what: impl Into<String>) -> Self {
        Self { origin, what: what.into(), hint: None }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, asking whether `meant` was meant, where there is something like it.
    pub fn did_you_mean(self, meant: Option<impl fmt::Display>) -> Self {
        match meant {
            Some(meant) => self.hint(format!("did you mean `{meant}`?")),
            None => self,
        }
    }
}

impl Warning {
    /// A warning.
    pub fn new(origin: Origin, what: impl Into<String>) -> Self {
        Self { origin, what: what.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            // Nothing to point at: what is missing stands nowhere.
            Origin::Default => f.write_str(&self.what)?,
            origin => write!(f, "{origin}: {}", self.what)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.what),
            origin => write!(f, "{origin}: {}", self.what),
        }
    }
}

impl std::error::Error for Mistake {}
