//! jeton: an OAuth 2.0 token service for machines.
//!
//! The map of the house, in reading order. Data flows down the rooms, replies come back up the same stairs, and each room can be
//! understood without entering the one below it; ARCHITECTURE.md tells the idea and walks two requests through.

#![allow(clippy::todo, unused_variables, dead_code)] // skeleton

pub mod oauth;

pub mod clock;
pub mod lifecycle;
pub mod random;
pub mod telemetry;

pub mod store;

pub mod actors;

pub mod http;

pub mod app;
mod worker;

pub mod config;

pub mod cli;
