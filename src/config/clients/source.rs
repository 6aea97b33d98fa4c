//! Where clients come from, read again and again: what is good in the new state replaces the old, what is bad leaves it.
//!
//! Invariant: after a failed reload everything is as before; of a folder, each file that became bad keeps its last good clients.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::path::{Path, PathBuf};

use super::advice::CertificatesTaken;
use super::workloads::ReadIssuer;
use super::{ReadClient, ReadFile, advice, key_places, read_file, trusted_twice, twice};
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
    trusted: HashMap<String, TrustedIssuer>,
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
    /// The `iss` of each trusted issuer that is new, of which something else is said now, or that is no longer trusted.
    pub issuers: Vec<String>,
}

impl ClientsDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty() && self.issuers.is_empty()
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
            trusted: HashMap::new(),
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
        let mut names = self.names_kept(&files);
        for (path, file) in files {
            let mut mistakes = file.mistakes;
            let read = Good { clients: file.clients, issuers: file.issuers };
            mistakes.extend(names.taken(&path, &read));
            let good = match mistakes.is_empty() {
                true => read,
                false => names.free_of(&path, self.good.get(&path).cloned().unwrap_or_default()),
            };
            names.take(&path, &good);
            sifted.mistakes.extend(mistakes);
            sifted.good.insert(path, good);
        }
        sifted
    }

    /// Names that a file had and still has: no other takes them from it, also none that is read before it.
    fn names_kept(&self, files: &[(PathBuf, ReadFile)]) -> Names {
        let mut names = Names::default();
        if files.len() < 2 {
            return names;
        }
        for (path, file) in files {
            let Some(had) = self.good.get(path) else { continue };
            let mut kept = had.clone();
            if file.mistakes.is_empty() {
                let ids: HashSet<_> = file.clients.iter().map(|client| &client.registration.client_id).collect();
                kept.clients.retain(|client| ids.contains(&client.registration.client_id));
                let issuers: HashSet<_> = file.issuers.iter().map(|read| &read.issuer.issuer).collect();
                kept.issuers.retain(|read| issuers.contains(&read.issuer.issuer));
            }
            names.take(path, &kept);
        }
        names
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
        let trusted: HashMap<String, TrustedIssuer> =
            issuers.iter().map(|issuer| (issuer.issuer.clone(), issuer.clone())).collect();
        let diff =
            ClientsDiff { issuers: told_otherwise(&self.trusted, &trusted), ..diff(&self.registered, &registered) };
        self.trusted = trusted;
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

/// Which file says what: no id of a client and no `iss` of a trusted issuer is said by two, and none is both. An assertion with a trusted
/// issuer's `iss` is judged as a workload's, so a client of that name could prove nothing by one.
#[derive(Default)]
struct Names {
    clients: HashMap<ClientId, (PathBuf, Origin)>,
    issuers: HashMap<String, (PathBuf, Origin)>,
}

impl Names {
    /// The mistakes of a file that says what another has said, or that calls a client as an issuer is called.
    fn taken(&self, path: &Path, file: &Good) -> Vec<Mistake> {
        let client_elsewhere = |id: &str| elsewhere(&self.clients, path, id);
        let issuer_elsewhere = |iss: &str| elsewhere(&self.issuers, path, iss);
        let mut mistakes = Vec::new();
        for ReadIssuer { issuer, origin } in &file.issuers {
            let twice = issuer_elsewhere(&issuer.issuer).map(|first| trusted_twice(first, origin.clone()));
            let client =
                client_elsewhere(&issuer.issuer).map(|client| client_as_issuer(&issuer.issuer, client.clone()));
            mistakes.extend(twice.into_iter().chain(client));
        }
        let own_issuers: HashSet<&str> = file.issuers.iter().map(|read| read.issuer.issuer.as_str()).collect();
        for client in &file.clients {
            let id = &client.registration.client_id;
            mistakes.extend(client_elsewhere(id.as_str()).map(|first| twice(id, first, client.origin.clone())));
            if issuer_elsewhere(id.as_str()).is_some() || own_issuers.contains(id.as_str()) {
                mistakes.push(client_as_issuer(id.as_str(), client.origin.clone()));
            }
        }
        mistakes
    }

    /// The same but for what another file says.
    fn free_of(&self, path: &Path, mut file: Good) -> Good {
        let is_free = |name: &str| {
            elsewhere(&self.clients, path, name).is_none() && elsewhere(&self.issuers, path, name).is_none()
        };
        file.clients.retain(|client| is_free(client.registration.client_id.as_str()));
        file.issuers.retain(|read| is_free(&read.issuer.issuer));
        file
    }

    fn take(&mut self, path: &Path, file: &Good) {
        let at = |origin: &Origin| (path.to_path_buf(), origin.clone());
        let clients = file.clients.iter().map(|client| (client.registration.client_id.clone(), at(&client.origin)));
        self.clients.extend(clients);
        self.issuers.extend(file.issuers.iter().map(|read| (read.issuer.issuer.clone(), at(&read.origin))));
    }
}

/// Where another file than this says it.
fn elsewhere<'a, K: Borrow<str> + Eq + Hash>(
    names: &'a HashMap<K, (PathBuf, Origin)>,
    path: &Path,
    name: &str,
) -> Option<&'a Origin> {
    names.get(name).filter(|(holder, _)| holder != path).map(|(_, origin)| origin)
}

fn client_as_issuer(name: &str, client: Origin) -> Mistake {
    Mistake::new(client, format!("client `{name}` is called as a trusted issuer is"))
        .hint("assertions with this `iss` prove workloads: give the client another id")
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
        issuers: Vec::new(),
    }
}

/// Keys of which the two say different things, sorted.
fn told_otherwise(before: &HashMap<String, TrustedIssuer>, after: &HashMap<String, TrustedIssuer>) -> Vec<String> {
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    all.into_iter().filter(|iss| before.get(*iss) != after.get(*iss)).cloned().collect()
}
