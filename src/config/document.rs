//! One TOML file with its places: every value can say in which line and column it stands.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::mistake::{Mistake, Origin};

/// A file's text, kept so that places in it can be told.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
    /// Where each line begins: a place is asked for often, and a file of clients can be long.
    line_starts: Vec<usize>,
}

impl Document {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Mistake> {
        let mistake = |what: String| Mistake::new(Origin::File(path.to_path_buf()), what);
        let bytes = std::fs::read(path).map_err(|error| mistake(format!("cannot be read: {error}")))?;
        Self::from_bytes(path, bytes)
    }

    /// Takes a file's content.
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Mistake> {
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                let origin = Self::new(path, text).origin(&(valid..valid));
                Err(Mistake::new(origin, "is not UTF-8 text, as TOML must be"))
            }
        }
    }

    fn new(path: &Path, text: String) -> Self {
        let behind_line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(behind_line_ends).collect();
        Self { path: path.to_path_buf(), text, line_starts }
    }

    /// The file, as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that relative paths in it are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The place of a span of bytes: that of its first character.
    pub(crate) fn origin(&self, span: &Range<usize>) -> Origin {
        let line = self.line_starts.partition_point(|start| *start <= span.start).max(1);
        let before = self.text.get(self.line_starts[line - 1]..span.start).unwrap_or_default();
        let column = before.chars().count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Origin::Place { path: self.path.clone(), line: count(line), column: count(column) }
    }

    /// The tree, and every place where the text is no TOML. With such places the tree holds what could be read of the rest.
    pub(crate) fn parse(&self) -> (Spanned<DeTable<'_>>, Vec<Mistake>) {
        let (tree, errors) = DeTable::parse_recoverable(&self.text);
        let mistake = |error: toml::de::Error| {
            let origin = self.origin(&error.span().unwrap_or(0..0));
            Mistake::new(origin, format!("is no TOML: {}", error.message()))
        };
        (tree, errors.into_iter().map(mistake).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::from_bytes(Path::new("dir/a.toml"), text.into()).unwrap()
    }

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let document = document("a = 1\n\"ä\" = 2 # x\n");
        assert_eq!(document.origin(&(0..1)).to_string(), "dir/a.toml:1:1");
        let two = document.text.find('2').unwrap();
        assert_eq!(document.origin(&(two..two + 1)).to_string(), "dir/a.toml:2:7");
        assert_eq!(document.folder(), Path::new("dir"));
    }

    #[test]
    fn every_syntax_error_is_told_with_its_place() {
        let text = "a = \nb = 1\nc = 'x\nd = 2\nb = 3\n";
        let found: Vec<String> = document(text).parse().1.iter().map(|m| m.origin.to_string()).collect();
        assert_eq!(found, ["dir/a.toml:1:5", "dir/a.toml:3:7", "dir/a.toml:5:1"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_their_place() {
        let mistake = Document::from_bytes(Path::new("a"), b"x = 1\nyy\xff".to_vec()).err().unwrap();
        assert_eq!(mistake.origin.to_string(), "a:2:3");
    }
}
