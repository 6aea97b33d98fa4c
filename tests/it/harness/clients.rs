//! The clients that every test server knows, and how further ones are written.

use data_encoding::BASE64URL_NOPAD;
use ring::digest;

use super::signer::{KEYS, SIGNER};

/// The API that most tokens are for; [`orders-api`](fixture) may introspect them.
pub(crate) const API: &str = "https://api.example.com";

/// The secret of a client that was written by [`client`]: 43 characters that look random and are always the same.
pub(crate) fn secret_of(id: &str) -> String {
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, format!("secret of {id}").as_bytes()).as_ref())
}

/// `client_secret_hash` of a secret.
pub(crate) fn hash_of(secret: &str) -> String {
    format!("$sha256${}", BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()))
}

/// One `[[client]]` with the hash of [`secret_of`] its id, and these further lines.
pub(crate) fn client(id: &str, lines: &str) -> String {
    client_with_secret(id, &secret_of(id), lines)
}

/// One `[[client]]` with the hash of this secret, and these further lines.
pub(crate) fn client_with_secret(id: &str, secret: &str, lines: &str) -> String {
    let id = toml::Value::from(id);
    format!("[[client]]\nclient_id = {id}\nclient_secret_hash = [\"{}\"]\n{lines}\n", hash_of(secret))
}

/// The clients file of a test server.
pub(crate) fn fixture() -> String {
    [
        client("billing", BILLING),
        client("reporting", "scope = \"invoices:read reports:write\"\naudience = [\"https://api.example.com\", \"reports\"]"),
        client("bare", "audience = [\"https://api.example.com\"]"),
        client("short", "scope = \"invoices:read\"\naudience = [\"https://api.example.com\"]\naccess_token_ttl_seconds = 1"),
        client("named", NAMED),
        client("disabled", "scope = \"invoices:read\"\ndisabled = true"),
        client("plus", "scope = \"a+b\""),
        client("many", &format!("audience = {:?}", (0..17).map(|i| format!("https://r{i}.example.com")).collect::<Vec<_>>())),
        client("nogrants", "grant_types = []"),
        client("strict-basic", "token_endpoint_auth_method = \"client_secret_basic\"\nstrict_auth_method = true"),
        client("strict-post", "token_endpoint_auth_method = \"client_secret_post\"\nstrict_auth_method = true"),
        client("loose-post", "token_endpoint_auth_method = \"client_secret_post\""),
        format!(
            "[[client]]\nclient_id = \"rotating\"\nclient_secret_hash = [\"{}\", \"{}\"]\n",
            hash_of(&secret_of("rotating")),
            hash_of(&secret_of("rotating, once more"))
        ),
        ending(),
        client_with_secret(ODD_ID, ODD_SECRET, ""),
        client_with_secret("raw", RAW_SECRET, ""),
        client("orders-api", "introspection = [\"https://api.example.com\"]\ngrant_types = []"),
        client("elsewhere-api", "introspection = [\"https://elsewhere.example.com\"]\ngrant_types = []"),
        client("auditor", "introspection = [\"*\"]\ngrant_types = []"),
        signer(),
        client("bound", "scope = \"invoices:read\"\naudience = [\"https://api.example.com\"]\ndpop_bound_access_tokens = true"),
        client("gateway", "introspection = [\"*\"]\naudience = [\"https://as.example\", \"https://api.example.com\"]\nscope = \"introspect\""),
    ]
    .join("\n")
}

/// A client with a secret that has ended and one that ends in many years.
fn ending() -> String {
    let secret = |id: &str, secret: &str, end: &str| {
        format!("{{ id = \"{id}\", hash = \"{}\", expires_at = \"{end}\" }}", hash_of(&secret_of(secret)))
    };
    let old = secret("2020", "ending, before", "2020-01-01T00:00:00Z");
    let new = secret("2099", "ending", "2099-01-01T00:00:00+01:00");
    format!("[[client]]\nclient_id = \"ending\"\nclient_secrets = [{old}, {new}]\n")
}

/// The client that signs, by any of its keys.
fn signer() -> String {
    let jwks = toml::Value::try_from(KEYS.jwks()).unwrap();
    format!(
        "[[client]]\nclient_id = \"{SIGNER}\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks = {jwks}\n\
         scope = \"invoices:read\"\naudience = [\"{API}\"]\n"
    )
}

/// An id and a secret that differ from their form-encoded selves (row A02).
pub(crate) const ODD_ID: &str = "odd id+50%";
pub(crate) const ODD_SECRET: &str = "p:q%r+s t-é-0123456789abcdefghijklmnop";
/// A secret that is another one when it is read form-decoded (row A03).
pub(crate) const RAW_SECRET: &str = "raw+secret%41with-0123456789-abcdefghijklmnop";

const BILLING: &str = r#"
client_name = "Billing worker"
scope = "invoices:read invoices:write"
default_scope = "invoices:read"
audience = ["https://api.example.com", "https://other.example.com/v1", "orders"]
default_audience = ["https://api.example.com"]
access_token_ttl_seconds = 600
"#;

const NAMED: &str = r#"
scope = "invoices:read"
audience = ["https://api.example.com"]
subject = "svc:named"
claims = { tenant = "acme", level = 7, tags = ["a", "b"] }
"#;
