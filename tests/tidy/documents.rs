//! What the documents say of the repository: the files they name are there, and the table of rooms is the one that is held.

use crate::rooms;
use crate::source::{self, Breach};

/// Beginnings of what counts as a path of the repository where it stands between backticks.
const FOLDERS: [&str; 7] = ["src/", "tests/", "docs/", "scripts/", "deploy/", "loadtest/", "benches/"];

/// Files that a document names, between backticks or as the target of a link, and that are not there.
pub(crate) fn missing(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Breach> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2).filter(|quoted| FOLDERS.iter().any(|f| quoted.starts_with(f)));
        let quoted = quoted.filter(|quoted| !quoted.contains(['*', ' '])).map(str::to_owned);
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let linked = linked.filter(|target| !target.is_empty() && !target.contains("://"));
        let linked = linked.map(|target| join(folder, target));
        for named in quoted.chain(linked).filter(|named| !exists(named)) {
            let what = format!("`{named}` is not there");
            breaches.push(Breach { path: path.to_owned(), line: number + 1, what });
        }
    }
    breaches
}

fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Rooms that the table of a document does not name, or names and are none.
pub(crate) fn rooms_untold(text: &str) -> Vec<String> {
    let rows =
        text.lines().skip_while(|line| *line != "## The rooms").skip(1).take_while(|line| !line.starts_with("## "));
    let cells = rows.filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let mut told: Vec<String> =
        cells.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`').to_owned()).collect();
    let mut known: Vec<String> = rooms::names().map(str::to_owned).collect();
    told.sort();
    known.sort();
    let mut untold: Vec<String> = known.iter().filter(|name| !told.contains(name)).cloned().collect();
    untold.extend(told.into_iter().filter(|name| !known.contains(name)));
    untold
}

/// Every breach in the Markdown files of the repository.
pub(crate) fn all_missing() -> Vec<Breach> {
    let texts = source::texts();
    let documents = texts.iter().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| missing(path, text, source::exists)).collect()
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let text = "see `src/gone.rs`, `src/here.rs`, `src/*.rs`\nand [a](gone.md#b), [c](../src/here.rs), [d](https://e.org), [f](#g)";
    let found = missing("docs/a.md", text, |path| path == "src/here.rs");
    let places: Vec<(usize, &str)> = found.iter().map(|breach| (breach.line, breach.what.as_str())).collect();
    assert_eq!(places, [(1, "`src/gone.rs` is not there"), (2, "`docs/gone.md` is not there")]);
}

#[test]
fn a_room_that_a_table_leaves_out_or_invents_is_told() {
    let table = "## The rooms\n| room |\n|---|\n| `cellar` | x |\n| `oauth`, `store` | y |\n## More\n| `http` | z |";
    let untold = rooms_untold(table);
    assert!(untold.contains(&"cellar".to_owned()) && untold.contains(&"http".to_owned()), "{untold:?}");
    assert!(!untold.contains(&"oauth".to_owned()) && !untold.contains(&"store".to_owned()), "{untold:?}");
}
