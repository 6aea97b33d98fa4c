//! A client's identifier, apart from the client so that a grant can name whose it is without knowing what is registered.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A client's identifier (RFC 6749 section 2.2). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Arc<str>);

/// With a character that no registered one has.
const NOBODY: &str = "\0nobody";

impl ClientId {
    /// An identifier; its characters are checked where it is registered.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// Of who stands in where nobody is registered: no client can be registered with it.
    pub(super) fn nobodys() -> Self {
        Self::new(NOBODY)
    }

    /// Whether it is that one.
    pub fn is_nobodys(&self) -> bool {
        self.as_str() == NOBODY
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
