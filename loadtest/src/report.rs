//! What a run found, as JSON for machines and as a few lines for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::drive::{Outcome, Plan};
use crate::operation::Operation;
use crate::tally::OperationTally;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) workload: String,
    pub(crate) http_version: &'static str,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// Arrivals a second of an open loop; absent in a closed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    pub(crate) elapsed_seconds: f64,
    /// Answers within the window, whatever they said.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// Those that said what was expected.
    pub(crate) right: u64,
    pub(crate) operations: BTreeMap<&'static str, OperationSummary>,
    pub(crate) errors: BTreeMap<&'static str, u64>,
    pub(crate) unanswered: u64,
    pub(crate) backlog: u64,
    pub(crate) cpu_us_per_request: CpuSummary,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct OperationSummary {
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Status 200 and a body that says something else than expected.
    pub(crate) wrong: u64,
    /// Latencies of right answers.
    pub(crate) latency_us: Latencies,
    /// Latencies of all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) other_latency_us: Option<Latencies>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// Microseconds of CPU for each answered request.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CpuSummary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redis: Option<f64>,
    /// The load generator's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<f64>,
}

impl Latencies {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

impl OperationSummary {
    fn of(tally: &OperationTally) -> Self {
        Self {
            statuses: tally.statuses.clone(),
            wrong: tally.wrong,
            latency_us: Latencies::of(&tally.right),
            other_latency_us: (!tally.other.is_empty()).then(|| Latencies::of(&tally.other)),
        }
    }
}

impl Summary {
    pub(crate) fn of(plan: &Plan, outcome: &Outcome) -> Self {
        let tally = &outcome.tally;
        let requests = tally.answers();
        let each = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e6 / requests.max(1) as f64);
        let asked = Operation::ALL.into_iter().filter(|operation| tally.operation(*operation).answers() > 0);
        Self {
            workload: plan.shares.to_string(),
            http_version: if plan.http2_streams.is_some() { "2" } else { "1.1" },
            connections: plan.connections,
            threads: plan.threads,
            rate: plan.rate,
            elapsed_seconds: outcome.elapsed.as_secs_f64(),
            requests,
            requests_per_second: requests as f64 / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
            right: tally.rights(),
            operations: asked.map(|one| (one.name(), OperationSummary::of(tally.operation(one)))).collect(),
            errors: tally.errors.iter().map(|(error, count)| (error.name(), *count)).collect(),
            unanswered: tally.unanswered,
            backlog: tally.backlog,
            cpu_us_per_request: CpuSummary {
                server: each(outcome.cpu.server),
                redis: each(outcome.cpu.redis),
                load: each(outcome.cpu.load),
            },
        }
    }

    /// Everything that was asked was answered, and rightly.
    pub(crate) fn is_clean(&self) -> bool {
        self.requests > 0 && self.right == self.requests && self.errors.is_empty() && self.unanswered == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = self.rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        writeln!(
            f,
            "{} over HTTP/{}, {} connections, {} threads, {pace}, {:.1} s",
            self.workload, self.http_version, self.connections, self.threads, self.elapsed_seconds
        )?;
        writeln!(f, "  {:<12} {} ({:.0}/s)", "requests", self.requests, self.requests_per_second)?;
        for (name, operation) in &self.operations {
            writeln!(f, "  {name:<12} {}", operation.latency_us)?;
            if let Some(other) = &operation.other_latency_us {
                writeln!(f, "  {:<12} {other}", "  refused")?;
            }
            let statuses = operation.statuses.iter().fold(String::new(), |mut list, (status, count)| {
                let _ = write!(list, "{status}: {count}  ");
                list
            });
            writeln!(f, "  {:<12} {}", "", statuses.trim_end())?;
            if operation.wrong > 0 {
                writeln!(f, "  {:<12} {} answers did not say what they should", "WRONG", operation.wrong)?;
            }
        }
        for (error, count) in &self.errors {
            writeln!(f, "  {:<12} {error}: {count}", "error")?;
        }
        if self.unanswered > 0 || self.backlog > 0 {
            writeln!(f, "  {:<12} unanswered {}, not sent in time {}", "at the end", self.unanswered, self.backlog)?;
        }
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let cpu = &self.cpu_us_per_request;
        write!(
            f,
            "  {:<12} server {}, redis {}, load generator {} (us a request)",
            "CPU",
            figure(cpu.server),
            figure(cpu.redis),
            figure(cpu.load)
        )
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "us: mean {:.0}  p50 {:.0}  p90 {:.0}  p99 {:.0}  p99.9 {:.0}  max {:.0}",
            self.mean, self.p50, self.p90, self.p99, self.p999, self.max
        )
    }
}
