//! Where clients come from, read again and again: what is good in the new state replaces the old, what is bad leaves it.
//!
//! Invariant: after a failed reload everything is as before; of a folder, each file that became bad keeps its last good clients.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::advice::CertificatesTaken;
use super::workloads::ReadIssuer;
use super::{ReadClient, ReadFile, advice, key_places, read_file, twice};
use crate::config::mistake::{Mistake, Origin, Warning};
use crate::config::watched::files_of;
use crate::oauth::client::{Client, ClientId, Clients, Registration};
use crate::oauth::reachable::Reachable;
use crate::oauth::workload::TrustedIssuer;

/// A clients file or folder with the clients last read from it.
#[derive(Debug)]
pub struct ClientsSource {
    path: PathBuf,
    terms: Terms,
    demo: Vec<Registration>,
    may_be_missing: bool,
    good: BTreeMap<PathBuf, Good>,
    registered: HashMap<ClientId, Registration>,
    secret_files: BTreeSet<PathBuf>,
}

/// What the service is configured to, as far as it bounds what can be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// No token may live longer.
    pub ttl_seconds_max: u32,
    /// By which certificates clients can prove who they are.
    pub certificates: CertificatesTaken,
    /// Where keys can be fetched from.
    pub reachable: Reachable,
}

/// What reading found.
#[derive(Debug)]
pub struct ClientsRead {
    /// All clients, as of now.
    pub clients: Clients,
    /// What can hardly be meant.
    pub warnings: Vec<Warning>,
    /// Of a folder: why some files keep their last good clients.
    pub mistakes: Vec<Mistake>,
    /// What became of whom.
    pub diff: ClientsDiff,
}

/// Ids of clients, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientsDiff {
    /// New ones.
    pub added: Vec<ClientId>,
    /// Those of whom something else is registered now.
    pub changed: Vec<ClientId>,
    /// Those that are no longer registered.
    pub removed: Vec<ClientId>,
}

impl ClientsDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl ClientsSource {
    /// Reads a file, or a folder's `*.toml`, for the first time. The clients of `demo` stand beside them; where there are some, the file
    /// may be missing.
    ///
    /// # Errors
    /// Every mistake: at a start nothing bad is passed over.
    pub fn open(path: &Path, terms: Terms, demo: Vec<Registration>) -> Result<(Self, ClientsRead), Vec<Mistake>> {
        let mut source = Self {
            path: path.to_path_buf(),
            terms,
            may_be_missing: !demo.is_empty(),
            demo,
            good: BTreeMap::new(),
            registered: HashMap::new(),
            secret_files: BTreeSet::new(),
        };
        let read = source.reload()?;
        if read.mistakes.is_empty() { Ok((source, read)) } else { Err(read.mistakes) }
    }

    /// Reads again.
    ///
    /// # Errors
    /// Every mistake of a file, or that the folder is gone: then nothing changed. A folder with bad files among good ones is no error:
    /// they are told in [`ClientsRead::mistakes`].
    pub fn reload(&mut self) -> Result<ClientsRead, Vec<Mistake>> {
        let is_folder = self.path.is_dir();
        let mut files: Vec<(PathBuf, ReadFile)> = Vec::new();
        if self.path.exists() || !self.may_be_missing {
            self.check_there()?;
            let paths = files_of(&self.path).into_iter();
            files.extend(paths.map(|path| {
                let mut file = read_file(&path, self.terms.ttl_seconds_max);
                file.mistakes.extend(key_places::unreachable(&file.key_places, &self.terms.reachable));
                (path, file)
            }));
        }
        self.secret_files = self.secret_files_of(&files);
        let sifted = self.sift(files);
        if !is_folder && !sifted.mistakes.is_empty() {
            return Err(sifted.mistakes);
        }
        Ok(self.take(sifted))
    }

    /// What to watch: the file or folder, and every file that a secret stands in.
    pub fn watched_paths(&self) -> Vec<PathBuf> {
        std::iter::once(self.path.clone()).chain(self.secret_files.iter().cloned()).collect()
    }

