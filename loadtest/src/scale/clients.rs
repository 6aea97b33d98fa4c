//! Registrations in any number.
//!
//! All share one secret, which stands hashed in the file: what is measured is how many there are, and hashing a million in
//! advance would take longer than the measurement.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::client::{AuthMethod, Credential, form_encoded};
use crate::failure::{Context, Failure};
use crate::turns::configuration::{AUDIENCE, Clients};

/// As many as the goals for memory assume.
pub(super) const FEW: usize = 50;
/// Seconds that tokens live whose number must not grow while they are issued; the least there is.
const SHORT_LIFE: u32 = 1;

/// What is registered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) clients: usize,
    /// Of each client.
    pub(super) scopes: usize,
}

#[derive(Debug)]
pub(super) struct Registered {
    pub(super) clients: Clients,
    /// As many more as there are few, whose tokens hardly live.
    pub(super) short_lived: Arc<[Credential]>,
}

/// A secret and how jeton keeps it.
#[derive(Debug)]
pub(super) struct Secret {
    text: String,
    hash: String,
}

impl Secret {
    pub(super) fn new(jeton: &Path) -> Result<Self, Failure> {
        let text: String = std::iter::repeat_with(fastrand::alphanumeric).take(43).collect();
        let mut hashing = Command::new(jeton);
        hashing.args(["client", "hash"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = hashing.spawn().context(|| format!("running {} (--jeton names another)", jeton.display()))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(Failure::new("jeton client hash failed"));
        }
        Ok(Self { text, hash: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
    }
}

/// Writes `file` with clients that get tokens, others whose tokens hardly live, and one resource server.
pub(super) fn write(file: PathBuf, wanted: Wanted, secret: &Secret) -> Result<Registered, Failure> {
    let scopes: Vec<_> = (0..wanted.scopes).map(|number| format!("orders-{number:02}:read")).collect();
    let scope = scopes.join(" ");
    let mut out = BufWriter::new(File::create(&file).context(|| format!("creating {}", file.display()))?);
    let mut register = |id: String, may: &str| -> Result<Credential, Failure> {
        writeln!(out, "[[client]]\nclient_id = \"{id}\"\nclient_secret_hash = \"{}\"\n{may}\n", secret.hash)?;
        Ok(Credential::new(AuthMethod::Basic, &id, &secret.text))
    };
    let may = format!("scope = \"{scope}\"\naudience = [\"{AUDIENCE}\"]");
    let shortly = format!("{may}\naccess_token_ttl_seconds = {SHORT_LIFE}");
    let asks = format!("grant_types = []\nintrospection = [\"{AUDIENCE}\"]");
    let issuing = (0..wanted.clients).map(|number| register(format!("load-{number:07}"), &may));
    let issuing = issuing.collect::<Result<Arc<[_]>, _>>()?;
    let short_lived = (0..FEW.min(wanted.clients)).map(|number| register(format!("short-{number:02}"), &shortly));
    let short_lived = short_lived.collect::<Result<Arc<[_]>, _>>()?;
    let introspecting = vec![register("load-api".to_owned(), &asks)?];
    out.flush()?;
    let token_form = format!("&scope={}", form_encoded(&scope));
    let clients = Clients { file, metadata_file: PathBuf::new(), token_form, issuing, introspecting };
    Ok(Registered { clients, short_lived })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_clients_and_scopes_are_registered() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret { text: "s".to_owned(), hash: "$sha256$h".to_owned() };
        let wanted = Wanted { clients: 120, scopes: 2 };
        let registered = write(folder.path().join("clients.toml"), wanted, &secret).unwrap();
        let clients = registered.clients;
        assert_eq!((clients.issuing.len(), registered.short_lived.len(), clients.introspecting.len()), (120, FEW, 1));
        assert_eq!(clients.token_form, "&scope=orders-00%3Aread+orders-01%3Aread");
        let text = std::fs::read_to_string(&clients.file).unwrap();
        assert_eq!(text.matches("client_secret_hash = \"$sha256$h\"").count(), 120 + FEW + 1);
        assert_eq!(text.matches("access_token_ttl_seconds = 1").count(), FEW);
    }
}
