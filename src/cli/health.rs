//! `jeton health`: for containers without curl.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::http_client::{Call, Endpoint};
use super::output::{Failure, print};
use super::sources::SourceArguments;
use super::tls::Trust;

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
    /// For https with --url: PEM file of who signed the service's certificate [default: the usual roots]
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArguments,
}

/// A probe that waits longer is counted as failed by whoever asked for it.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (endpoint, trust) = match &arguments.url {
        Some(url) => (Endpoint::parse(url)?, Trust::Roots(arguments.ca_file.as_deref())),
        None => {
            // Mistakes elsewhere in the configuration say nothing about the service that runs.
            let admin = arguments.sources.clone().sources().read_all().0.config.admin;
            // Its certificate names it as others call it. As other probes do, this one believes it: it tells no secret.
            (Endpoint::local(&admin.listen, admin.tls.is_some()), Trust::Anybody)
        }
    };
    let path = if arguments.alive { "/health/alive" } else { "/health/ready" };
    let answer = Call::get(path).send(&endpoint, trust, TIMEOUT)?;
    print(String::from_utf8_lossy(&answer.body).trim_end())?;
    if answer.status == 200 { Ok(()) } else { Err(Failure::new(format!("{path} answers {}", answer.status))) }
}
