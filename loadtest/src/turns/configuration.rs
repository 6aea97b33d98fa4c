//! The files that a service under test is started with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::client::{AuthMethod, Credential};
use crate::failure::{Context, Failure};

/// As many clients as the goals for memory assume; two scopes each.
const CLIENTS: usize = 50;
const SCOPE: &str = "orders:read orders:write";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// Names all scopes that a client has.
pub(crate) const TOKEN_FORM: &str = "&scope=orders%3Aread+orders%3Awrite";

/// Registered clients: those that get tokens, and one resource server.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) file: PathBuf,
    /// The same for other services, as JSON: `scope`, `audience`, and `clients` with the metadata of RFC 7591.
    pub(crate) metadata_file: PathBuf,
    /// What their token requests ask for beside the grant type.
    pub(crate) token_form: String,
    pub(crate) issuing: Arc<[Credential]>,
    pub(crate) introspecting: Vec<Credential>,
}

/// A client's metadata, named as in RFC 7591 section 2; `introspection` as jeton names it.
#[derive(Serialize)]
struct Metadata {
    client_id: String,
    client_secret: String,
    token_endpoint_auth_method: &'static str,
    grant_types: &'static [&'static str],
    /// Audiences whose tokens it may ask about.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    introspection: &'static [&'static str],
}

impl Clients {
    /// Writes `clients.toml` and `clients.json` with secrets made for this run.
    pub(crate) fn write(folder: &Path, auth: AuthMethod, token_form: &str) -> Result<Self, Failure> {
        let token_endpoint_auth_method = match auth {
            AuthMethod::Basic => "client_secret_basic",
            AuthMethod::Body => "client_secret_post",
        };
        let register = |client_id, grant_types, introspection| Metadata {
            client_id,
            client_secret: secret(),
            token_endpoint_auth_method,
            grant_types,
            introspection,
        };
        let issuing = (0..CLIENTS).map(|number| register(format!("load-{number:02}"), &["client_credentials"], &[]));
        let issuing: Vec<_> = issuing.collect();
        let api = register("load-api".to_owned(), &[], &[AUDIENCE]);
        let credential = |client: &Metadata| Credential::new(auth, &client.client_id, &client.client_secret);
        let clients = Self {
            file: folder.join("clients.toml"),
            metadata_file: folder.join("clients.json"),
            token_form: token_form.to_owned(),
            issuing: issuing.iter().map(credential).collect(),
            introspecting: vec![credential(&api)],
        };
        let all: Vec<_> = issuing.into_iter().chain([api]).collect();
        write_text(&clients.file, &toml(&all))?;
        let metadata = serde_json::json!({ "scope": SCOPE, "audience": AUDIENCE, "clients": all });
        write_text(&clients.metadata_file, &metadata.to_string())?;
        Ok(clients)
    }
}

/// The same as jeton has it.
fn toml(clients: &[Metadata]) -> String {
    let entry = |client: &Metadata| {
        let may = match client.introspection {
            [] => format!("scope = \"{SCOPE}\"\naudience = [\"{AUDIENCE}\"]"),
            audiences => format!("grant_types = []\nintrospection = {audiences:?}"),
        };
        format!(
            "[[client]]\nclient_id = \"{}\"\nclient_secret = \"{}\"\n{may}\n\n",
            client.client_id, client.client_secret
        )
    };
    clients.iter().map(entry).collect()
}

/// 43 characters of a generator that is not for secrets: enough for a service on loopback that lives for minutes.
fn secret() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(43).collect()
}

/// How one jeton is configured; what is `None` is left to its default.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// Public and admin.
    pub(crate) ports: (u16, u16),
    pub(crate) workers: usize,
    pub(crate) connections_max: Option<usize>,
    pub(crate) store_url: &'a str,
    pub(crate) memory_tokens_max: Option<u64>,
    pub(crate) keys: &'a Path,
    pub(crate) clients_file: &'a Path,
    /// Whether what comes from loopback may say whom it comes from.
    pub(crate) behind_proxy: bool,
}

impl<'a> Settings<'a> {
    /// One worker.
    pub(crate) fn new(ports: (u16, u16), store_url: &'a str, keys: &'a Path, clients_file: &'a Path) -> Self {
        Self {
            ports,
            workers: 1,
            connections_max: None,
            store_url,
            memory_tokens_max: None,
            keys,
            clients_file,
            behind_proxy: false,
        }
    }

    /// Writes them to a file of its own and gives its path.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<PathBuf, Failure> {
        let file = folder.join(format!("{name}.toml"));
        let (public, admin) = self.ports;
        let tokens_max = self.memory_tokens_max.map(|max| format!("memory_tokens_max = {max}\n")).unwrap_or_default();
        let limits = self.connections_max.map(|max| format!("[limits]\nconnections = {max}\n\n")).unwrap_or_default();
        let proxies = if self.behind_proxy { "trusted_proxies = [\"127.0.0.0/8\"]\n" } else { "" };
        let text = format!(
            "issuer = \"http://127.0.0.1:{public}\"\n\n\
             [public]\nlisten = \"127.0.0.1:{public}\"\nworkers = {}\n{proxies}\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n\n\
             [store]\nurl = \"{}\"\n{tokens_max}\n\
             [keys]\nfile = \"{}\"\n\n\
             [clients]\nfile = \"{}\"\n\n\
             {limits}[log]\nformat = \"json\"\n",
            self.workers,
            self.store_url,
            self.keys.display(),
            self.clients_file.display()
        );
        write_text(&file, &text)?;
        Ok(file)
    }
}

fn write_text(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_register_the_same_clients() {
        let folder = tempfile::tempdir().unwrap();
        let clients = Clients::write(folder.path(), AuthMethod::Body, TOKEN_FORM).unwrap();
        assert_eq!((clients.issuing.len(), clients.introspecting.len()), (CLIENTS, 1));
        let toml = fs::read_to_string(&clients.file).unwrap();
        let json = fs::read_to_string(&clients.metadata_file).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let registered = json["clients"].as_array().unwrap();
        assert_eq!(registered.len(), CLIENTS + 1);
        for client in registered {
            let secret = client["client_secret"].as_str().unwrap();
            assert!(toml.contains(&format!("client_id = {}\nclient_secret = \"{secret}\"\n", client["client_id"])));
            assert_eq!(client["token_endpoint_auth_method"], "client_secret_post");
        }
        let api = &registered[CLIENTS];
        assert_eq!(api["introspection"][0], json["audience"]);
        assert!(toml.ends_with("grant_types = []\nintrospection = [\"https://api.example.com\"]\n\n"), "{toml}");
    }

    #[test]
    fn the_form_names_the_scopes() {
        assert_eq!(TOKEN_FORM, format!("&scope={}", crate::client::form_encoded(SCOPE)));
    }
}
