//! What is nowhere, or in one place alone: invariants written as absences.

use crate::lexer::Kind;
use crate::paths;
use crate::source::{Breach, Source, matching};

/// Every place outside tests where the tokens read as one of the patterns.
fn shipped_that_reads(source: &Source, patterns: &[&str], why: &str) -> Vec<Breach> {
    source
        .shipped()
        .filter_map(|(at, token)| {
            let pattern = patterns.iter().find(|pattern| source.reads(at, pattern))?;
            Some(source.breach(token.line, format!("`{}`: {why}", pattern.replace(' ', ""))))
        })
        .collect()
}

pub(crate) fn unwraps(source: &Source) -> Vec<Breach> {
    shipped_that_reads(source, &[". unwrap (", ". expect (", ". unwrap_err (", ". expect_err ("], "a panic waits here")
}

pub(crate) fn unbounded_queues(source: &Source) -> Vec<Breach> {
    let patterns =
        ["unbounded_channel", "UnboundedSender", "UnboundedReceiver", "unbounded (", "std :: sync :: mpsc :: channel"];
    shipped_that_reads(source, &patterns, "every queue has a limit")
}

/// A task or thread whose handle is dropped where it is made: nobody waits for it, and nobody learns how it ended.
pub(crate) fn detached_tasks(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (at, token) in source.shipped() {
        let spawns = ["spawn (", "spawn_local (", "spawn_blocking ("].iter().any(|pattern| source.reads(at, pattern));
        if !spawns || at == 0 || source.tokens[at - 1].is_mark('.') || source.tokens[at - 1].is_word("fn") {
            continue;
        }
        let start = path_start(source, at);
        let end = matching(&source.tokens, at + 1) + 1;
        let statement = start == 0 || [';', '{', '}'].iter().any(|c| source.tokens[start - 1].is_mark(*c));
        let thrown =
            start >= 3 && source.reads(start - 3, "let _ =") || start >= 2 && source.reads(start - 2, "drop (");
        if (statement || thrown) && source.tokens.get(end).is_some_and(|t| t.is_mark(';') || t.is_mark(')')) {
            breaches
                .push(source.breach(token.line, "a detached task: keep its handle, or hand it to who waits for it"));
        }
    }
    breaches
}

/// Where the path that ends at `at` begins.
fn path_start(source: &Source, at: usize) -> usize {
    let mut start = at;
    while start >= 3 && source.reads(start - 2, "::") && source.tokens[start - 3].word().is_some() {
        start -= 3;
    }
    start
}

/// The environment belongs to `config`; the command line's arguments to `cli` and `main`.
pub(crate) fn environment(source: &Source) -> Vec<Breach> {
    let room = source.room();
    if room == "config" {
        return Vec::new();
    }
    paths::named(source)
        .into_iter()
        .filter(|path| !path.in_test)
        .filter(|path| {
            let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
            let rest = match segments.as_slice() {
                ["std", "env", rest @ ..] => rest,
                ["env", rest @ ..] if !path.imported => rest,
                _ => return false,
            };
            let arguments = matches!(rest, ["args" | "args_os"]) && (room == "cli" || room == "main");
            !arguments
        })
        .map(|path| {
            source.breach(path.line, format!("`{}`: only config reads the environment", path.segments.join("::")))
        })
        .collect()
}

pub(crate) fn wall_clock(source: &Source) -> Vec<Breach> {
    if source.room() == "clock" {
        return Vec::new();
    }
    shipped_that_reads(source, &["SystemTime :: now", "UNIX_EPOCH . elapsed"], "time comes from `Clock`")
}

pub(crate) fn metric_names(source: &Source) -> Vec<Breach> {
    if source.path.starts_with("src/telemetry/metrics") {
        return Vec::new();
    }
    source
        .shipped()
        .filter_map(|(_, token)| match &token.kind {
            Kind::Text(text) if text.starts_with("jeton_") || text.starts_with("process_") => {
                Some(source.breach(token.line, format!("\"{text}\": metric names stand in telemetry/metrics.rs")))
            }
            _ => None,
        })
        .collect()
}

pub(crate) fn printing(source: &Source) -> Vec<Breach> {
    if matches!(source.room().as_str(), "cli" | "main") {
        return Vec::new();
    }
    let patterns = ["println !", "print !", "eprintln !", "eprint !", "dbg !", "io :: stdout", "io :: stderr"];
    shipped_that_reads(source, &patterns, "only cli prints")
        .into_iter()
        .filter(|_| source.room() != "telemetry" || !source.path.contains("logging"))
        .collect()
}

/// `http/error.rs` turns failures into responses: a new failure must choose its face before it compiles.
pub(crate) fn wildcard_faces(source: &Source) -> Vec<Breach> {
    if source.path == "src/http/error.rs" || source.path.starts_with("src/http/error/") {
        shipped_that_reads(source, &["_ =>"], "a wildcard arm gives new failures a face nobody chose")
    } else {
        Vec::new()
    }
}

