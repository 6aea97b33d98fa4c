//! The closed sets behind every metric label.

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// All values, in the order of [`Label::index`].
    const ALL: &'static [Self];

    /// The place of the value in [`Label::ALL`].
    fn index(self) -> usize;

    /// The value as it stands in a series.
    fn as_str(self) -> &'static str;
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $label:literal, { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $(#[doc = concat!("`", $text, "`.")] $variant),+ }

        impl Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

label! {
    /// Which endpoint answered.
    Endpoint, "endpoint", {
        Token = "token", Introspect = "introspect", Revoke = "revoke", Metadata = "metadata", Alive = "alive",
        Ready = "ready", Metrics = "metrics", AdminIntrospect = "admin_introspect", AdminClients = "admin_clients",
        Other = "other",
    }
}

label! {
    /// The status codes that this service sends.
    Code, "code", {
        Ok = "200", NotModified = "304", BadRequest = "400", Unauthorized = "401", Forbidden = "403", NotFound = "404",
        MethodNotAllowed = "405", RequestTimeout = "408", ContentTooLarge = "413", UriTooLong = "414",
        UnsupportedMediaType = "415", ExpectationFailed = "417", TooManyRequests = "429", HeadersTooLarge = "431",
        InternalServerError = "500", ServiceUnavailable = "503",
    }
}

label! {
    /// Which way the machine's clock stepped.
    ClockStep, "direction", { Forward = "forward", Backward = "backward" }
}

label! {
    /// The class of a status code.
    CodeClass, "code_class", { Success = "2xx", ClientError = "4xx", ServerError = "5xx" }
}

label! {
    /// What became of a token request.
    TokenOutcome, "outcome", {
        Issued = "issued", InvalidRequest = "invalid_request", InvalidClient = "invalid_client",
        UnauthorizedClient = "unauthorized_client", UnsupportedGrantType = "unsupported_grant_type",
        InvalidScope = "invalid_scope", InvalidTarget = "invalid_target", InvalidDpopProof = "invalid_dpop_proof",
        UseDpopNonce = "use_dpop_nonce", Overloaded = "overloaded", StoreUnavailable = "store_unavailable", StoreFull = "store_full", Deadline = "deadline",
        KeysUnavailable = "keys_unavailable", RateLimited = "rate_limited", QuotaExceeded = "quota_exceeded", NotBefore = "not_before",
        ServerError = "server_error",
    }
}

label! {
    /// What became of an introspection; the inactive ones by reason.
    IntrospectionOutcome, "outcome", {
        Active = "active", Malformed = "malformed", Forged = "forged", Expired = "expired", NotFound = "not_found",
        NotForCaller = "not_for_caller", ClientGone = "client_gone", ClientDisabled = "client_disabled",
        NotBefore = "not_before", Seal = "seal", InvalidRequest = "invalid_request", InvalidClient = "invalid_client",
        InvalidToken = "invalid_token", InsufficientScope = "insufficient_scope", AccessDenied = "access_denied",
        Overloaded = "overloaded", StoreUnavailable = "store_unavailable", Deadline = "deadline",
        KeysUnavailable = "keys_unavailable", RateLimited = "rate_limited", ServerError = "server_error",
    }
}

label! {
    /// What became of a revocation.
    RevocationOutcome, "outcome", {
        Revoked = "revoked", NotFound = "not_found", NotOwner = "not_owner", InvalidRequest = "invalid_request",
        InvalidClient = "invalid_client", Overloaded = "overloaded", StoreUnavailable = "store_unavailable",
        Deadline = "deadline", KeysUnavailable = "keys_unavailable", RateLimited = "rate_limited",
        ServerError = "server_error",
    }
}

label! {
    /// How a client presented its proof.
    AuthMethod, "auth_method", {
        Basic = "client_secret_basic", Post = "client_secret_post", PrivateKeyJwt = "private_key_jwt", WorkloadIdentity = "workload_identity",
        TlsClientAuth = "tls_client_auth", SelfSignedTlsClientAuth = "self_signed_tls_client_auth", Bearer = "bearer", None = "none",
    }
}

label! {
    /// What became of a client's authentication.
    AuthOutcome, "outcome", {
        Success = "success", UnknownClient = "unknown_client", WrongSecret = "wrong_secret",
        SecretExpired = "secret_expired", ClientDisabled = "client_disabled",
        MethodNotRegistered = "method_not_registered", Malformed = "malformed", Missing = "missing",
        WrongClaims = "wrong_claims", WrongAudience = "wrong_audience", AssertionExpired = "assertion_expired",
        WrongTimes = "wrong_times", UnknownKey = "unknown_key", WrongSignature = "wrong_signature", Replayed = "replayed",
        UntrustedCertificate = "untrusted_certificate", WrongSubject = "wrong_subject",
        RateLimited = "rate_limited", Unavailable = "unavailable",
    }
}

label! {
    /// What became of a token request, as far as it is told of single clients.
    ClientToken, "outcome", {
        Issued = "issued", Unproven = "unproven", Rejected = "rejected", RateLimited = "rate_limited", Unavailable = "unavailable",
    }
}

label! {
    /// What became of an introspection, as far as it is told of who asked.
    ClientIntrospection, "outcome", {
        Active = "active", Inactive = "inactive", Unproven = "unproven", Rejected = "rejected", RateLimited = "rate_limited",
        Unavailable = "unavailable",
    }
}

label! {
    /// What a store was asked to do.
    StoreOperation, "operation", { Save = "save", Find = "find", Delete = "delete", Claim = "claim", Count = "count" }
}

label! {
    /// Why a store could not.
    StoreErrorKind, "kind", {
        Unavailable = "unavailable", Timeout = "timeout", Broken = "broken", Oom = "oom", NotServing = "not_serving",
        WritesStopped = "writes_stopped", NotReplicated = "not_replicated", Denied = "denied", Refused = "refused", Record = "record",
        ReplayFloor = "replay_floor", Internal = "internal",
    }
}

label! {
    /// Why a record was not believed.
    RecordRefusal, "reason", {
        Seal = "seal", Version = "version", GrantMissing = "grant_missing", GrantSeal = "grant_seal",
    }
}

label! {
    /// Why an entry of the journal of revocations was not believed.
    JournalDrop, "reason", {
        Garbled = "garbled", KeyGone = "key_gone", Forged = "forged", Dead = "dead", Ahead = "ahead", Full = "full",
    }
}

label! {
    /// Why a revocation was not journaled.
    NotJournaled, "reason", { Full = "full", Client = "client" }
}

label! {
    /// What a connection to the store is doing.
    StoreConnectionState, "state", { Up = "up", Down = "down" }
}

label! {
    /// The actors.
    ActorName, "actor", {
        Authenticator = "authenticator", Minter = "minter", Inspector = "inspector", Revoker = "revoker", Notary = "notary",
        Limiter = "limiter", Verifier = "verifier",
    }
}

label! {
    /// The listeners.
    Listener, "listener", { Public = "public", Mtls = "mtls", Admin = "admin" }
}

label! {
    /// What became of a TLS handshake.
    HandshakeOutcome, "outcome", {
        Full = "full", Resumed = "resumed", Failed = "failed", TimedOut = "timed_out", PlainHttp = "plain_http",
    }
}

label! {
    /// Why a connection was refused.
    ConnectionRefusal, "reason", { Total = "total", Source = "source", OpenFiles = "open_files" }
}

label! {
    /// What was limited.
    LimitName, "limit", { WrongProofs = "wrong_proofs", IssueRate = "issue_rate", Quota = "quota", Grants = "grants", LiveTokens = "live_tokens" }
}

label! {
    /// What a limit does beyond it.
    LimitMode, "mode", { Enforce = "enforce", Report = "report" }
}

label! {
    /// What can be reloaded.
    ReloadSubject, "subject", {
        Clients = "clients", Keys = "keys", Certificates = "certificates", Secrets = "secrets", Log = "log",
        Jwks = "jwks",
    }
}

label! {
    /// What became of a fetch of keys from where somebody publishes them.
    FetchOutcome, "outcome", {
        Success = "success", Unresolved = "unresolved", AddressRefused = "address_refused", Unreachable = "unreachable",
        Tls = "tls", Timeout = "timeout", Broken = "broken", Status = "status", TooLarge = "too_large", Malformed = "malformed",
    }
}

label! {
    /// What a service key does.
    KeyState, "state", { Waiting = "waiting", Active = "active", Verifying = "verifying" }
}

impl Code {
    /// The label of a status code; one that this service does not send counts as 500.
    pub fn of(status: u16) -> Self {
        let found = Self::ALL.iter().find(|code| code.as_str().parse() == Ok(status));
        found.copied().unwrap_or(Self::InternalServerError)
    }

    /// Its class; a 304 counts as success.
    pub fn class(self) -> CodeClass {
        match self.as_str().as_bytes()[0] {
            b'2' | b'3' => CodeClass::Success,
            b'4' => CodeClass::ClientError,
            _ => CodeClass::ServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_a_place_in_all() {
        for (place, endpoint) in Endpoint::ALL.iter().enumerate() {
            assert_eq!(endpoint.index(), place);
        }
        assert_eq!((Code::of(503), Code::of(299)), (Code::ServiceUnavailable, Code::InternalServerError));
        assert_eq!(Code::NotModified.class(), CodeClass::Success);
    }
}
