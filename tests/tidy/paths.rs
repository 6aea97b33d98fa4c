//! The paths that a file names: every `use` and every path in the code, told from the crate's root where they are ours.

use crate::source::Source;

/// A path named at a line.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Segments. Ours begin with `crate` and are absolute, whatever they were written from.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
    /// Written in a `use`.
    pub(crate) imported: bool,
}

impl Named {
    /// The segments after `crate`, where the path is ours.
    pub(crate) fn ours(&self) -> Option<&[String]> {
        self.segments.split_first().filter(|(first, _)| *first == "crate").map(|(_, rest)| rest)
    }
}

/// All paths of a file of the service, in order.
pub(crate) fn named(source: &Source) -> Vec<Named> {
    let mut reader = Reader { source, at: 0, inner: Vec::new(), depth: 0, found: Vec::new() };
    while reader.at < source.tokens.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    source: &'a Source,
    at: usize,
    /// Modules opened with braces, each with the depth of its brace.
    inner: Vec<(String, usize)>,
    depth: usize,
    found: Vec<Named>,
}

impl Reader<'_> {
    fn step(&mut self) {
        let tokens = &self.source.tokens;
        let token = &tokens[self.at];
        if token.is_word("use") && !self.source.reads(self.at, "use <") {
            self.at += 1;
            self.tree(Vec::new());
        } else if self.source.reads(self.at, "mod") && tokens.get(self.at + 2).is_some_and(|t| t.is_mark('{')) {
            let name = tokens[self.at + 1].word().unwrap_or_default().to_owned();
            self.depth += 1;
            self.inner.push((name, self.depth));
            self.at += 3;
        } else if token.is_mark('{') {
            self.depth += 1;
            self.at += 1;
        } else if token.is_mark('}') {
            if self.inner.last().is_some_and(|(_, depth)| *depth == self.depth) {
                self.inner.pop();
            }
            self.depth = self.depth.saturating_sub(1);
            self.at += 1;
        } else if token.word().is_some() && self.source.reads(self.at + 1, "::") {
            self.path();
        } else {
            self.at += 1;
        }
    }

    /// A path in the code, of two segments at least.
    fn path(&mut self) {
        let (start, mut segments) = (self.at, Vec::new());
        while let Some(word) = self.source.tokens.get(self.at).and_then(|t| t.word()) {
            segments.push(word.to_owned());
            self.at += 1;
            if !self.source.reads(self.at, "::") {
                break;
            }
            self.at += 2;
        }
        // What follows `::` without a word before it, as in `<T as Trait>::name::other`, is no path of its own.
        let continues = start >= 2 && self.source.reads(start - 2, "::") && self.source.reads(start - 3, ">");
        if !continues {
            self.push(segments, start, false);
        }
    }

    /// A tree of a `use`, under `prefix`.
    fn tree(&mut self, prefix: Vec<String>) {
        let (start, mut segments) = (self.at, prefix);
        while let Some(token) = self.source.tokens.get(self.at) {
            if let Some(word) = token.word() {
                segments.push(word.to_owned());
                self.at += 1;
            } else if token.is_mark('*') {
                self.at += 1;
            } else if token.is_mark('{') {
                self.branches(&segments);
                return;
            } else if token.is_mark(':') {
                self.at += 1;
                continue;
            } else {
                break;
            }
            if self.source.reads(self.at, "as") {
                self.at += 2;
            }
            if !self.source.reads(self.at, "::") {
                break;
            }
        }
        if segments.last().is_some_and(|last| last == "self") && segments.len() > 1 {
            segments.pop();
        }
        self.push(segments, start, true);
    }

    fn branches(&mut self, prefix: &[String]) {
        self.at += 1;
        while let Some(token) = self.source.tokens.get(self.at) {
            if token.is_mark('}') {
                self.at += 1;
                return;
            } else if token.is_mark(',') {
                self.at += 1;
            } else {
                let before = self.at;
                self.tree(prefix.to_vec());
                self.at = self.at.max(before + 1);
            }
        }
    }

    fn push(&mut self, segments: Vec<String>, start: usize, imported: bool) {
        let place = start.min(self.source.tokens.len() - 1);
        self.found.push(Named {
            segments: self.absolute(segments),
            line: self.source.tokens[place].line,
            in_test: self.source.in_test[place],
            imported,
        });
    }

    fn absolute(&self, segments: Vec<String>) -> Vec<String> {
        let first = segments.first().map(String::as_str);
        if !matches!(first, Some("self" | "super" | "crate" | "jeton")) {
            return segments;
        }
        let mut module = vec!["crate".to_owned()];
        if !matches!(first, Some("crate" | "jeton")) {
            module.extend(self.source.module());
            module.extend(self.inner.iter().map(|(name, _)| name.clone()));
        }
        for segment in segments {
            match segment.as_str() {
                "crate" | "jeton" | "self" => {}
                "super" => {
                    module.pop();
                }
                _ => module.push(segment),
            }
        }
        module
    }
}

#[test]
fn uses_and_inline_paths_are_told_from_the_root() {
    let source = Source::new(
        "src/store/redis/page.rs",
        "use crate::oauth::{token::{Page, Token as T}, keys}; use super::{self, seal::open}; pub use std::io::*;
         fn f() -> impl Sized + use<> { crate::clock::now(); <A as B>::c::d(); super::x() }
         mod tests { use super::*; use super::super::wire::Reply; }",
    );
    let paths: Vec<String> = named(&source).iter().map(|named| named.segments.join("::")).collect();
    let expected = [
        "crate::oauth::token::Page",
        "crate::oauth::token::Token",
        "crate::oauth::keys",
        "crate::store::redis",
        "crate::store::redis::seal::open",
        "std::io",
        "crate::clock::now",
        "crate::store::redis::x",
        "crate::store::redis::page",
        "crate::store::redis::wire::Reply",
    ];
    assert_eq!(paths, expected);
}
