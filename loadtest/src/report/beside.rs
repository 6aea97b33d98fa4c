//! jeton beside others: how many times a peer's rate it has, and how many times its CPU time the peer takes, turn by turn.

use std::fmt::Write as _;

use super::figures::{self, Group, Spread};
use super::{Document, Summary};

/// Names of the jetons among the subjects of turns.
pub(crate) const JETONS: [&str; 2] = ["memory", "redis"];

/// jeton and a peer on one workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) workload: &'a str,
    pub(crate) jeton: &'a str,
    pub(crate) peer: &'a str,
    /// jeton's rate over the peer's.
    pub(crate) rate: Spread,
    /// The peer's CPU time a request over jeton's.
    pub(crate) server_cpu: Spread,
}

/// Every jeton beside every subject that is neither one nor the baseline, which is the first.
pub(crate) fn compare(document: &Document) -> Vec<Beside<'_>> {
    let groups = figures::groups(document);
    let baseline = document.windows.first().map_or("", |window| &window.subject);
    let (jetons, others): (Vec<_>, Vec<_>) = groups.iter().partition(|group| JETONS.contains(&group.subject));
    let peers = others.into_iter().filter(|group| group.subject != baseline);
    peers
        .flat_map(|peer| {
            let jetons = jetons.iter().filter(|jeton| jeton.workload == peer.workload);
            jetons.filter_map(|jeton| {
                Some(Beside {
                    workload: peer.workload,
                    jeton: jeton.subject,
                    peer: peer.subject,
                    rate: Spread::of(over(jeton, peer, figures::rate))?,
                    server_cpu: Spread::of(over(peer, jeton, figures::server_cpu))?,
                })
            })
        })
        .collect()
}

/// A figure of one over the same figure of another in the same turn, for each turn.
fn over(one: &Group<'_>, other: &Group<'_>, figure: impl Fn(&Summary) -> Option<f64>) -> Vec<f64> {
    let ratio = |turn, summary| {
        let other = other.windows.iter().find(|window| window.turn == turn)?;
        Some(figure(summary)? / figure(&other.summary)?)
    };
    one.windows.iter().filter_map(|window| ratio(window.turn, &window.summary)).collect()
}

/// A line for each; empty without a peer.
pub(crate) fn render(document: &Document) -> String {
    let mut text = String::new();
    for one in compare(document) {
        let name = format!("{} {} / {}", one.workload, one.jeton, one.peer);
        let spread = |spread: Spread| format!("{:>8.2} {:>7.2} {:>7.2}", spread.median, spread.least, spread.most);
        let _ = writeln!(text, "{name:<40} {} {}", spread(one.rate), spread(one.server_cpu));
    }
    if text.is_empty() {
        return text;
    }
    let head = format!("{:>8} {:>7} {:>7}", "median", "least", "most");
    format!(
        "\n{:<40} {:>24} {:>24}\n{:<40} {head} {head}\n{text}",
        "jeton beside others", "rate, times theirs", "their CPU, times jeton's", ""
    )
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{document, window};
    use super::*;

    #[test]
    fn each_turn_is_compared_with_itself() {
        let mut document = document(&[(8.0, 10.0), (8.0, 20.0), (8.0, 10.0)]);
        assert_eq!(render(&document), "", "without a peer nothing is said");
        for (turn, server) in [200.0, 300.0, 110.0].into_iter().enumerate() {
            document.windows.push(window(turn, "other", server));
        }
        let [one] = compare(&document)[..] else { panic!("more than one pair") };
        assert_eq!((one.workload, one.jeton, one.peer), ("issue", "redis", "other"));
        let expected = Spread { median: 15.0, least: 11.0, most: 20.0, turns: 3 };
        assert_eq!(one.server_cpu, expected);
        assert!((one.rate.median - expected.median).abs() < 1e-9, "{:?}", one.rate);
        let text = render(&document);
        let line = text.lines().find(|line| line.starts_with("issue redis / other")).unwrap();
        let fields: Vec<_> = line.split_whitespace().skip(4).collect();
        assert_eq!(fields, ["15.00", "11.00", "20.00", "15.00", "11.00", "20.00"]);
    }
}
