//! Sizes: a file is at most 400 lines, a function 70, and a module begins with a line that says what it is.

use crate::source::{Breach, Source, matching};

pub(crate) const FILE_LINES_MAX: usize = 400;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn files(source: &Source) -> Vec<Breach> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![source.breach(FILE_LINES_MAX + 1, format!("{lines} lines, at most {FILE_LINES_MAX}: split it by idea"))]
}

/// From the line of `fn` to that of its closing brace.
pub(crate) fn functions(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        let Some(name) = token.is_word("fn").then(|| source.tokens.get(at + 1)).flatten().and_then(|t| t.word()) else {
            continue;
        };
        let Some(open) = body(source, at) else { continue };
        let Some(close) = source.tokens.get(matching(&source.tokens, open)) else { continue };
        let lines = close.line - token.line + 1;
        if lines > FUNCTION_LINES_MAX {
            breaches.push(source.breach(token.line, format!("`{name}`: {lines} lines, at most {FUNCTION_LINES_MAX}")));
        }
    }
    breaches
}

/// The brace that opens a function's body; none where it is only declared.
fn body(source: &Source, at: usize) -> Option<usize> {
    let mut place = at;
    while let Some(token) = source.tokens.get(place) {
        if token.is_mark('{') {
            return Some(place);
        } else if token.is_mark(';') {
            return None;
        }
        place = if token.is_mark('(') || token.is_mark('[') { matching(&source.tokens, place) + 1 } else { place + 1 };
    }
    None
}

pub(crate) fn headers(source: &Source) -> Vec<Breach> {
    let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if first.starts_with("//! ") {
        Vec::new()
    } else {
        vec![source.breach(1, "does not begin with `//!` and what it is")]
    }
}

#[test]
fn what_is_one_line_too_long_is_a_breach() {
    let file = |lines: usize| files(&Source::new("src/a.rs", &"\n".repeat(lines))).len();
    assert_eq!((file(FILE_LINES_MAX), file(FILE_LINES_MAX + 1)), (0, 1));

    let function = |lines: usize| {
        let text = format!(
            "trait T {{ fn declared(a: [u8; 2]); }}\nfn f(g: fn()) -> [u8; 2] {{{}}}\n",
            "\n".repeat(lines - 1)
        );
        functions(&Source::new("src/a.rs", &text)).len()
    };
    assert_eq!((function(FUNCTION_LINES_MAX), function(FUNCTION_LINES_MAX + 1)), (0, 1));
}

#[test]
fn a_module_without_a_header_is_a_breach() {
    let header = |text: &str| headers(&Source::new("src/a.rs", text)).len();
    assert_eq!((header("//! What.\nuse a;"), header("use a;"), header("// what"), header("")), (0, 1, 1, 1));
}
