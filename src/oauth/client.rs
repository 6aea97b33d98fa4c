//! Registered clients: who they are, how they prove it, what they may ask for.

mod registry;
mod slow_secrets;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use self::registry::Clients;
use super::client_certificate::CertificateSubject;
pub use super::client_id::ClientId;
use super::client_secret::{ClientSecret, SecretUses};
use super::error::ProtocolError;
use super::grant::{Grant, GrantParts};
use super::grants_seen::GrantsSeen;
use super::jws::jwk_set::JwkSet;
use super::key_place::KeyPlace;
use super::quota::Quota;
use super::rate_limit::{Bucket, RateLimit};
use super::remembered_secrets::RememberedSecrets;
use super::scope::Scope;
use super::secret::SecretHash;
use super::standing::Standing;
use super::time::{Lifetime, Timestamp};
use super::token_request::TokenRequest;
use super::workload::Workload;

/// Targets (`resource` and `audience`) in one request (R04).
const TARGETS_MAX: usize = 16;
/// What a client is told to wait at most while its `not_before` lies ahead; then it is told again (K14).
const RETRY_AFTER_SECONDS_MAX: u64 = 5;

const NO_GRANT: ProtocolError = ProtocolError::UnauthorizedClient("this client gets no tokens");
const BAD_SCOPE: ProtocolError = ProtocolError::InvalidScope("scope is not well formed");
const FOREIGN_SCOPE: ProtocolError = ProtocolError::InvalidScope("scope is not registered for this client");
const NO_URI: ProtocolError = ProtocolError::InvalidTarget("resource is no absolute URI without a fragment");
const FOREIGN_TARGET: ProtocolError = ProtocolError::InvalidTarget("target is not registered for this client");
const TOO_MANY_TARGETS: ProtocolError = ProtocolError::InvalidTarget("more than 16 targets");

/// How a client proves who it is (RFC 7591 `token_endpoint_auth_method`). More methods come as arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuthMethod {
    /// `client_secret_basic`.
    #[default]
    ClientSecretBasic,
    /// `client_secret_post`.
    ClientSecretPost,
    /// `private_key_jwt`.
    PrivateKeyJwt,
    /// `tls_client_auth`: a certificate of the registered subject, signed by one whom the service believes.
    TlsClientAuth,
    /// `self_signed_tls_client_auth`: a certificate that is itself registered.
    SelfSignedTlsClientAuth,
}

impl AuthMethod {
    /// Its name in the registry of OAuth Token Endpoint Authentication Methods.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }
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
    /// Its secrets; one is enough, several during a rotation; at most four.
    pub secrets: Vec<ClientSecret>,
    /// `token_endpoint_auth_method`.
    pub auth_method: AuthMethod,
    /// `jwks`: the public keys of its assertions.
    pub keys: JwkSet,
    /// `jwks_uri`: where it publishes them, where `jwks` does not say what they are.
    pub jwks_uri: Option<KeyPlace>,
    /// `tls_client_auth_subject_dn`, or one of its san twins.
    pub certificate_subject: Option<CertificateSubject>,
    /// `x5c` of its `jwks`: its certificates (DER).
    pub certificates: Vec<Vec<u8>>,
    /// `tls_client_certificate_bound_access_tokens`: whether its tokens are bound to the certificate of its connection.
    pub certificate_bound_access_tokens: bool,
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
    /// Which tokens of trusted issuers prove it.
    pub workloads: Vec<Workload>,
    /// `dpop_bound_access_tokens` (RFC 9449 section 5.2): whether it gets no token that is not bound to a key.
    pub dpop_bound_access_tokens: bool,
    /// How many tokens it may have made on one node; left out: as many as it likes.
    pub rate_limit: Option<RateLimit>,
    /// How many tokens it may have of all nodes together; one of a window at most.
    pub quotas: Vec<Quota>,
}

