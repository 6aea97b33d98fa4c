//! The registered clients as files say them: one file, or a folder of them.
//!
//! Invariant: a file is taken whole or not at all, so that no half-edited file ever changes who is let in.

mod advice;
mod client_certificates;
mod client_keys;
pub mod demo;
mod key_places;
mod limits;
mod members;
mod own_certificates;
mod registration;
mod secrets;
mod source;
mod workloads;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

pub use self::advice::CertificatesTaken;
pub use self::source::{ClientsDiff, ClientsRead, ClientsSource, Terms};

#[cfg(test)]
pub(crate) use self::members::MEMBERS;
use self::members::Members;
use self::workloads::ReadIssuer;
use super::document::Document;
use super::hint::closest;
use super::mistake::{Mistake, Origin, Warning};
use crate::oauth::client::{ClientId, Registration};
use crate::oauth::key_place::KeyPlace;

/// A client as one file has it.
#[derive(Clone, Debug)]
pub(crate) struct ReadClient {
    pub(crate) registration: Registration,
    /// The place of its id.
    pub(crate) origin: Origin,
    /// The place of its `introspection`.
    pub(crate) introspection_origin: Option<Origin>,
    /// What is doubtful about it alone.
    pub(crate) warnings: Vec<Warning>,
}

/// What one file holds.
#[derive(Debug, Default)]
pub(crate) struct ReadFile {
    pub(crate) clients: Vec<ReadClient>,
    pub(crate) issuers: Vec<ReadIssuer>,
    pub(crate) mistakes: Vec<Mistake>,
    /// Where keys are fetched from, each with its place in the file.
    pub(crate) key_places: Vec<(KeyPlace, Origin)>,
    /// The files that its clients' secrets stand in.
    pub(crate) secret_files: BTreeSet<PathBuf>,
}

/// Reads one file of clients. No token may live longer than `ttl_seconds_max`.
pub(crate) fn read_file(path: &Path, ttl_seconds_max: u32) -> ReadFile {
    match Document::read(path) {
        Ok(document) => read_document(&document, ttl_seconds_max),
        Err(mistake) => ReadFile { mistakes: vec![mistake], ..ReadFile::default() },
    }
}

/// The same of a file with this content.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_bytes(path: &Path, bytes: Vec<u8>, ttl_seconds_max: u32) -> ReadFile {
    match Document::from_bytes(path, bytes) {
        Ok(document) => read_document(&document, ttl_seconds_max),
        Err(mistake) => ReadFile { mistakes: vec![mistake], ..ReadFile::default() },
    }
}

fn read_document(document: &Document, ttl_seconds_max: u32) -> ReadFile {
    let mut file = ReadFile::default();
    let (tree, syntax) = document.parse();
    if !syntax.is_empty() {
        // The tree of a broken text is a guess, and a guess of who is let in helps nobody.
        return ReadFile { mistakes: syntax, ..file };
    }
    let mut ids: HashMap<ClientId, Origin> = HashMap::new();
    for (name, value) in tree.get_ref() {
        let tables = match (name.get_ref().as_ref(), value.get_ref()) {
            ("client", DeValue::Array(tables)) => tables,
            ("trusted_issuer", DeValue::Array(tables)) => {
                tables.iter().for_each(|table| read_issuer(document, table, &mut file));
                continue;
            }
            ("client", _) => {
                let mistake = Mistake::new(document.origin(&name.span()), "each client is a table of its own");
                file.mistakes.push(mistake.hint("write [[client]] with two brackets"));
                continue;
            }
            (other, _) => {
                let what = format!("there is no `{other}` in a clients file");
                let meant = closest(other, ["client", "trusted_issuer"]).map(|name| format!("[[{name}]]"));
                file.mistakes.push(Mistake::new(document.origin(&name.span()), what).did_you_mean(meant.as_deref()));
                continue;
            }
        };
        for table in tables {
            let Some(members) = Members::new(document, table, &mut file.mistakes) else { continue };
            // One that is mistaken otherwise counts too: both mistakes are told at once.
            if let Some((id, origin)) = members.peek_placed("client_id") {
                let id = ClientId::new(id);
                match ids.get(&id) {
                    Some(first) => file.mistakes.push(twice(&id, first, origin)),
                    None => drop(ids.insert(id, origin)),
                }
            }
            let client = registration::read(members, ttl_seconds_max, &mut file);
            file.clients.extend(client);
        }
    }
    file.mistakes.sort();
    file
}

fn read_issuer<'a>(document: &'a Document, table: &'a Spanned<DeValue<'a>>, file: &mut ReadFile) {
    let what = "a trusted issuer";
    let members = Members::of_other(document, table, what, &workloads::ISSUER_MEMBERS, &mut file.mistakes);
    let Some(members) = members else { return };
    let (issuer, keys) = workloads::issuer(&members);
    file.secret_files.extend(keys.files);
    file.key_places.extend(keys.place);
    file.mistakes.extend(members.into_mistakes());
    let Some(read) = issuer else { return };
    match file.issuers.iter().find(|known| known.issuer.issuer == read.issuer.issuer) {
        Some(first) => file.mistakes.push(trusted_twice(&first.origin, read.origin)),
        None => file.issuers.push(read),
    }
}

/// The mistake of a client that is registered a second time.
fn twice(id: &ClientId, first: &Origin, second: Origin) -> Mistake {
    Mistake::new(second, format!("client `{id}` is registered twice: first at {first}"))
}

/// The mistake of an issuer that is trusted a second time.
fn trusted_twice(first: &Origin, second: Origin) -> Mistake {
    Mistake::new(second, format!("this issuer is trusted twice: first at {first}"))
}

#[cfg(test)]
mod tests;
