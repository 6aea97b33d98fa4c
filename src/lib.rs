//! jeton: an OAuth 2.0 token service for machines.
//!
//! The map of the house, in reading order. Data flows down the rooms, replies come back up the same stairs, and each room can be
//! understood without entering the one below it; ARCHITECTURE.md tells the idea and walks two requests through.

// The door: arguments, and what a person or a file can tell the service.
pub mod cli;
pub mod config;

// The composition root, and the thread that serves.
pub mod app;
pub mod worker;

// The rooms, from the socket down.
pub mod http;

pub mod actors;

pub mod store;

pub mod oauth;

// The leaves, which lie under every room but oauth.
pub mod clock;
pub(crate) mod failpoint;
pub mod lifecycle;
pub mod random;
pub mod telemetry;

// For fuzzers and the tests that keep what they found; in no release.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

// All of it, a thousand lives in a minute.
#[cfg(test)]
mod simulation;