/// A registered client with what is prepared from its registration once.
#[derive(Debug)]
pub struct Client {
    registration: Registration,
    default_grant: Arc<Grant>,
    uses: SecretUses,
    remembered: RememberedSecrets,
    bucket: Bucket,
    grants_seen: GrantsSeen,
}

impl Client {
    /// Prepares a client from its registration.
    pub fn new(mut registration: Registration) -> Self {
        registration.audience.sort_unstable();
        registration.audience.dedup();
        if let IntrospectionRight::Audiences(audiences) = &mut registration.introspection {
            audiences.sort_unstable();
        }
        let default_audience = registration.default_audience.as_ref().unwrap_or(&registration.audience);
        let default_scope = registration.default_scope.as_ref().unwrap_or(&registration.scope);
        let default_grant = registration.grant(default_scope.clone(), default_audience.clone());
        Self {
            remembered: RememberedSecrets::of(&registration.secrets),
            registration,
            default_grant,
            uses: SecretUses::default(),
            bucket: Bucket::default(),
            grants_seen: GrantsSeen::default(),
        }
    }

    /// Disabled, and the digest of its secret is that of no secret that could be found.
    fn nobody() -> Self {
        let secrets = vec![SecretHash::Sha256([0; 32]).into()];
        Self::new(Registration { secrets, disabled: true, ..Registration::new(ClientId::nobodys()) })
    }

    /// What is registered of it.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Its id.
    pub fn id(&self) -> &ClientId {
        &self.registration.client_id
    }

    /// When each of its secrets was last used.
    pub fn secret_uses(&self) -> &SecretUses {
        &self.uses
    }

    /// What a token request of this (authenticated) client gives: RFC 6749 sections 3.3 and 4.4, RFC 8707 section 2.
    /// Rows A16, K06 to K10, R01 to R05. The common request, which asks for nothing in particular, gives the prepared grant.
    ///
    /// # Errors
    /// `unsupported_grant_type`, `unauthorized_client`, `invalid_scope`, `invalid_target`, in this order; [`ProtocolError::NotYet`]
    /// while the client's `not_before` lies ahead of `now`; [`ProtocolError::TooManyGrants`] for one more grant of its own than a day has.
    pub fn authorise(
        &self,
        request: &TokenRequest<'_>,
        now: impl Fn() -> Timestamp,
    ) -> Result<Arc<Grant>, ProtocolError> {
        if request.grant_type != "client_credentials" {
            return Err(ProtocolError::UnsupportedGrantType);
        }
        if !self.registration.client_credentials {
            return Err(NO_GRANT);
        }
        let scope = self.allowed_scope(request)?;
        let audience = self.allowed_audience(request)?;
        self.check_not_before(&now)?;
        if scope.is_none() && audience.is_none() {
            return Ok(Arc::clone(&self.default_grant));
        }
        let scope = scope.unwrap_or_else(|| self.default_grant.scope().clone());
        let audience = audience.unwrap_or_else(|| self.default_grant.audience().to_vec());
        let refused = |retry_after_seconds| ProtocolError::TooManyGrants { retry_after_seconds };
        let make = |scope, audience| self.registration.grant(scope, audience);
        self.grants_seen.get(scope, audience, now(), make).map_err(refused)
    }

    /// `None`: what the default grant has. "If the client omits the scope parameter when requesting authorization, the
    /// authorization server MUST either process the request using a pre-defined default value or fail" (RFC 6749 section 3.3).
    fn allowed_scope(&self, request: &TokenRequest<'_>) -> Result<Option<Scope>, ProtocolError> {
        let Some(scope) = request.scope else { return Ok(None) };
        let default = self.default_grant.scope();
        if scope == default.as_str() && default.is_within(&self.registration.scope) {
            return Ok(None);
        }
        let scope = Scope::parse(scope).map_err(|_| BAD_SCOPE)?;
        if !scope.is_within(&self.registration.scope) {
            return Err(FOREIGN_SCOPE);
        }
        Ok(Some(scope).filter(|scope| scope != default))
    }

