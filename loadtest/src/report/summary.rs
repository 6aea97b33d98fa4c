//! What one window found. Microseconds and seconds throughout.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::drive::{Outcome, Plan};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::scrape::Batches;
use crate::slices::Slice;
use crate::tally::OperationTally;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Summary {
    pub(crate) workload: String,
    pub(crate) http_version: String,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// Each request opened a connection of its own.
    pub(crate) new_connections: bool,
    /// Arrivals a second of an open loop; absent in a closed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    pub(crate) elapsed_seconds: f64,
    /// Answers within the window, whatever they said.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// Those that said what was expected.
    pub(crate) right: u64,
    pub(crate) operations: BTreeMap<String, OperationSummary>,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) unanswered: u64,
    pub(crate) backlog: u64,
    pub(crate) cpu_us_per_request: CpuSummary,
    /// By operation of the store; empty where no metrics were read.
    pub(crate) batches: Batches,
    pub(crate) course: Course,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct OperationSummary {
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Status 200 and a body that says something else than expected.
    pub(crate) wrong: u64,
    /// Status 503 without `Retry-After`.
    #[serde(default)]
    pub(crate) curt: u64,
    /// Latencies of right answers.
    pub(crate) latency_us: Latencies,
    /// The same as a curve: at index k the latency that a share of 10^(-k/10) of them exceeds, as far as there were so many.
    pub(crate) latency_curve_us: Vec<f64>,
    /// Latencies of all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) other_latency_us: Option<Latencies>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Latencies {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// The window in slices of one length, but the last, which ends with the window: half as long to half as long again.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Course {
    pub(crate) slice_seconds: f64,
    /// Right answers.
    pub(crate) right: Vec<u64>,
    /// Other answers, and requests with none.
    pub(crate) failed: Vec<u64>,
    /// Latencies of right answers; 0 where there was none.
    pub(crate) p50_us: Vec<f64>,
    pub(crate) p99_us: Vec<f64>,
    pub(crate) max_us: Vec<f64>,
}

/// Microseconds of CPU for each answered request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
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

/// Points of a curve to each power of ten of the share that is slower.
pub(crate) const CURVE_POINTS_A_DECADE: u32 = 10;

fn curve(histogram: &Histogram<u64>) -> Vec<f64> {
    let slower = |point: u32| 10_f64.powf(-f64::from(point) / f64::from(CURVE_POINTS_A_DECADE));
    let points = (0..).take_while(|point| slower(*point) * histogram.len() as f64 >= 1.0);
    points.map(|point| tenths(histogram.value_at_quantile(1.0 - slower(point)) as f64 / 1000.0)).collect()
}

/// What a histogram cannot tell apart need not be written.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

impl Course {
    fn of(slices: &[Slice], slice: Duration) -> Self {
        let latencies = |quantile| slices.iter().map(|slice| tenths(slice.latency_us(quantile))).collect();
        Self {
            slice_seconds: slice.as_secs_f64(),
            right: slices.iter().map(|slice| slice.right.len()).collect(),
            failed: slices.iter().map(|slice| slice.failed).collect(),
            p50_us: latencies(0.5),
            p99_us: latencies(0.99),
            max_us: latencies(1.0),
        }
    }
}

impl OperationSummary {
    fn of(tally: &OperationTally) -> Self {
        Self {
            statuses: tally.statuses.clone(),
            wrong: tally.wrong,
            curt: tally.curt,
            latency_us: Latencies::of(&tally.right),
            latency_curve_us: curve(&tally.right),
            other_latency_us: (!tally.other.is_empty()).then(|| Latencies::of(&tally.other)),
        }
    }
}

impl Summary {
    pub(crate) fn of(plan: &Plan, outcome: Outcome) -> Result<Self, Failure> {
        let tally = outcome.tally;
        let requests = tally.answers();
        let each = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e6 / requests.max(1) as f64);
        let asked = Operation::ALL.into_iter().filter(|operation| tally.operation(*operation).answers() > 0);
        let operations = asked.map(|one| (one.name().to_owned(), OperationSummary::of(tally.operation(one)))).collect();
        Ok(Self {
            workload: plan.shares.to_string(),
            http_version: if plan.http2_streams.is_some() { "2" } else { "1.1" }.to_owned(),
            connections: plan.connections,
            threads: plan.threads,
            new_connections: plan.new_connections,
            rate: plan.rate,
            elapsed_seconds: outcome.elapsed.as_secs_f64(),
            requests,
            requests_per_second: requests as f64 / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
            right: tally.rights(),
            operations,
            errors: tally.errors.iter().map(|(error, count)| (error.name().to_owned(), *count)).collect(),
            unanswered: tally.unanswered,
            backlog: tally.backlog,
            cpu_us_per_request: CpuSummary {
                server: each(outcome.cpu.server),
                redis: each(outcome.cpu.redis),
                load: each(outcome.cpu.load),
            },
            batches: outcome.batches,
            course: Course::of(&tally.slices.of_window(outcome.elapsed)?, plan.slice()),
        })
    }

    /// The operation of a workload that has one; `None` of a mix.
    pub(crate) fn only_operation(&self) -> Option<&OperationSummary> {
        let mut operations = self.operations.values();
        operations.next().filter(|_| operations.next().is_none())
    }

    /// Everything that was asked was answered, and rightly.
    pub(crate) fn is_clean(&self) -> bool {
        self.requests > 0 && self.right == self.requests && self.errors.is_empty() && self.unanswered == 0
    }
}
