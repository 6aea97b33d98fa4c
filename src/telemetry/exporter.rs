//! Serves Prometheus text.
