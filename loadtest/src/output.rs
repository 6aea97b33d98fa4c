//! Where a document goes: to the terminal as text, to files as JSON and as a page.

use std::path::Path;

use crate::args::{OutputArgs, RenderArgs};
use crate::failure::Failure;
use crate::report::document::write;
use crate::report::{Document, html};

impl OutputArgs {
    /// `text` is what a terminal shows of it.
    pub(crate) fn write(&self, document: &Document, text: &str) -> Result<(), Failure> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        match to_stdout {
            true => println!("{}", document.json()?),
            false => println!("{text}"),
        }
        if let Some(file) = self.json.as_deref().filter(|_| !to_stdout) {
            write(file, &document.json()?)?;
            eprintln!("wrote {}", file.display());
        }
        if let Some(file) = &self.html {
            write(file, &html::render(document))?;
            eprintln!("wrote {}", file.display());
        }
        Ok(())
    }
}

/// A page of what was measured before.
pub(crate) fn render(args: &RenderArgs) -> Result<bool, Failure> {
    write(&args.html, &html::render(&Document::read(&args.json)?))?;
    Ok(true)
}
