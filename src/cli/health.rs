//! `jeton health`: for containers without curl.

use std::time::Duration;

use clap::Args;

use super::http_client::{Call, Endpoint};
use super::output::{Failure, print};
use super::sources::SourceArguments;

/// Ask a running service whether it is ready: exit code 0 when it is, else 1
///
/// It asks the admin listener that configuration, environment and flags name, as the service itself reads them.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Ask whether it is alive, not whether it is ready
    #[arg(long)]
    alive: bool,
    /// The service to ask, http://HOST:PORT or unix:PATH [default: the admin listener of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    sources: SourceArguments,
}

/// A probe that waits longer is counted as failed by whoever asked for it.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let endpoint = match &arguments.url {
        Some(url) => Endpoint::parse(url)?,
        // Mistakes elsewhere in the configuration say nothing about the service that runs.
        None => Endpoint::local(&arguments.sources.clone().sources().read_all().0.config.admin.listen),
    };
    let path = if arguments.alive { "/health/alive" } else { "/health/ready" };
    let answer = Call::get(path).send(&endpoint, None, TIMEOUT)?;
    print(String::from_utf8_lossy(&answer.body).trim_end())?;
    if answer.status == 200 { Ok(()) } else { Err(Failure::new(format!("{path} answers {}", answer.status))) }
}
