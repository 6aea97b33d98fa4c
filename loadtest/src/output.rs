//! Where a document goes: to the terminal as text, to files as JSON.

use std::path::Path;

use crate::args::OutputArgs;
use crate::failure::Failure;
use crate::report::Document;

impl OutputArgs {
    /// `text` is what a terminal shows of it.
    pub(crate) fn write(&self, document: &Document, text: &str) -> Result<(), Failure> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        match to_stdout {
            true => println!("{}", document.json()?),
            false => println!("{text}"),
        }
        match self.json.as_deref() {
            Some(file) if !to_stdout => document.write(file),
            _ => Ok(()),
        }
    }
}
