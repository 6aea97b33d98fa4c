//! The files that a jeton under test is started with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::{AuthMethod, Credential};
use crate::failure::{Context, Failure};

/// As many clients as the goals for memory assume; two scopes each.
const CLIENTS: usize = 50;
const AUDIENCE: &str = "https://api.example.com";

/// Registered clients: those that get tokens, and one resource server.
#[derive(Debug)]
pub(super) struct Clients {
    file: PathBuf,
    pub(super) issuing: Vec<Credential>,
    pub(super) introspecting: Vec<Credential>,
}

impl Clients {
    /// Writes `clients.toml` with secrets made for this run.
    pub(super) fn write(folder: &Path, auth: AuthMethod) -> Result<Self, Failure> {
        let file = folder.join("clients.toml");
        let mut text = String::new();
        let mut issuing = Vec::new();
        for number in 0..CLIENTS {
            let (id, secret) = (format!("load-{number:02}"), secret());
            text += &format!(
                "[[client]]\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\nscope = \"orders:read orders:write\"\n\
                 audience = [\"{AUDIENCE}\"]\n\n"
            );
            issuing.push(Credential::new(auth, &id, &secret));
        }
        let (id, secret) = ("load-api", secret());
        text += &format!(
            "[[client]]\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\ngrant_types = []\nintrospection = [\"{AUDIENCE}\"]\n"
        );
        fs::write(&file, text).context(|| format!("writing {}", file.display()))?;
        Ok(Self { file, issuing, introspecting: vec![Credential::new(auth, id, &secret)] })
    }
}

/// 43 characters of a generator that is not for secrets: enough for a service on loopback that lives for minutes.
fn secret() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(43).collect()
}

/// Writes the configuration of one jeton and gives the file's path.
pub(super) fn write(
    folder: &Path,
    name: &str,
    ports: (u16, u16),
    store_url: &str,
    keys: &Path,
    clients: &Clients,
) -> Result<PathBuf, Failure> {
    let file = folder.join(format!("{name}.toml"));
    let (public, admin) = ports;
    let text = format!(
        "issuer = \"http://127.0.0.1:{public}\"\n\n\
         [public]\nlisten = \"127.0.0.1:{public}\"\nworkers = 1\n\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n\n\
         [store]\nurl = \"{store_url}\"\n\n\
         [keys]\nfile = \"{}\"\n\n\
         [clients]\nfile = \"{}\"\n\n\
         [log]\nformat = \"json\"\n",
        keys.display(),
        clients.file.display()
    );
    fs::write(&file, text).context(|| format!("writing {}", file.display()))?;
    Ok(file)
}
