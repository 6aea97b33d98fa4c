//! The public keys of a client: what verifies the assertions that it signs.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::key_places;
use super::members::Members;
use super::own_certificates;
use crate::config::mistake::{Mistake, Origin, Warning};
use crate::oauth::client::AuthMethod;
use crate::oauth::jws::json;
use crate::oauth::jws::jwk::JwkError;
use crate::oauth::jws::jwk_set::JwkSet;
use crate::oauth::key_place::KeyPlace;

/// More than any set of keys needs.
const FILE_BYTES_MAX: usize = 65_536;

/// The members that say which keys, or where they are.
const SOURCES: [&str; 3] = ["jwks", "jwks_file", "jwks_uri"];

/// What was read.
#[derive(Default)]
pub(super) struct ClientKeys {
    pub(super) keys: JwkSet,
    /// Where they are published, if they are not here.
    pub(super) place: Option<(KeyPlace, Origin)>,
    /// `x5c` of each key, its first element: DER.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

/// Reads `jwks`, `jwks_file` or `jwks_uri`. A client that signs must have one, and no secret.
pub(super) fn read(members: &Members<'_>, auth_method: AuthMethod) -> ClientKeys {
    let place = key_places::read(members, auth_method);
    let mut read = ClientKeys { place, ..ClientKeys::default() };
    if let (Some((_, origin)), false) = (&read.place, is_fit_for_keys(auth_method)) {
        read.warnings.push(unused("jwks_uri", origin.clone()));
    }
    let given = members.object("jwks").map(|(set, origin)| (set, "jwks", origin));
    let in_file = members.path("jwks_file").and_then(|(path, origin)| {
        read.files.push(path.clone());
        match read_file(&path) {
            Ok(set) => Some((set, "jwks_file", origin)),
            Err(what) => {
                members.mistake(origin, format!("`jwks_file`: {what}"));
                None
            }
        }
    });
    if let (Some(_), Some((_, _, origin))) = (&given, &in_file) {
        members.mistake(origin.clone(), "a client has `jwks` or `jwks_file`, not both");
    }
    if let Some((set, name, origin)) = given.or(in_file) {
        read.take(members, &set, name, origin, auth_method);
    } else if !SOURCES.iter().any(|name| members.has(name)) {
        let missing = match auth_method {
            AuthMethod::PrivateKeyJwt => {
                Some(("keys", "give it `jwks`, the public keys that verify what it signs, or `jwks_uri`"))
            }
            AuthMethod::SelfSignedTlsClientAuth => Some(("certificates", "give it `jwks`, each key with its `x5c`")),
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost | AuthMethod::TlsClientAuth => None,
        };
        if let Some((what, hint)) = missing {
            let what = format!("a client with the method `{}` has no {what}", auth_method.as_str());
            members.push(Mistake::new(members.origin.clone(), what).hint(hint));
        }
    }
    read
}

/// Reads `jwks`, `jwks_file` or `jwks_uri` of a trusted issuer, which must have one.
pub(super) fn of_issuer(members: &Members<'_>) -> ClientKeys {
    if !members.has("jwks_uri") {
        key_places::refuse_files(members);
    }
    if !SOURCES.iter().any(|name| members.has(name)) {
        let mistake = Mistake::new(members.origin.clone(), "a trusted issuer without keys");
        members.push(mistake.hint("give it `jwks_file`, a file with its JWK set, `jwks_uri` or `jwks`"));
        return ClientKeys::default();
    }
    let mut read = read(members, AuthMethod::PrivateKeyJwt);
    let files = &mut read.files;
    read.place = read.place.map(|(place, origin)| (key_places::with_files(members, place, files), origin));
    read
}

fn is_fit_for_keys(auth_method: AuthMethod) -> bool {
    matches!(auth_method, AuthMethod::PrivateKeyJwt | AuthMethod::SelfSignedTlsClientAuth)
}

fn unused(name: &str, origin: Origin) -> Warning {
    let what = format!("`{name}` is used for nothing: its client's token_endpoint_auth_method is not private_key_jwt");
    Warning::new(origin, what)
}

impl ClientKeys {
    fn take(
        &mut self,
        members: &Members<'_>,
        set: &Map<String, Value>,
        name: &str,
        origin: Origin,
        auth_method: AuthMethod,
    ) {
        if auth_method == AuthMethod::SelfSignedTlsClientAuth {
            return self.certificates = own_certificates::read(members, set, name, &origin);
        }
        let (keys, left_out) = match JwkSet::read(set) {
            Ok(read) => read,
            Err(error) => return members.mistake(origin, format!("`{name}`: {error}")),
        };
        for why in &left_out {
            match why {
                // Of what is meant for something else, or is newer than we are, the rest may still be good.
                JwkError::OtherUse | JwkError::Unsupported => {}
                JwkError::Private | JwkError::Malformed | JwkError::RsaSize => {
                    members.mistake(origin.clone(), format!("`{name}`: a key is not usable: {why}"));
                }
            }
        }
        if keys.is_empty() && members.has(name) {
            let what =
                format!("`{name}` has no key that verifies signatures by {}", "RS256, PS256, ES256, ES384 or EdDSA");
            members.mistake(origin.clone(), what);
        }
        if auth_method != AuthMethod::PrivateKeyJwt {
            self.warnings.push(unused(name, origin));
        }
        self.keys = keys;
    }
}

fn read_file(path: &Path) -> Result<Map<String, Value>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("{} is longer than {FILE_BYTES_MAX} bytes, hardly a set of keys", path.display()));
    }
    json::object(&bytes)
        .ok_or_else(|| format!("{} holds no JSON object, or one that names a member twice", path.display()))
}