    fn check_there(&self) -> Result<(), Vec<Mistake>> {
        match std::fs::metadata(&self.path) {
            Ok(_) => Ok(()),
            Err(error) => {
                let mistake =
                    Mistake::new(Origin::File(self.path.clone()), format!("the clients file cannot be read: {error}"));
                let hint =
                    "clients.example.toml shows what stands in it; clients.file or JETON_CLIENTS__FILE names another";
                Err(vec![mistake.hint(hint)])
            }
        }
    }

    /// Those of the files just read; with a bad one among these also those known before, since what it keeps came from them.
    fn secret_files_of(&self, files: &[(PathBuf, ReadFile)]) -> BTreeSet<PathBuf> {
        let read = files.iter().flat_map(|(_, file)| file.secret_files.iter().cloned());
        let is_good = files.iter().all(|(_, file)| file.mistakes.is_empty());
        let before = self.secret_files.iter().filter(|_| !is_good).cloned();
        read.chain(before).collect()
    }

    /// Parts what is good from what is bad; a bad file's place takes what it held when it was good.
    fn sift(&self, files: Vec<(PathBuf, ReadFile)>) -> Sifted {
        let mut sifted = Sifted::default();
        let mut seen: HashMap<ClientId, Origin> = HashMap::new();
        for (path, file) in files {
            let mut mistakes = file.mistakes;
            let again = file.clients.iter().filter_map(|client| {
                let id = &client.registration.client_id;
                seen.get(id).map(|first| twice(id, first, client.origin.clone()))
            });
            mistakes.extend(again);
            let Good { clients, issuers } = match mistakes.is_empty() {
                true => Good { clients: file.clients, issuers: file.issuers },
                false => self.good.get(&path).cloned().unwrap_or_default(),
            };
            let clients: Vec<ReadClient> =
                clients.into_iter().filter(|client| !seen.contains_key(&client.registration.client_id)).collect();
            seen.extend(clients.iter().map(|client| (client.registration.client_id.clone(), client.origin.clone())));
            sifted.mistakes.extend(mistakes);
            sifted.good.insert(path, Good { clients, issuers });
        }
        sifted
    }

    fn take(&mut self, sifted: Sifted) -> ClientsRead {
        self.good = sifted.good;
        let issuers: Vec<TrustedIssuer> =
            self.good.values().flat_map(|good| &good.issuers).map(|read| read.issuer.clone()).collect();
        let mut warnings =
            advice::advise(self.good.values().flat_map(|good| &good.clients), &issuers, self.terms.certificates);
        let files = self.good.values().flat_map(|good| &good.clients).map(|client| client.registration.clone());
        let mut registered: HashMap<ClientId, Registration> = files.map(|one| (one.client_id.clone(), one)).collect();
        for demo in &self.demo {
            if registered.contains_key(&demo.client_id) {
                let what = format!("client `{}` stands in place of the demo client of that name", demo.client_id);
                warnings.push(Warning::new(Origin::File(self.path.clone()), what));
            } else {
                registered.insert(demo.client_id.clone(), demo.clone());
            }
        }
        if registered.is_empty() {
            warnings.push(Warning::new(Origin::File(self.path.clone()), "holds no client: nobody can ask for a token"));
        }
        let diff = diff(&self.registered, &registered);
        let clients = Clients::new(registered.values().cloned().map(Client::new)).with_issuers(issuers);
        self.registered = registered;
        ClientsRead { clients, warnings, mistakes: sifted.mistakes, diff }
    }
}

/// What a file held when it was good.
#[derive(Clone, Debug, Default)]
struct Good {
    clients: Vec<ReadClient>,
    issuers: Vec<ReadIssuer>,
}

#[derive(Default)]
struct Sifted {
    good: BTreeMap<PathBuf, Good>,
    mistakes: Vec<Mistake>,
}

fn diff(before: &HashMap<ClientId, Registration>, after: &HashMap<ClientId, Registration>) -> ClientsDiff {
    let sorted = |mut ids: Vec<ClientId>| {
        ids.sort();
        ids
    };
    let changed = after.iter().filter(|(id, new)| before.get(*id).is_some_and(|old| old != *new));
    ClientsDiff {
        added: sorted(after.keys().filter(|id| !before.contains_key(*id)).cloned().collect()),
        changed: sorted(changed.map(|(id, _)| id.clone()).collect()),
        removed: sorted(before.keys().filter(|id| !after.contains_key(*id)).cloned().collect()),
    }
}
