//! What the tests are written with: servers, stores, faults and clients that read as sentences.
//!
//! # Invariants
//! - **Nothing is left.** Whoever starts a process or a task ends it on drop, by its own id, and a server that died or panicked
//!   unnoticed fails the test.
//! - **Nothing is shared.** Each server has its own folder, ports, keys and clients.
//! - **Nothing sleeps.** What takes its time is waited for by [`wait::until`].

pub(crate) mod channel;
pub(crate) mod chaos;
pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod errands;
pub(crate) mod expect;
pub(crate) mod history;
mod history_tests;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod load;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod publisher;
pub(crate) mod redis;
pub(crate) mod request;
pub(crate) mod sentinel;
pub(crate) mod server;
pub(crate) mod signer;
pub(crate) mod stage;
pub(crate) mod strict;
pub(crate) mod switch;
pub(crate) mod tls;
pub(crate) mod uses;
pub(crate) mod wait;

pub(crate) use chaos::ChaosProxy;
pub(crate) use client::TestClient;
pub(crate) use cluster::RedisCluster;
pub(crate) use expect::Answer;
pub(crate) use redis::RedisServer;
pub(crate) use request::{Http, Request};
pub(crate) use sentinel::SentinelGroup;
pub(crate) use server::TestServer;
pub(crate) use switch::Switch;
pub(crate) use wait::until;
