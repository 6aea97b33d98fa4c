//! All clients of a node: by id, by the tokens that prove them, and the keys that some of them publish.
//!
//! Invariant: a registry never changes. What is learned beside what is registered (uses of secrets, fetched keys) is shared with the one
//! that comes after it.

use std::hint::black_box;
use std::sync::Arc;

use foldhash::HashMap;

use super::{Client, ClientId};
use crate::oauth::key_place::KeyPlace;
use crate::oauth::remote_keys::RemoteKeys;
use crate::oauth::workload::{TrustedIssuer, Workloads};

/// All clients a node knows, at one moment. Replaced as a whole when the registration changes.
#[derive(Debug)]
pub struct Clients {
    by_id: HashMap<ClientId, Arc<Client>>,
    nobody: Arc<Client>,
    /// One of them, whichever.
    somebody: Option<ClientId>,
    workloads: Workloads<Arc<Client>>,
    remote_keys: HashMap<KeyPlace, Arc<RemoteKeys>>,
}

impl Default for Clients {
    fn default() -> Self {
        Self::new([])
    }
}

impl Clients {
    /// A registry; of two registrations with one id the later one stands (whoever reads them refuses that before).
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        let by_id: HashMap<_, _> = clients.into_iter().map(|client| (client.id().clone(), Arc::new(client))).collect();
        let somebody = by_id.keys().next().cloned();
        let mut clients = Self {
            by_id,
            nobody: Arc::new(Client::nobody()),
            somebody,
            workloads: Workloads::default(),
            remote_keys: HashMap::default(),
        };
        clients.look_where_keys_are_published(&HashMap::default());
        clients
    }

    /// The same, some of whom are proven by tokens of these.
    pub fn with_issuers(mut self, issuers: Vec<TrustedIssuer>) -> Self {
        // In the order of their ids: where two claim one token, it is always the same who gets it.
        let mut clients: Vec<&Arc<Client>> = self.by_id.values().collect();
        clients.sort_by(|a, b| a.id().cmp(b.id()));
        let mut proven = Vec::new();
        for client in clients {
            proven.extend(client.registration.workloads.iter().map(|workload| (workload, Arc::clone(client))));
        }
        self.workloads = Workloads::new(issuers, proven);
        self.look_where_keys_are_published(&HashMap::default());
        self
    }

    /// The same, with what `before` has fetched from the places that both name. What nobody names any more is forgotten.
    pub fn with_keys_of(mut self, before: &Self) -> Self {
        self.look_where_keys_are_published(&before.remote_keys);
        self
    }

    fn look_where_keys_are_published(&mut self, known: &HashMap<KeyPlace, Arc<RemoteKeys>>) {
        let of_clients = self.by_id.values().filter_map(|client| client.registration.jwks_uri.as_ref());
        let of_issuers = self.workloads.issuers().filter_map(|issuer| issuer.jwks_uri.as_ref());
        let at =
            |place: &KeyPlace| known.get(place).cloned().unwrap_or_else(|| Arc::new(RemoteKeys::new(place.clone())));
        let remote_keys = of_clients.chain(of_issuers).map(|place| (place.clone(), at(place))).collect();
        self.remote_keys = remote_keys;
    }

    /// What was fetched from where somebody publishes its keys; `None`: nobody here does so there.
    pub fn keys_at(&self, place: &KeyPlace) -> Option<&Arc<RemoteKeys>> {
        self.remote_keys.get(place)
    }

    /// All keys that are fetched, in no order.
    pub fn remote_keys(&self) -> impl Iterator<Item = &Arc<RemoteKeys>> {
        self.remote_keys.values()
    }

    /// Whose tokens prove whom.
    pub fn workloads(&self) -> &Workloads<Arc<Client>> {
        &self.workloads
    }

    /// Who stands in where no client of an id is registered, so that looking costs the same. It is not among the others and proves nothing.
    pub fn nobody(&self) -> &Arc<Client> {
        &self.nobody
    }

    /// The client with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }

    /// Looks up the other kind of id than was looked up: one that is there behind one that is not. A find reads and compares what a miss does
    /// not, so a refusal does both, whoever was named.
    pub fn even_out(&self, found: Option<&Arc<Client>>) {
        let other = if found.is_some() { None } else { self.somebody.as_ref() };
        black_box(self.get(other.unwrap_or_else(|| self.nobody.id()).as_str()));
    }

    /// Takes over what `before` knows of the same clients and their secrets beside what is registered.
    pub fn inherit(&self, before: &Self) {
        for client in self.by_id.values() {
            if let Some(known) = before.by_id.get(client.id()) {
                client.inherit_secrets(known);
                client.bucket.inherit(&known.bucket);
                client.grants_seen.inherit(&known.grants_seen);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.by_id.values()
    }
}
