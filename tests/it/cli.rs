//! The program at a shell: exit codes, what goes where, and mistakes told all at once with their place.

mod clients;
mod configuration;
mod keys;
mod service;
mod usage;