    /// `None`: what the default grant has. "The authorization server may […] reject the request […] with the error code
    /// invalid_target" (RFC 8707 section 2).
    fn allowed_audience(&self, request: &TokenRequest<'_>) -> Result<Option<Vec<String>>, ProtocolError> {
        let (resources, audiences) = (&request.resources, &request.audiences);
        if resources.is_empty() && audiences.is_empty() {
            return Ok(None);
        }
        if resources.len() + audiences.len() > TARGETS_MAX {
            return Err(TOO_MANY_TARGETS);
        }
        if !resources.iter().all(|resource| is_absolute_uri(resource)) {
            return Err(NO_URI);
        }
        let mut targets: Vec<&str> = resources.iter().chain(audiences).copied().collect();
        targets.sort_unstable();
        targets.dedup();
        let registered = &self.registration.audience;
        let is_registered = |target: &&str| registered.binary_search_by(|known| known.as_str().cmp(target)).is_ok();
        if !targets.iter().all(is_registered) {
            return Err(FOREIGN_TARGET);
        }
        let default = self.default_grant.audience();
        Ok(Some(targets)
            .filter(|targets| targets != default)
            .map(|targets| targets.iter().map(ToString::to_string).collect()))
    }

    /// A token issued at `not_before` or earlier is inactive, so one issued now would be dead at birth.
    /// Few clients have a `not_before`, and only for them is the clock read.
    fn check_not_before(&self, now: impl Fn() -> Timestamp) -> Result<(), ProtocolError> {
        let Some(not_before) = self.registration.not_before else { return Ok(()) };
        let now = now();
        if now > not_before {
            return Ok(());
        }
        let millis = not_before.unix_millis() - now.unix_millis() + 1;
        let seconds = millis.div_ceil(1000).min(RETRY_AFTER_SECONDS_MAX);
        Err(ProtocolError::NotYet { retry_after_seconds: u32::try_from(seconds).unwrap_or(1) })
    }

    /// Takes a token's place of its limit, where it has one. For most clients the clock is not read.
    pub fn take_allowance(&self, now: impl FnOnce() -> Timestamp) -> Option<Standing> {
        self.registration.rate_limit.map(|limit| limit.take(&self.bucket, now()))
    }

    /// The lifetime of its tokens, where it is registered.
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.registration.access_token_ttl_seconds.map(Lifetime::from_seconds)
    }
}

impl Registration {
    /// A registration of which nothing but the id was said.
    pub fn new(client_id: ClientId) -> Self {
        Self {
            client_id,
            client_name: None,
            secrets: Vec::new(),
            auth_method: AuthMethod::default(),
            keys: JwkSet::default(),
            jwks_uri: None,
            certificate_subject: None,
            certificates: Vec::new(),
            certificate_bound_access_tokens: false,
            strict_auth_method: false,
            scope: Scope::default(),
            default_scope: None,
            audience: Vec::new(),
            default_audience: None,
            access_token_ttl_seconds: None,
            subject: None,
            claims: Map::new(),
            not_before: None,
            disabled: false,
            client_credentials: true,
            introspection: IntrospectionRight::default(),
            workloads: Vec::new(),
            dpop_bound_access_tokens: false,
            rate_limit: None,
            quotas: Vec::new(),
        }
    }

    fn grant(&self, scope: Scope, audience: Vec<String>) -> Arc<Grant> {
        let subject = self.subject.clone().unwrap_or_else(|| self.client_id.as_str().to_string());
        let (claims, client_id) = (self.claims.clone(), self.client_id.clone());
        Grant::new(GrantParts { audience, claims, client_id, scope, subject })
    }
}

/// `absolute-URI` of RFC 3986 section 4.3: a scheme, a colon and more, and no fragment.
fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let uri_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(scheme_byte)
        && !rest.is_empty()
        && rest.bytes().all(uri_byte)
}

#[cfg(test)]
mod tests;
