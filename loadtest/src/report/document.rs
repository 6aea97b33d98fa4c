//! All that was measured and how, as one JSON document.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{About, Summary};
use crate::failure::{Context, Failure};

/// The name of the only subject of a `run`.
pub(crate) const SERVICE: &str = "service";

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Document {
    pub(crate) about: About,
    /// In the order they were measured.
    pub(crate) windows: Vec<Window>,
}

/// One window of one subject. The first subject of each turn and workload is what the others are compared with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Window {
    pub(crate) turn: usize,
    pub(crate) subject: String,
    pub(crate) summary: Summary,
}

impl Document {
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read(file).context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).context(|| format!("{} is no document of `run` or `turns`", file.display()))
    }

    pub(crate) fn json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).context(|| "writing JSON".to_owned())
    }
}

/// Writes a file; its folders are made where they are not there.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folders = file.parent().map_or(Ok(()), fs::create_dir_all);
    folders.and_then(|()| fs::write(file, text)).context(|| format!("writing {}", file.display()))
}
