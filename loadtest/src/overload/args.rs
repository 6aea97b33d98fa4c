//! What `overload` may be told.

use clap::{Args, ValueEnum};

use crate::args::{StageArgs, above_zero, at_least_one};

#[derive(Args, Debug)]
pub(crate) struct OverloadArgs {
    #[command(flatten)]
    pub(crate) stage: StageArgs,
    /// Bytes a second that pass to Redis while it is the bottleneck: 550,000 are some 5,000 tokens
    #[arg(long, value_name = "BYTES", default_value_t = 550_000.0, value_parser = above_zero)]
    pub(crate) store_bytes_per_second: f64,
    /// Connections over which the open loops ask
    #[arg(long, default_value_t = 1500, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// Connections that the service allows, and that all ask at once while its core is the bottleneck
    #[arg(long, default_value_t = 4096, value_parser = at_least_one)]
    pub(crate) connections_max: usize,
    /// Turns, of a slow store through its loads and of a busy core through all numbers of connections; medians are taken over them
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub(crate) turns: usize,
    /// Seconds of the window in which the store is overloaded; other windows are shares of it
    #[arg(long, default_value_t = 10.0, value_parser = above_zero)]
    pub(crate) seconds: f64,
    /// Only this part; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

/// What is overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// A store that is too slow
    Store,
    /// A store that is gone
    Away,
    /// Threads that verify slow hashes, by those who guess
    Guesses,
    /// The core
    Cpu,
}

impl OverloadArgs {
    pub(crate) fn parts(&self) -> Vec<Part> {
        if self.only.is_empty() { Part::value_variants().to_vec() } else { self.only.clone() }
    }
}
