//! One file an endpoint: each takes a request that was read whole and tells its story on one screen.
//!
//! An endpoint orchestrates: it asks actors, one after another, and judges by the pure rules of [`crate::oauth`]. What it refuses
//! is a [`Failure`](super::error::Failure), whose face is chosen elsewhere.

pub(crate) mod admin_clients;
pub(crate) mod admin_introspect;
mod allowance;
mod caller;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod metadata;
pub(crate) mod metrics;
mod operator;
mod proof;
pub(crate) mod revoke;
mod standing;
pub(crate) mod token;
