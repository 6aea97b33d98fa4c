//! The black-box suite of jeton: it starts the real binary and speaks to it over real sockets.
//!
//! Each test starts what it needs (a server takes milliseconds) and shares nothing, so all run in parallel. Nothing here waits for a
//! time: [`harness::wait::until`] waits for a condition.

// A test fails by panicking, tells by printing, and reads where its redis-server is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::disallowed_methods)]

mod harness;

mod assertions;
mod attacks;
mod bcp;
mod cli;
mod compose;
mod conformance;
#[cfg(debug_assertions)]
mod crashes;
mod demo;
mod deploy;
mod drain;
mod dump;
mod faults;
mod forged;
mod imported_secrets;
mod keys;
mod limits;
mod logs;
mod metrics;
mod mtls;
mod oauth2_crate;
mod observe;
mod outage;
mod outage_reasons;
mod proofs;
mod published_keys;
mod rates;
mod readme;
mod reload;
mod reload_late;
mod reload_log;
mod revoked_for_good;
mod smoke;
mod stores;
mod tls;
mod torture;
mod unique;
mod workload;
