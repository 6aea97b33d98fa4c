//! What is given to Prometheus users under `deploy/` asks for what jeton serves: each name, label and value in a rule or a panel is
//! one of a real scrape. `make observe` asks the same queries of a real Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{TestServer, until};

/// Labels that Prometheus adds, or that a histogram has in the text.
const ADDED_LABELS: [&str; 3] = ["instance", "job", "le"];
/// Series of Prometheus' own.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/jeton.json")).unwrap()
}

fn rules(file: &str) -> Vec<Value> {
    let parsed: Value = serde_saphyr::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    list(&parsed["groups"]).iter().flat_map(|group| list(&group["rules"])).cloned().collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// What a scrape offers: by name of a series its labels, by label its values.
#[derive(Debug, Default)]
struct Served(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Served {
    fn of(scrape: &str) -> Self {
        let mut served = Self::default();
        for line in scrape.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, matchers) = series.split_once('{').unwrap_or((series, ""));
            let labels = served.0.entry(name.to_owned()).or_default();
            for (label, _, value) in matchers_of(matchers.trim_end_matches('}')) {
                labels.entry(label.to_owned()).or_default().insert(value.to_owned());
            }
        }
        served
    }

    fn has_label(&self, label: &str) -> bool {
        ADDED_LABELS.contains(&label) || self.0.values().any(|labels| labels.contains_key(label))
    }

    /// What an expression asks for that is not there.
    fn missing(&self, expression: &str, recorded: &BTreeSet<String>) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, matchers) in selectors(expression) {
            if recorded.contains(name) || OF_PROMETHEUS.contains(&name) {
                continue;
            }
            let Some(labels) = self.0.get(name) else {
                missing.push(name.to_owned());
                continue;
            };
            for (label, operator, value) in matchers_of(matchers).filter(|(label, ..)| !ADDED_LABELS.contains(label)) {
                let values: Vec<&str> = if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
                let known = labels.get(label);
                let unknown = values.iter().filter(|value| !known.is_some_and(|known| known.contains(**value)));
                missing.extend(unknown.map(|value| format!("{name}{{{label}{operator}\"{value}\"}}")));
            }
        }
        let grouped = ["by (", "without ("].iter().flat_map(|word| expression.split(word).skip(1));
        let grouped = grouped.filter_map(|rest| rest.split(')').next()).flat_map(|labels| labels.split(','));
        missing
            .extend(grouped.map(str::trim).filter(|label| !self.has_label(label)).map(|label| format!("by {label}")));
        missing
    }
}

/// `a="b",c=~"d"`: label, operator and value of each. No value here holds a comma or a quote.
fn matchers_of(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.split(',').filter_map(|matcher| {
        let (left, value) = matcher.trim().trim_end_matches('"').split_once('"')?;
        let label = left.trim_end_matches(['=', '!', '~']);
        Some((label, &left[label.len()..], value))
    })
}

/// The series that an expression asks for, and what stands in their braces. A name is one by its beginning, by a colon, or by
/// the brace or bracket behind it.
fn selectors(expression: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (matchers, after) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((matchers, after)) => (matchers, after),
            None => ("", after),
        };
        let by_name = name.starts_with("jeton_") || name.contains(':') || OF_PROMETHEUS.contains(&name);
        if by_name || rest[end..].starts_with(['{', '[']) {
            found.push((name, matchers));
        }
        rest = after;
    }
    found
}

/// Every expression of rules and dashboard, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rule in rules("prometheus/jeton.rules.yml").iter().chain(&rules("prometheus/jeton.alerts.yml")) {
        let name = rule["record"].as_str().or(rule["alert"].as_str()).unwrap();
        found.push((name.to_owned(), text(&rule["expr"]).to_owned()));
    }
    let dashboard = dashboard();
    for panel in list(&dashboard["panels"]) {
        let targets = list(&panel["targets"]).iter().map(|target| text(&target["expr"]));
        found.extend(targets.map(|expression| (text(&panel["title"]).to_owned(), expression.to_owned())));
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        found.push((text(&annotation["name"]).to_owned(), text(&annotation["expr"]).to_owned()));
    }
    found
}

#[tokio::test]
async fn rules_and_panels_ask_for_what_is_served() {
    let server = TestServer::builder().start().await;
    let scrape = until("a whole scrape", async || {
        let scrape = server.metrics().await;
        scrape.contains("jeton_key_info").then_some(scrape)
    })
    .await;
    let served = Served::of(&scrape);
    let recorded: BTreeSet<String> =
        rules("prometheus/jeton.rules.yml").iter().map(|rule| text(&rule["record"]).to_owned()).collect();
    let expressions = expressions();
    let missing: Vec<(&str, Vec<String>)> = expressions
        .iter()
        .map(|(place, expression)| (place.as_str(), served.missing(expression, &recorded)))
        .filter(|(_, missing)| !missing.is_empty())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(expressions.len() > 40, "{} expressions", expressions.len());

    for panel in list(&dashboard()["panels"]) {
        for target in list(&panel["targets"]) {
            let labels = text(&target["legendFormat"]).split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            for label in labels {
                assert!(served.has_label(label), "{}: the legend names {label}", panel["title"]);
            }
        }
    }
}

#[test]
fn what_is_not_served_is_told() {
    let served = Served::of("jeton_a_total{code=\"200\",endpoint=\"token\"} 1\njeton_b 2\nprocess_c 3\n");
    let missing = |expression: &str| served.missing(expression, &BTreeSet::from(["i:jeton_b:r".to_owned()]));
    let right =
        "sum by (code, instance) (rate(jeton_a_total{instance=~\"$i\", code=~\"200\"}[5m])) > 0 or i:jeton_b:r or up";
    assert_eq!(missing(right), Vec::<String>::new());
    assert_eq!(missing("rate(jeton_gone[5m]) / jeton_b"), ["jeton_gone"]);
    assert_eq!(missing("process_gone{instance=\"a\"} + i:jeton_a:r"), ["process_gone", "i:jeton_a:r"]);
    assert_eq!(missing("jeton_a_total{code=~\"200|999\"}"), ["jeton_a_total{code=~\"999\"}"]);
    assert_eq!(missing("jeton_b{code!=\"200\"}"), ["jeton_b{code!=\"200\"}"]);
    assert_eq!(missing("sum without (colour) (jeton_b)"), ["by colour"]);
}

#[test]
fn an_alert_says_what_to_do_and_has_a_unit_test() {
    let tests = read("prometheus/jeton.tests.yml");
    let alerts = rules("prometheus/jeton.alerts.yml");
    for alert in &alerts {
        let name = text(&alert["alert"]);
        let fires = [format!("alertname=\"{name}\""), format!("alertname: {name}\n")];
        assert!(fires.iter().any(|line| tests.contains(line)), "{name} has no unit test");
        assert!(["critical", "warning"].contains(&text(&alert["labels"]["severity"])), "{name}");
        assert!(text(&alert["annotations"]["summary"]).contains("$labels.instance"), "{name} does not say where");
        assert!(text(&alert["annotations"]["description"]).len() > 80, "{name} does not say what to do");
    }
    assert!(alerts.len() >= 8, "{} alerts", alerts.len());
}
