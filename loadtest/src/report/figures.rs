//! Figures over turns: groups of windows, medians and spreads, ratios to the baseline of the same turn.

use super::{Document, Summary, Window};

/// The windows of one workload and subject, in order of their turns; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) workload: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) windows: Vec<&'a Window>,
}

/// A figure over turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Turns it was taken in.
    pub(crate) turns: usize,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: below.midpoint(above), least, most, turns: values.len() })
    }
}

/// Workloads and subjects in the order they first came, those of one workload together.
pub(crate) fn groups(document: &Document) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for window in &document.windows {
        let (workload, subject) = (window.summary.workload.as_str(), window.subject.as_str());
        match groups.iter_mut().find(|group| group.workload == workload && group.subject == subject) {
            Some(group) => group.windows.push(window),
            None => groups.push(Group { workload, subject, windows: vec![window] }),
        }
    }
    let order: Vec<&str> = groups.iter().map(|group| group.workload).collect();
    groups.sort_by_key(|group| order.iter().position(|workload| *workload == group.workload));
    groups
}

/// Subjects in the order they first came.
pub(crate) fn subjects(document: &Document) -> Vec<&str> {
    let mut subjects: Vec<&str> = Vec::new();
    for window in &document.windows {
        if !subjects.contains(&window.subject.as_str()) {
            subjects.push(&window.subject);
        }
    }
    subjects
}

/// A workload's name without its shares, where it is the only one of that name.
pub(crate) fn title<'a>(document: &Document, workload: &'a str) -> &'a str {
    let short = |name: &'a str| name.split('=').next().unwrap_or(name);
    let mut others = document.windows.iter().map(|window| window.summary.workload.as_str());
    let alike = |other: &str| other != workload && other.split('=').next() == Some(short(workload));
    if others.any(alike) { workload } else { short(workload) }
}

pub(crate) fn turns(document: &Document) -> usize {
    document.windows.iter().map(|window| window.turn + 1).max().unwrap_or(0)
}

impl Group<'_> {
    pub(crate) fn spread(&self, figure: impl Fn(&Summary) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.windows.iter().filter_map(|window| figure(&window.summary)))
    }

    /// A figure over the same figure of the first subject in the same turn, for each turn.
    pub(crate) fn ratios(&self, document: &Document, figure: impl Fn(&Summary) -> Option<f64>) -> Vec<f64> {
        let ratio = |one: &&Window| {
            let base = document.windows.iter();
            let base = base.filter(|base| base.turn == one.turn && base.summary.workload == self.workload);
            Some(figure(&one.summary)? / figure(&base.into_iter().next()?.summary)?)
        };
        self.windows.iter().filter_map(ratio).collect()
    }
}

pub(crate) fn server_cpu(summary: &Summary) -> Option<f64> {
    summary.cpu_us_per_request.server
}

pub(crate) fn redis_cpu(summary: &Summary) -> Option<f64> {
    summary.cpu_us_per_request.redis
}

pub(crate) fn load_cpu(summary: &Summary) -> Option<f64> {
    summary.cpu_us_per_request.load
}

pub(crate) fn rate(summary: &Summary) -> Option<f64> {
    Some(summary.requests_per_second)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::About;
    use crate::report::machine::Machine;
    use crate::report::summary::{Course, CpuSummary, Latencies, OperationSummary};
    use crate::scrape::BatchSizes;
    use std::collections::BTreeMap;

    /// A window of issues with a rate that follows its server CPU, and latencies likewise.
    pub(crate) fn window(turn: usize, subject: &str, server: f64) -> Window {
        let latency_us =
            Latencies { mean: server, p50: server, p90: server, p99: server * 10.0, p999: server * 20.0, max: 1e4 };
        let issue = OperationSummary {
            statuses: BTreeMap::from([(200, 1000)]),
            wrong: 0,
            curt: 0,
            latency_us,
            latency_curve_us: (0..=30).map(|point| server * f64::from(point + 1)).collect(),
            other_latency_us: None,
        };
        let buckets = [("1", 10), ("2", 0), ("4", 300), ("+Inf", 5)].map(|(le, count)| (le.to_owned(), count)).to_vec();
        let sizes = BatchSizes { batches: 315, items: 1000, buckets };
        let summary = Summary {
            workload: "issue".to_owned(),
            http_version: "1.1".to_owned(),
            connections: 64,
            threads: 1,
            new_connections: false,
            rate: None,
            elapsed_seconds: 1.0,
            requests: 1000,
            requests_per_second: 1e6 / server,
            right: 1000,
            operations: BTreeMap::from([("issue".to_owned(), issue)]),
            errors: BTreeMap::new(),
            unanswered: 0,
            backlog: 0,
            cpu_us_per_request: CpuSummary { server: Some(server), redis: None, load: Some(5.0) },
            batches: BTreeMap::from([("save".to_owned(), sizes)]),
            course: Course {
                slice_seconds: 0.5,
                right: vec![500, 500],
                failed: vec![0, 0],
                p50_us: vec![server, server],
                p99_us: vec![server * 10.0, server * 11.0],
                max_us: vec![1e4, 1e4],
            },
        };
        Window { turn, subject: subject.to_owned(), summary }
    }

    /// Turns of the subjects `baseline` and `redis`, by the server CPU of each.
    pub(crate) fn document(turns: &[(f64, f64)]) -> Document {
        let windows = turns.iter().enumerate();
        let windows =
            windows.flat_map(|(turn, (base, redis))| [window(turn, "baseline", *base), window(turn, "redis", *redis)]);
        let about = About {
            date: "2026-01-02T03:04:05Z".to_owned(),
            command: "jeton-loadtest turns".to_owned(),
            commit: Some("0123abc".to_owned()),
            version: "0.1.0".to_owned(),
            machine: Machine {
                cpu: "CPU <one>".to_owned(),
                cores: 2,
                memory_bytes: 1 << 33,
                kernel: "Linux 6".to_owned(),
            },
            settings: vec![("turns".to_owned(), turns.len().to_string())],
            subjects: vec![("redis".to_owned(), "on Redis & more".to_owned())],
        };
        Document { about, windows: windows.collect() }
    }

    #[test]
    fn spreads() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0, turns: 3 }));
        assert_eq!(spread(&[4.0, 1.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_mix_has_a_short_name_where_it_is_the_only_one() {
        let mut document = document(&[(10.0, 12.0)]);
        document.windows[0].summary.workload = "mixed=issue:1,revoke:1".to_owned();
        assert_eq!(title(&document, "mixed=issue:1,revoke:1"), "mixed");
        document.windows[1].summary.workload = "mixed=issue:1".to_owned();
        assert_eq!(title(&document, "mixed=issue:1"), "mixed=issue:1");
    }

    #[test]
    fn a_ratio_is_to_the_baseline_of_its_own_turn() {
        let document = document(&[(10.0, 12.0), (20.0, 22.0), (10.0, 13.0)]);
        let groups = groups(&document);
        let names: Vec<_> = groups.iter().map(|group| (group.workload, group.subject)).collect();
        assert_eq!(names, [("issue", "baseline"), ("issue", "redis")]);
        assert_eq!(groups[1].ratios(&document, server_cpu), [1.2, 1.1, 1.3]);
        assert_eq!(groups[1].spread(server_cpu).map(|spread| spread.median), Some(13.0));
        assert!(groups[1].ratios(&document, redis_cpu).is_empty());
    }
}