pub(crate) fn displayed_secrets(source: &Source) -> Vec<Breach> {
    const SECRET: [&str; 6] = ["Secret", "SecretHash", "Token", "ServiceKey", "ServiceKeys", "PresentedCredentials"];
    let mut breaches = Vec::new();
    for (at, token) in source.shipped() {
        if source.reads(at, "Display for") || source.reads(at, "Serialize for") {
            let name = source.tokens.get(at + 2).and_then(|t| t.word()).unwrap_or_default();
            if SECRET.contains(&name) {
                breaches.push(source.breach(token.line, format!("`{name}` must not be shown")));
            }
        }
    }
    breaches
}

/// Marks of work put off, in code and in comments.
pub(crate) fn marks(source: &Source) -> Vec<Breach> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let mut breaches = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let found = line.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| marks.contains(word));
        if let Some(mark) = found {
            breaches.push(source.breach(number + 1, format!("`{mark}`: finish it, or file an issue")));
        }
    }
    for (at, token) in source.tokens.iter().enumerate() {
        if source.reads(at, "todo !") || source.reads(at, "unimplemented !") {
            breaches.push(source.breach(token.line, "unfinished"));
        }
    }
    breaches
}

/// Paths and folders of somebody's machine: what a reader of the repository cannot open.
pub(crate) fn outside_names(texts: &[(String, String)]) -> Vec<Breach> {
    let names = [concat!("shared/", "design"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut breaches = Vec::new();
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = names.iter().find(|name| line.contains(**name)) {
                breaches.push(Breach { path: path.clone(), line: number + 1, what: format!("names `{name}`") });
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Source) -> Vec<Breach>;

    fn count(check: Rule, text: &str) -> usize {
        check(&Source::new("src/http/error.rs", text)).len()
    }

    #[test]
    fn each_rule_can_fail() {
        let bad: [(Rule, &str); 20] = [
            (unwraps, "fn f() { a.unwrap(); }"),
            (unwraps, "fn f() { a\n.expect(\"b\"); }"),
            (unbounded_queues, "fn f() { mpsc::unbounded_channel(); }"),
            (unbounded_queues, "use std::sync::mpsc::channel;"),
            (detached_tasks, "fn f() { tokio::spawn(async {}); }"),
            (detached_tasks, "fn f() { let _ = tokio::task::spawn_local(async { a(); }); }"),
            (detached_tasks, "fn f() { drop(std::thread::spawn(|| {})); }"),
            (environment, "fn f() { std::env::var(\"A\"); }"),
            (environment, "use std::env;"),
            (environment, "fn f() { env::vars() }"),
            (wall_clock, "fn f() { SystemTime::now() }"),
            (metric_names, "const A: &str = \"jeton_store_up\";"),
            (printing, "fn f() { println!(\"a\") }"),
            (printing, "fn f() { dbg!(a) }"),
            (wildcard_faces, "fn f() { match a { A => 1, _ => 2 } }"),
            (displayed_secrets, "impl fmt::Display for Secret {}"),
            (displayed_secrets, "impl Serialize for Token {}"),
            (marks, concat!("// TO", "DO: later")),
            (marks, concat!("/* FIX", "ME */")),
            (marks, concat!("fn f() { to", "do!() }")),
        ];
        for (check, text) in bad {
            assert_eq!(count(check, text), 1, "{text}");
        }
    }

    #[test]
    fn what_is_fine_is_no_breach() {
        let good: [(Rule, &str); 9] = [
            (unwraps, "#[cfg(test)] mod tests { fn f() { a.unwrap(); } } fn g() { a.unwrap_or(1); } // .unwrap()"),
            (unbounded_queues, "use tokio::sync::mpsc::channel;"),
            (detached_tasks, "fn f() { let task = tokio::spawn(async {}); tasks.spawn_local(a); g(thread::spawn(b)) }"),
            (detached_tasks, "fn f() -> J { tokio::task::spawn_local(async {}) } fn spawn(a: u8);"),
            (environment, "const A: &str = env!(\"CARGO_PKG_VERSION\"); use clap::builder::env;"),
            (metric_names, "const A: &str = \"jeton\";"),
            (wildcard_faces, "fn f() { match a { A => 1, B(_) => 2 } }"),
            (displayed_secrets, "impl fmt::Display for SecretError {} impl fmt::Debug for Secret {}"),
            (marks, concat!("// what is to do; TO", "DOS is no mark")),
        ];
        for (check, text) in good {
            assert_eq!(count(check, text), 0, "{text}");
        }
    }

    #[test]
    fn a_path_of_a_machine_is_a_breach() {
        let bad = ("README.md".to_owned(), format!("see /{}/jeton\nand {}", "root", concat!("../sha", "red/design")));
        assert_eq!(outside_names(&[bad]).len(), 2);
    }
}
