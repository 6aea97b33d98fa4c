//! What operators look at: metrics, their exporter, logs.
