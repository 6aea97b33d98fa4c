//! A service of others that is driven beside jeton: a folder with a program `serve`.
//!
//! `serve PORT REDIS_URL CLIENTS_FILE` becomes that service on loopback, with jeton's paths, the clients of the file and the Redis
//! of the URL; `serve --version` says in a line what it is. Invariant: it replaces itself by the service, so that the process started is
//! the one that is measured.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::configuration::Clients;
use super::process::Process;
use super::subject::{self, Subject};
use crate::args::TurnsArgs;
use crate::cpu::CpuMeter;
use crate::failure::Failure;

const PROGRAM: &str = "serve";

/// `NAME=FOLDER` on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// For as long as the program runs, as the names of all that it drives.
    pub(crate) name: &'static str,
    folder: PathBuf,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, folder) = text.split_once('=').ok_or("not NAME=FOLDER")?;
        let is_named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_named {
            return Err(format!("`{name}` is no name: letters, digits and hyphens"));
        }
        let folder = PathBuf::from(folder);
        if !folder.join(PROGRAM).is_file() {
            return Err(format!("{} has no program `{PROGRAM}`", folder.display()));
        }
        Ok(Self { name: String::leak(name.to_owned()), folder })
    }
}

/// Starts the peer on a Redis of its own.
pub(super) fn start(peer: &Peer, args: &TurnsArgs, folder: &Path, clients: &Clients) -> Result<Subject, Failure> {
    // A relative path with no folder before it would be looked for on the PATH.
    let program = peer.folder.canonicalize()?.join(PROGRAM);
    let redis = subject::start_redis(args.load_core, folder, peer.name)?;
    let redis_cpu = Some(CpuMeter::new(redis.process.pid())?);
    let port = subject::free_port()?;
    let clients_file = clients.metadata_file.to_string_lossy();
    let arguments = [&port.to_string(), &redis.url(), &*clients_file];
    let service = Process::start(peer.name, &[args.server_core], &program, &arguments, folder.join(peer.name))?;
    let mut started = Subject::seen(&subject::local(port), vec![service, redis.process], clients)?;
    started.redis_cpu = redis_cpu;
    Ok(started.described(&subject::version(&program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_a_folder_with_its_program() {
        let folder = tempfile::tempdir().unwrap();
        let argument = format!("oidc-provider={}", folder.path().display());
        assert!(argument.parse::<Peer>().unwrap_err().contains("no program"));
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        let peer: Peer = argument.parse().unwrap();
        assert_eq!((peer.name, peer.folder.as_path()), ("oidc-provider", folder.path()));
        for argument in ["", "oidc-provider", "=/", "a/b=/"] {
            assert!(argument.parse::<Peer>().is_err(), "{argument}");
        }
    }
}
