//! The clients of `--dev`. Their secrets are known to everybody.

use crate::oauth::client::{ClientId, IntrospectionRight, Registration};
use crate::oauth::scope::Scope;
use crate::oauth::secret::{Secret, SecretHash};

/// The client's id.
pub const CLIENT_ID: &str = "demo";
/// The client's secret.
pub const CLIENT_SECRET: &str = "demo-secret";
/// The resource server's id, and the audience of the client's tokens.
pub const RESOURCE_SERVER_ID: &str = "demo-api";
/// The resource server's secret.
pub const RESOURCE_SERVER_SECRET: &str = "demo-api-secret";
/// What the client may ask for.
pub const SCOPE: &str = "read write";

/// A client that gets tokens, and a resource server that may introspect them.
pub fn registrations() -> Vec<Registration> {
    let client = Registration {
        client_name: Some("Demo client".into()),
        scope: Scope::parse(SCOPE).unwrap_or_default(),
        audience: vec![RESOURCE_SERVER_ID.into()],
        ..plain(CLIENT_ID, CLIENT_SECRET)
    };
    let resource_server = Registration {
        client_name: Some("Demo resource server".into()),
        introspection: IntrospectionRight::Audiences(vec![RESOURCE_SERVER_ID.into()]),
        ..plain(RESOURCE_SERVER_ID, RESOURCE_SERVER_SECRET)
    };
    vec![client, resource_server]
}

fn plain(id: &str, secret: &str) -> Registration {
    Registration {
        secrets: vec![SecretHash::of(&Secret::new(secret.as_bytes())).into()],
        ..Registration::new(ClientId::new(id))
    }
}
