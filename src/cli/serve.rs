//! `jeton serve`: reads everything, then hands it to the house.

use clap::Args;

use super::output::{Failure, note};
use super::sources::SourceArguments;
use crate::app::{self, Listening};
use crate::clock::Clock;
use crate::config::clients::demo;
use crate::config::options::local_url;
use crate::config::{self, ListenAddress};
use crate::oauth::time::Timestamp;
use crate::random::Random;

/// Run the service
///
/// SIGTERM and SIGINT drain and stop, a second one stops at once. SIGHUP reads clients, keys and secrets again; each is also read again
/// within two seconds of its change.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: SourceArguments,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let now = Timestamp::from_unix_millis(Clock::System.unix_millis());
    let loaded = config::load(arguments.sources.sources(), &Random::system(), now)?;
    let is_dev = loaded.dev.is_some();
    if !is_dev {
        keep_memory_to_itself();
    }
    let announce = |listening: &Listening| {
        if is_dev {
            note(&welcome(&listening.public, listening.public_tls));
        }
    };
    Ok(app::run(loaded, announce)?)
}

/// Keeps keys and secrets out of core dumps, and the memory from others of the same user.
fn keep_memory_to_itself() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            note(&format!("warning: a core dump of this process would hold its secrets: {error}"));
        }
    }
}

/// What `--dev` says once it listens: a line to copy for a token, and one for its introspection.
fn welcome(listened: &ListenAddress, tls: bool) -> String {
    // The certificate of a trial is seldom one that curl knows.
    let trusting = if tls { "k" } else { "" };
    let curl = match listened {
        ListenAddress::Tcp(_) => format!("curl -s{trusting} {}", local_url(listened, tls)),
        ListenAddress::Unix(path) => {
            let scheme = if tls { "https" } else { "http" };
            format!("curl -s{trusting} --unix-socket {} {scheme}://localhost", path.display())
        }
    };
    let demo_client = format!("-d client_id={} -d client_secret={}", demo::CLIENT_ID, demo::CLIENT_SECRET);
    let demo_api = format!("-u {}:{}", demo::RESOURCE_SERVER_ID, demo::RESOURCE_SERVER_SECRET);
    let get = format!("{curl}/oauth2/token -d grant_type=client_credentials {demo_client}");
    let token = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;
    format!(
        "
jeton serves {listened} for development: the secrets below are known to everybody.

A token:

  {get}

Another, introspected by the API that it is for:

  {curl}/oauth2/introspect {demo_api} -d token=$({get} | {token})
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_the_port_listened_on() {
        let text = welcome(&ListenAddress::Tcp("127.0.0.1:5555".parse().unwrap()), false);
        assert!(
            text.contains(
                "curl -s http://127.0.0.1:5555/oauth2/token -d grant_type=client_credentials -d client_id=demo"
            )
        );
        assert!(text.contains("/oauth2/introspect -u demo-api:demo-api-secret -d token=$(curl "));
        let text = welcome(&ListenAddress::Unix("/run/j.sock".into()), false);
        assert!(text.contains("curl -s --unix-socket /run/j.sock http://localhost/oauth2/token"));
        let text = welcome(&ListenAddress::Tcp("127.0.0.1:5555".parse().unwrap()), true);
        assert!(text.contains("curl -sk https://127.0.0.1:5555/oauth2/token"));
    }
}
