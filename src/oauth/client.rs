//! Registered clients: who they are, how they prove it, what they may ask for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ProtocolError;
use super::grant::Grant;
use super::scope::Scope;
use super::secret::SecretHash;
use super::time::{Lifetime, Timestamp};
use super::token_request::TokenRequest;

/// A client's identifier (RFC 6749 section 2.2). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Arc<str>);

/// How a client proves who it is (RFC 7591 `token_endpoint_auth_method`). More methods come as arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuthMethod {
    /// `client_secret_basic`.
    #[default]
    ClientSecretBasic,
    /// `client_secret_post`.
    ClientSecretPost,
}

/// Whose tokens a resource server may introspect.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum IntrospectionRight {
    /// Those issued to itself alone.
    #[default]
    OwnOnly,
    /// Also those with one of these audiences; sorted.
    Audiences(Vec<String>),
    /// All: `["*"]`.
    All,
}

/// What is registered of a client: the words of RFC 7591 where it has them. All sets may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// `client_id`.
    pub client_id: ClientId,
    /// `client_name`, for people.
    pub client_name: Option<String>,
    /// Hashes of its secrets; one is enough, several during a rotation; at most four.
    pub secrets: Vec<SecretHash>,
    /// `token_endpoint_auth_method`.
    pub auth_method: AuthMethod,
    /// Whether `client_secret_basic` and `client_secret_post` are told apart.
    pub strict_auth_method: bool,
    /// What it may ask for.
    pub scope: Scope,
    /// What it gets when it asks for none; left out: all of `scope`.
    pub default_scope: Option<Scope>,
    /// Audiences it may ask for.
    pub audience: Vec<String>,
    /// What it gets when it asks for none; left out: all of `audience`.
    pub default_audience: Option<Vec<String>>,
    /// Lifetime of its tokens; left out: the service's.
    pub access_token_ttl_seconds: Option<u32>,
    /// `sub` of its tokens; left out: its id.
    pub subject: Option<String>,
    /// Extra members of the introspection answer.
    pub claims: Map<String, Value>,
    /// Tokens issued then or earlier are inactive.
    pub not_before: Option<Timestamp>,
    /// Whether it is refused everything.
    pub disabled: bool,
    /// Whether it may use the client credentials grant (`grant_types` holds `client_credentials`).
    pub client_credentials: bool,
    /// Whose tokens it may introspect.
    pub introspection: IntrospectionRight,
}

/// A registered client with what is prepared from its registration once.
#[derive(Debug)]
pub struct Client {
    registration: Registration,
    default_grant: Arc<Grant>,
}

/// All clients a node knows, at one moment. Replaced as a whole when the registration changes.
#[derive(Debug, Default)]
pub struct Clients {
    by_id: HashMap<ClientId, Arc<Client>>,
}

impl ClientId {
    /// An identifier; its characters are checked where it is registered.
    pub fn new(id: &str) -> Self {
        Self(id.into())
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

impl std::borrow::Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Client {
    /// Prepares a client from its registration.
    pub fn new(registration: Registration) -> Self {
        todo!()
    }

    /// What is registered of it.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Its id.
    pub fn id(&self) -> &ClientId {
        &self.registration.client_id
    }

    /// What a token request of this (authenticated) client gives: RFC 6749 sections 3.3 and 4.4, RFC 8707 section 2.
    /// Rows A16, K06 to K10, R01 to R05. The common request, which asks for nothing in particular, gives the prepared grant.
    ///
    /// # Errors
    /// `unsupported_grant_type`, `unauthorized_client`, `invalid_scope`, `invalid_target`, in this order; [`ProtocolError::NotYet`]
    /// while the client's `not_before` lies ahead of `now`.
    pub fn authorise(&self, request: &TokenRequest<'_>, now: Timestamp) -> Result<Arc<Grant>, ProtocolError> {
        todo!()
    }

    /// The lifetime of its tokens, where it is registered.
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.registration.access_token_ttl_seconds.map(Lifetime::from_seconds)
    }
}

impl Clients {
    /// A registry; of two registrations with one id the later one stands (whoever reads them refuses that before).
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        Self { by_id: clients.into_iter().map(|client| (client.id().clone(), Arc::new(client))).collect() }
    }

    /// The client with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
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
