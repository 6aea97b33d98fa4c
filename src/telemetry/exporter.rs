//! Renders every metric as Prometheus text.
//!
//! Invariant: a scrape reads and never waits for a request; what grows between scrapes is bounded by the upkeep.

use std::sync::Arc;

use metrics::{Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::labels::KeyState;
use super::metrics::{BATCH_SIZE, Metrics, build_info, descriptions, key_info};

/// Seconds; 0.25 is the store's time limit and 1 the request's.
const DURATION_BUCKETS: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0,
];

/// Items in a batch.
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The registry behind `/metrics`. Cheap to clone; clones render the same.
#[derive(Clone)]
pub struct Exporter {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
}

impl Exporter {
    /// A registry with every description in place. `revision`: of the source it was built from.
    pub fn new(version: &'static str, revision: &'static str) -> Self {
        let buckets = PrometheusBuilder::new()
            .set_buckets(DURATION_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(BATCH_SIZE.to_string()), BATCH_BUCKETS));
        // Refused only where there are no buckets.
        let recorder = buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        for (name, help) in descriptions() {
            describe(&recorder, name, help);
        }
        build_info(&recorder, version, revision);
        let process = metrics_process::Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        Self { handle: recorder.handle(), recorder: Arc::new(recorder), process }
    }

    /// Registers the service's own metrics.
    pub fn register(&self, workers: usize) -> Metrics {
        Metrics::register(&*self.recorder, workers)
    }

    /// The same, with series for these clients.
    pub fn register_with_clients<'a>(&self, workers: usize, client_ids: impl Iterator<Item = &'a str>) -> Metrics {
        self.register(workers).with_clients(&*self.recorder, client_ids)
    }

    /// Says what each service key does.
    pub fn keys(&self, states: impl IntoIterator<Item = (u8, KeyState)>) {
        for (key_id, state) in states {
            key_info(&*self.recorder, key_id, Some(state));
        }
    }

    /// Says that these service keys are gone: their series stay, with 0.
    pub fn keys_gone(&self, key_ids: impl IntoIterator<Item = u8>) {
        for key_id in key_ids {
            key_info(&*self.recorder, key_id, None);
        }
    }

    /// The text of a scrape.
    pub fn render(&self) -> String {
        metrics::with_local_recorder(&*self.recorder, || self.process.collect());
        self.handle.render()
    }

    /// Folds what histograms have gathered. Call it every few seconds, or they grow until the next scrape.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// Counters, gauges and histograms share their names' texts; the exporter keeps a description by name alone.
fn describe(recorder: &PrometheusRecorder, name: &'static str, help: &'static str) {
    let (name, help): (_, SharedString) = (name.into(), help.into());
    recorder.describe_counter(name, None::<Unit>, help);
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::labels::{
        ClientIntrospection, ClientToken, Code, Endpoint, Label, StoreOperation, TokenOutcome,
    };

    #[test]
    fn every_series_is_there_from_the_start_and_its_number_is_fixed() {
        let exporter = Exporter::new("1.2.3", "abc");
        let metrics = exporter.register_with_clients(2, ["a", "b"].into_iter());
        let before = exporter.render();
        for (name, _) in descriptions().filter(|(name, _)| *name != "jeton_key_info") {
            assert!(before.contains(&format!("# TYPE {name} ")), "{name} is missing");
            assert!(before.contains(&format!("# HELP {name} ")), "{name} has no help");
        }
        for outcome in TokenOutcome::ALL {
            let series = format!("jeton_token_requests_total{{outcome=\"{}\"}} 0", outcome.as_str());
            assert!(before.contains(&series), "{series}");
        }
        assert!(before.contains("jeton_build_info{version=\"1.2.3\",revision=\"abc\"} 1"));
        assert!(before.contains("process_open_fds"));

        metrics.http_request(Endpoint::Token, Code::Ok, Duration::from_micros(20));
        metrics.store_batch(StoreOperation::Save, 3, Duration::from_millis(1));
        let after = exporter.render();
        assert!(after.contains("jeton_http_requests_total{endpoint=\"token\",code=\"200\"} 1"));
        assert!(after.contains("jeton_store_batch_size_bucket{operation=\"save\",le=\"4\"} 1"));
        let histogram =
            "jeton_request_duration_seconds_bucket{endpoint=\"token\",code_class=\"2xx\",le=\"0.000025\"} 1";
        assert!(after.contains(histogram));
        assert_eq!(before.lines().count(), after.lines().count());
    }

    #[test]
    fn single_clients_are_told_of_where_that_is_asked_for_and_no_name_adds_a_series() {
        let exporter = Exporter::new("0", "0");
        let metrics = exporter.register(1);
        metrics.client_token(Some("a"), ClientToken::Issued);
        assert!(!metrics.tell_clients() && !exporter.render().contains("client_id"));

        let metrics = exporter.register_with_clients(1, ["a", "b"].into_iter());
        let before = exporter.render();
        metrics.client_token(Some("a"), ClientToken::Issued);
        metrics.client_introspection(Some("b"), ClientIntrospection::Inactive);
        for client_id in [None, Some("c"), Some("other"), Some("\"} 1")] {
            metrics.client_token(client_id, ClientToken::Unproven);
        }
        let after = exporter.render();
        for line in [
            "jeton_client_token_requests_total{client_id=\"a\",outcome=\"issued\"} 1",
            "jeton_client_introspections_total{client_id=\"b\",outcome=\"inactive\"} 1",
            "jeton_client_token_requests_total{client_id=\"other\",outcome=\"unproven\"} 4",
        ] {
            assert!(after.contains(line), "{line}");
        }
        assert_eq!(before.lines().count(), after.lines().count());
    }
}
