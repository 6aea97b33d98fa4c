//! The command line of `scale`.

use clap::{Args, ValueEnum};

use crate::args::{StageArgs, above_zero, at_least_one};

#[derive(Args, Debug)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    pub(crate) stage: StageArgs,
    /// Also 10^7 live tokens in Redis: about 700 MB and some minutes more
    #[arg(long)]
    pub(crate) large: bool,
    /// What to measure; left out: everything
    #[arg(long, value_enum, value_delimiter = ' ', num_args = 1..)]
    pub(crate) only: Vec<Part>,
    /// Turns; medians are taken over them
    #[arg(long, default_value_t = 7, value_parser = at_least_one)]
    pub(crate) turns: usize,
    /// Seconds of each measured window
    #[arg(long, default_value_t = 1.0, value_parser = above_zero)]
    pub(crate) seconds: f64,
    /// Seconds of load before each window
    #[arg(long, default_value_t = 0.3, value_parser = above_zero)]
    pub(crate) warmup_seconds: f64,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Start to first answer, and idle memory
    Start,
    Clients,
    /// Live tokens on the embedded store
    Memory,
    /// Live tokens in Redis
    Redis,
    Connections,
    Scopes,
    Workers,
    /// How Redis is reached
    Way,
    /// Redis' CPU time a token, at two numbers of connections
    Batches,
}

impl Part {
    pub(crate) const ALL: [Self; 9] = [
        Self::Start,
        Self::Clients,
        Self::Memory,
        Self::Redis,
        Self::Connections,
        Self::Scopes,
        Self::Workers,
        Self::Way,
        Self::Batches,
    ];

    /// As the tables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Clients => "clients",
            Self::Memory => "live tokens, `memory:`",
            Self::Redis => "live tokens, Redis",
            Self::Connections => "connections",
            Self::Scopes => "scopes of a token",
            Self::Workers => "workers",
            Self::Way => "way to Redis",
            Self::Batches => "connections, one worker",
        }
    }
}

impl ScaleArgs {
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
