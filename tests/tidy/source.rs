//! The source files as the rules see them: path, module, text, tokens, and which tokens are test code.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::lexer::{self, Token};

/// A rule broken at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// One Rust file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// For each token, whether it is compiled only for tests.
    pub(crate) in_test: Vec<bool>,
}

impl Source {
    /// A file of that path and text. Under `tests/` and `benches/` all of it is test code, elsewhere what `#[cfg(test)]` marks.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = lexer::tokens(text);
        let whole = ["tests/", "benches/", "loadtest/tests/", "loadtest/benches/"].iter().any(|f| path.starts_with(f));
        let in_test = if whole { vec![true; tokens.len()] } else { test_regions(&tokens) };
        Self { path: path.to_owned(), text: text.to_owned(), tokens, in_test }
    }

    pub(crate) fn breach(&self, line: usize, what: impl Into<String>) -> Breach {
        Breach { path: self.path.clone(), line, what: what.into() }
    }

    /// Its path within the crate: `src/store/redis/page.rs` is `["store", "redis", "page"]`; `main.rs` is a module of its own.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        if inner == "lib" { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
    }

    /// The room it belongs to: its first module. The crate's root has none.
    pub(crate) fn room(&self) -> String {
        self.module().first().cloned().unwrap_or_default()
    }

    /// The tokens that are not test code, with their places.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &Token)> {
        self.tokens.iter().enumerate().filter(|(at, _)| !self.in_test[*at])
    }

    /// Whether the words and marks from `at` on read so, as `"std :: env"`.
    pub(crate) fn reads(&self, at: usize, pattern: &str) -> bool {
        let mut following = self.tokens.get(at..).unwrap_or_default().iter();
        pattern.split_whitespace().all(|part| {
            if part.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                following.next().is_some_and(|token| token.is_word(part))
            } else {
                part.chars().all(|mark| following.next().is_some_and(|token| token.is_mark(mark)))
            }
        })
    }
}

/// Marks what an attribute such as `#[cfg(test)]` or `#[test]` stands above, to the end of that item.
fn test_regions(tokens: &[Token]) -> Vec<bool> {
    let mut marked = vec![false; tokens.len()];
    let mut at = 0;
    while at < tokens.len() {
        let opens = tokens[at].is_mark('#') && tokens.get(at + 1).is_some_and(|t| t.is_mark('['));
        if !opens {
            at += 1;
            continue;
        }
        let end = matching(tokens, at + 1);
        let said = &tokens[at + 2..end.min(tokens.len())];
        let for_tests = said.iter().any(|t| t.is_word("test")) && !said.iter().any(|t| t.is_word("not"));
        if for_tests {
            let item_end = item_end(tokens, end + 1);
            marked[at..item_end.min(tokens.len())].fill(true);
            at = item_end;
        } else {
            at = end + 1;
        }
    }
    marked
}

/// The place of the bracket that closes the one at `open`, or the end.
pub(crate) fn matching(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if ['(', '[', '{'].iter().any(|c| token.is_mark(*c)) {
            depth += 1;
        } else if [')', ']', '}'].iter().any(|c| token.is_mark(*c)) {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        }
    }
    tokens.len()
}

/// The place behind the item that begins at `from`: behind its `;`, or behind its braces.
fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut at = from;
    while at < tokens.len() {
        if tokens[at].is_mark(';') || tokens[at].is_mark(',') {
            return at + 1;
        }
        if tokens[at].is_mark('{') {
            return matching(tokens, at) + 1;
        }
        at = if tokens[at].is_mark('(') || tokens[at].is_mark('[') { matching(tokens, at) + 1 } else { at + 1 };
    }
    at
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether the repository has this file or folder.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// The Rust files under `src/`. Read once for all rules.
pub(crate) fn service() -> &'static [Source] {
    static SERVICE: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let mut sources = rust_under("src");
        mark_test_modules(&mut sources);
        sources
    });
    &SERVICE
}

/// The Rust files of the repository: the service, its tests and benches, and the load generator.
pub(crate) fn everything() -> impl Iterator<Item = &'static Source> {
    static OTHERS: LazyLock<Vec<Source>> =
        LazyLock::new(|| ["tests", "benches", "loadtest"].into_iter().flat_map(rust_under).collect());
    service().iter().chain(OTHERS.iter())
}

/// Every text file of the repository but the lock file: path and content.
pub(crate) fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root(), &mut |path, relative| {
        if relative != "Cargo.lock"
            && let Ok(text) = fs::read_to_string(path)
        {
            found.push((relative.to_owned(), text));
        }
    });
    found
}

fn rust_under(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut |path, relative| {
        if relative.ends_with(".rs") {
            found.push(Source::new(relative, &fs::read_to_string(path).unwrap()));
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &str)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && name != "target" && name != ".git" {
            walk(&path, visit);
        } else if kind.is_file() && name != ".git" {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            visit(&path, &relative);
        }
    }
}

/// A file that its parent declares as `#[cfg(test)] mod name;` is test code as a whole, and so are the files under it.
fn mark_test_modules(sources: &mut [Source]) {
    let mut modules = BTreeSet::new();
    for source in sources.iter() {
        for at in 0..source.tokens.len() {
            let declares = source.in_test[at]
                && source.tokens[at].is_word("mod")
                && source.tokens.get(at + 2).is_some_and(|t| t.is_mark(';'));
            if declares && let Some(name) = source.tokens[at + 1].word() {
                let mut module = source.module();
                module.push(name.to_owned());
                modules.insert(module);
            }
        }
    }
    for source in sources.iter_mut() {
        let module = source.module();
        if (1..=module.len()).any(|length| modules.contains(&module[..length])) {
            source.in_test.fill(true);
        }
    }
}

#[test]
fn what_cfg_test_marks_is_test_code_and_nothing_else() {
    let source = Source::new(
        "src/a.rs",
        "fn one() {} #[cfg(test)] mod tests { fn two() {} } #[cfg(not(test))] fn three() {} #[cfg(test)] mod four;
         #[test] fn five(a: [u8; 2]) { six } fn seven() {}",
    );
    let shipped: Vec<&str> = source.shipped().filter_map(|(_, token)| token.word()).collect();
    let expected = ["fn", "one", "cfg", "not", "test", "fn", "three", "fn", "seven"];
    assert_eq!(shipped, expected);
}

#[test]
fn a_declared_test_module_is_test_code_with_all_under_it() {
    let mut sources = vec![
        Source::new("src/a.rs", "#[cfg(test)] mod contract;"),
        Source::new("src/a/contract/rows.rs", "fn one() {}"),
        Source::new("src/b/contract.rs", "fn two() {}"),
    ];
    mark_test_modules(&mut sources);
    assert_eq!(sources[1].shipped().count(), 0);
    assert_ne!(sources[2].shipped().count(), 0);
}
