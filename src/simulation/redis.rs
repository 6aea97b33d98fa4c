//! A Redis that lives in the simulation: [`machine`] executes commands, [`host`] is a process with connections, [`primary`] is the
//! address under which a primary is found, with what happens to it, and [`truth`] what it kept and what it lost.
//!
//! That the model is no fiction is for [`differential`] to show: it executes random commands here and on a real server.

mod admin;
mod differential;
mod host;
mod keys;
mod keyspace;
mod machine;
pub(super) mod primary;
mod resp;
mod session;
mod streams;
pub(super) mod truth;
