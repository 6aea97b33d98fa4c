//! No circle among siblings: the modules of one folder form a slope, so each can be read, and moved, without the ones above it.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths;
use crate::source::{Breach, Source};

/// A module's children and who of them uses whom, with the first place that says so.
type Uses = BTreeMap<String, BTreeMap<String, (String, usize)>>;

/// Every circle among the children of one module. What stands under a child counts as the child; test code does not count.
pub(crate) fn among_siblings(sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (folder, uses) in graphs(sources) {
        for circle in circles(&uses) {
            let (path, line) = uses[&circle[0]][&circle[1]].clone();
            let place = if folder.is_empty() { "crate".to_owned() } else { folder.join("::") };
            breaches.push(Breach { path, line, what: format!("a circle in `{place}`: {}", circle.join(" > ")) });
        }
    }
    breaches
}

fn graphs(sources: &[Source]) -> BTreeMap<Vec<String>, Uses> {
    let modules: BTreeSet<Vec<String>> = sources.iter().map(Source::module).collect();
    let mut graphs: BTreeMap<Vec<String>, Uses> = BTreeMap::new();
    for source in sources {
        let from = source.module();
        for path in paths::named(source).into_iter().filter(|path| !path.in_test) {
            let Some(to) = path.ours() else { continue };
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            let (Some(user), Some(used)) = (from.get(common), to.get(common)) else { continue };
            // What is no module is an item of the parent, and children may use their parent.
            if !modules.iter().any(|module| module.starts_with(&to[..=common])) {
                continue;
            }
            let uses = graphs.entry(from[..common].to_vec()).or_default();
            let place = (source.path.clone(), path.line);
            uses.entry(user.clone()).or_default().entry(used.clone()).or_insert(place);
        }
    }
    graphs
}

/// One shortest circle for each child that lies on one, told once: from its least member round to it again.
fn circles(uses: &Uses) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for start in uses.keys() {
        let mut trails = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(trail) = (!trails.is_empty()).then(|| trails.remove(0)) {
            for next in uses.get(&trail[trail.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
                let mut longer = trail.clone();
                longer.push(next.clone());
                if next == start {
                    found.insert(from_least(longer));
                    trails.clear();
                    break;
                } else if seen.insert(next.clone()) {
                    trails.push(longer);
                }
            }
        }
    }
    found
}

fn from_least(mut circle: Vec<String>) -> Vec<String> {
    circle.pop();
    let least = (0..circle.len()).min_by_key(|at| &circle[*at]).unwrap_or(0);
    circle.rotate_left(least);
    circle.push(circle[0].clone());
    circle
}

#[test]
fn a_circle_is_found_at_any_depth_and_a_slope_is_none() {
    let told = |sources: &[Source]| -> Vec<String> { among_siblings(sources).into_iter().map(|b| b.what).collect() };
    let slope = [
        Source::new("src/oauth/client.rs", "use super::grant::Grant; use super::Item;"),
        Source::new(
            "src/oauth/grant.rs",
            "use super::scope::Scope; #[cfg(test)] mod tests { use super::super::client; }",
        ),
        Source::new("src/oauth/scope.rs", ""),
    ];
    assert_eq!(told(&slope), Vec::<String>::new());
    let circle = [
        Source::new("src/oauth/client/file.rs", "use super::super::grant::Grant;"),
        Source::new("src/oauth/grant.rs", "use super::scope::Scope;"),
        Source::new("src/oauth/scope.rs", "fn f() { crate::oauth::client::g() }"),
    ];
    assert_eq!(told(&circle), ["a circle in `oauth`: client > grant > scope > client"]);
    let rooms =
        [Source::new("src/app.rs", "use crate::worker::Worker;"), Source::new("src/worker.rs", "use crate::app::App;")];
    assert_eq!(told(&rooms), ["a circle in `crate`: app > worker > app"]);
}
