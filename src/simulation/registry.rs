//! Who is registered in a simulation, and the service's keys.

use crate::oauth::client::{Client, ClientId, Clients, IntrospectionRight, Registration};
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::scope::Scope;
use crate::oauth::secret::{Secret, SecretHash};
use crate::oauth::time::Timestamp;

/// Those who get tokens, and how many seconds these live.
pub(super) const CLIENTS: [(&str, u32); 3] = [("billing", 3), ("orders", 12), ("shipping", TTL_SECONDS_MAX)];
pub(super) const TTL_SECONDS_MAX: u32 = 60;
/// What they may ask for.
pub(super) const SCOPES: [&str; 3] = ["read", "write", "read write"];
/// May introspect all tokens.
pub(super) const AUDITOR: &str = "auditor";

pub(super) fn keys() -> ServiceKeys {
    ServiceKeys::new(vec![ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32])]).unwrap()
}

pub(super) fn clients() -> Clients {
    let registration = |id: &str| Registration {
        secrets: vec![SecretHash::of(&Secret::new(secret(id).as_bytes())).into()],
        scope: Scope::parse("read write").unwrap(),
        audience: vec![format!("https://{id}.example")],
        ..Registration::new(ClientId::new(id))
    };
    let auditor = Registration { introspection: IntrospectionRight::All, ..registration(AUDITOR) };
    let others =
        CLIENTS.map(|(id, seconds)| Registration { access_token_ttl_seconds: Some(seconds), ..registration(id) });
    Clients::new(others.into_iter().chain([auditor]).map(Client::new))
}

/// The `Authorization` of a client.
pub(super) fn authorization(id: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{id}:{}", secret(id)).as_bytes()))
}

fn secret(id: &str) -> String {
    format!("{id}-secret-of-the-simulation")
}
