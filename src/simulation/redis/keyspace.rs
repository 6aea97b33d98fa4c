//! The keys of a simulated Redis, and the effects that change them.
//!
//! Invariant: nothing changes a keyspace but an [`Effect`], so the log of effects up to any point gives the keyspace at that point:
//! what a replica that far behind has, and what a server that wrote its log that far comes back with.

use std::collections::BTreeMap;

pub(super) type Key = Vec<u8>;
pub(super) type Field = Vec<u8>;

/// The number of a stream's entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(pub(super) u64, pub(super) u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(Vec<u8>),
    Hash(BTreeMap<Field, Vec<u8>>),
    Stream { entries: BTreeMap<StreamId, Vec<Vec<u8>>>, last: StreamId },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) value: Value,
    /// Milliseconds of the server's clock.
    pub(super) expires_at: Option<u64>,
}

/// A change, as a server writes it to its log and sends it to its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    SetText {
        key: Key,
        text: Vec<u8>,
        expires_at: Option<u64>,
    },
    SetField {
        key: Key,
        field: Field,
        value: Vec<u8>,
    },
    DeleteField {
        key: Key,
        field: Field,
    },
    ExpireAt {
        key: Key,
        at: u64,
    },
    Append {
        key: Key,
        id: StreamId,
        words: Vec<Vec<u8>>,
    },
    /// Leaves so many entries at most, from this one on.
    TrimStream {
        key: Key,
        keep: usize,
        from: StreamId,
    },
    Delete {
        key: Key,
    },
    /// Its time had come.
    Expired {
        key: Key,
    },
    Flush,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keyspace(BTreeMap<Key, Stored>);

impl Keyspace {
    /// What a log gives.
    pub(super) fn replay<'a>(log: impl Iterator<Item = &'a Effect>) -> Self {
        let mut keyspace = Self::default();
        log.for_each(|effect| keyspace.apply(effect));
        keyspace
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Stored> {
        self.0.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Stored)> {
        self.0.iter()
    }

    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::SetText { key, text, expires_at } => {
                self.0.insert(key.clone(), Stored { value: Value::Text(text.clone()), expires_at: *expires_at });
            }
            Effect::SetField { key, field, value } => {
                let stored = self.or_insert(key, Value::Hash(BTreeMap::new()));
                if let Value::Hash(fields) = &mut stored.value {
                    fields.insert(field.clone(), value.clone());
                }
            }
            Effect::DeleteField { key, field } => {
                let Some(Stored { value: Value::Hash(fields), .. }) = self.0.get_mut(key) else { return };
                fields.remove(field);
                if fields.is_empty() {
                    self.0.remove(key);
                }
            }
            Effect::ExpireAt { key, at } => {
                if let Some(stored) = self.0.get_mut(key) {
                    stored.expires_at = Some(*at);
                }
            }
            Effect::Append { key, id, words } => {
                let empty = Value::Stream { entries: BTreeMap::new(), last: StreamId::default() };
                if let Value::Stream { entries, last } = &mut self.or_insert(key, empty).value {
                    entries.insert(*id, words.clone());
                    *last = *id;
                }
            }
            Effect::TrimStream { key, keep, from } => {
                let Some(Stored { value: Value::Stream { entries, .. }, .. }) = self.0.get_mut(key) else { return };
                entries.retain(|id, _| id >= from);
                while entries.len() > *keep {
                    entries.pop_first();
                }
            }
            Effect::Delete { key } | Effect::Expired { key } => {
                self.0.remove(key);
            }
            Effect::Flush => self.0.clear(),
        }
    }

    fn or_insert(&mut self, key: &Key, empty: Value) -> &mut Stored {
        self.0.entry(key.clone()).or_insert(Stored { value: empty, expires_at: None })
    }
}
