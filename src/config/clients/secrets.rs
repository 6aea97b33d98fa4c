//! The secrets of one client, from the members that may hold them: `client_secrets`, and its short forms.

use std::path::PathBuf;

use super::members::{Members, Placed};
use crate::clock::Clock;
use crate::config::mistake::{Mistake, Origin, Warning};
use crate::config::secret_file;
use crate::oauth::client::AuthMethod;
use crate::oauth::client_secret::ClientSecret;
use crate::oauth::generated_secret;
use crate::oauth::secret::{SECRETS_MAX, Secret, SecretHash, check_strength};
use crate::oauth::time::Timestamp;

/// The members that hold secrets.
const HOLDERS: [&str; 4] = ["client_secrets", "client_secret_hash", "client_secret_file", "client_secret"];
/// What one of `client_secrets` says.
const PARTS: [&str; 4] = ["id", "hash", "file", "expires_at"];
const ID_CHARS_MAX: usize = 64;

/// What was read of them.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) all: Vec<ClientSecret>,
    pub(super) warnings: Vec<Warning>,
    pub(super) files: Vec<PathBuf>,
}

impl Secrets {
    pub(super) fn read(&mut self, members: &Members<'_>) {
        let client = members.peek("client_id").map(|id| format!(" `{id}`")).unwrap_or_default();
        if !has_any(members) {
            let what = format!("client{client} has no secret to prove who it is");
            let mistake = Mistake::new(members.origin.clone(), what);
            members.push(mistake.hint("give it `client_secret_hash`; `jeton client hash --generate` makes one"));
        }
        for one in members.tables("client_secrets", &PARTS) {
            self.read_one(members, &one, &client);
            members.take_mistakes_of(one);
        }
        for (at, hash) in members.text_or_texts("client_secret_hash").unwrap_or_default().into_iter().enumerate() {
            let origin = hash.1.clone();
            if let Some(hash) = parse("client_secret_hash", hash, members) {
                self.warn_if_cheap(&hash, &client, &origin);
                let id =
                    if at == 0 { "client_secret_hash".to_owned() } else { format!("client_secret_hash.{}", at + 1) };
                self.add(members, ClientSecret::new(&id, hash), origin);
            }
        }
        if let Some(secret) = self.read_file("client_secret_file", members, &client) {
            let origin = members.place_of("client_secret_file").unwrap_or_else(|| members.origin.clone());
            self.add(members, ClientSecret::new("client_secret_file", SecretHash::of(&secret)), origin);
        }
        if let Some((secret, origin)) = members.text("client_secret") {
            if secret.is_empty() {
                return members.mistake(origin, "`client_secret` is empty");
            }
            let what = format!(
                "the secret of client{client} stands here readable; `jeton client hash` makes a hash to write in its place"
            );
            self.warnings.push(Warning::new(origin.clone(), what));
            let secret = Secret::new(secret.as_bytes());
            self.warn_if_weak(&secret, &client, &origin);
            self.add(members, ClientSecret::new("client_secret", SecretHash::of(&secret)), origin);
        }
    }

    /// One table of `client_secrets`: its id, and a hash or a file.
    fn read_one(&mut self, members: &Members<'_>, one: &Members<'_>, client: &str) {
        let origin = one.origin.clone();
        let id = secret_id(one);
        let expires_at = one.moment("expires_at");
        if one.has("hash") && one.has("file") {
            return one.mistake(origin, "a secret has a `hash` or a `file`, not both");
        }
        let hash = if one.has("file") {
            self.read_file("file", one, client).map(|secret| SecretHash::of(&secret))
        } else if let Some(hash) = one.text("hash") {
            parse("hash", hash, one)
        } else {
            if !one.has("hash") {
                let mistake = Mistake::new(origin.clone(), "a secret without `hash` or `file`");
                one.push(mistake.hint("`jeton client hash --generate` makes a secret and its hash"));
            }
            None
        };
        if let (Some(id), Some(end)) = (&id, expires_at)
            && end <= Timestamp::from_unix_millis(Clock::System.unix_millis())
        {
            self.warnings.push(Warning::new(origin.clone(), format!("secret `{id}` of client{client} has expired")));
        }
        if let (Some(id), Some(hash)) = (id, hash) {
            self.warn_if_cheap(&hash, client, &origin);
            self.add(members, ClientSecret { id, hash, expires_at }, origin);
        }
    }

    /// The secret in the file that a member names.
    fn read_file(&mut self, name: &str, members: &Members<'_>, client: &str) -> Option<Secret> {
        let (path, origin) = members.path(name)?;
        let read = secret_file::read(&path);
        self.files.push(path);
        match read {
            Ok(secret) if generated_secret::is_mistyped(secret.expose()) => {
                members.mistake(
                    origin,
                    format!("`{name}`: a generated secret that was cut or mistyped: its checksum is wrong"),
                );
                None
            }
            Ok(secret) => {
                self.warn_if_weak(&secret, client, &origin);
                Some(secret)
            }
            Err(what) => {
                members.mistake(origin, format!("`{name}`: {what}"));
                None
            }
        }
    }

    fn warn_if_weak(&mut self, secret: &Secret, client: &str, origin: &Origin) {
        if check_strength(secret).is_err() {
            let what = format!(
                "the secret of client{client} could be guessed, and a fast hash does not protect it; `jeton client hash --generate` makes a better one"
            );
            self.warnings.push(Warning::new(origin.clone(), what));
        }
    }

    fn warn_if_cheap(&mut self, hash: &SecretHash, client: &str, origin: &Origin) {
        if matches!(hash, SecretHash::Imported(imported) if imported.is_cheap()) {
            let what = format!(
                "the hash of client{client} is cheap to compute, and hardly protects a secret that could be guessed; `jeton client hash --generate` makes one that could not"
            );
            self.warnings.push(Warning::new(origin.clone(), what));
        }
    }

    fn add(&mut self, members: &Members<'_>, secret: ClientSecret, origin: Origin) {
        if self.all.iter().any(|other| other.id == secret.id) {
            members.mistake(origin, format!("a second secret with the id `{}`", secret.id));
        } else if self.all.len() == SECRETS_MAX {
            members.mistake(origin, format!("a client has at most {SECRETS_MAX} secrets"));
        } else {
            self.all.push(secret);
        }
    }
}

/// Whether a member is there that may hold one.
pub(super) fn has_any(members: &Members<'_>) -> bool {
    HOLDERS.iter().any(|name| members.has_or_nearly(name))
}

/// A client that proves who it is by something else has no secret.
pub(super) fn refuse(members: &Members<'_>, auth_method: AuthMethod) {
    for name in HOLDERS {
        if let Some(origin) = members.place_of(name) {
            let what = format!("a client with the method `{}` has no `{name}`", auth_method.as_str());
            members.push(Mistake::new(origin, what).hint("take it out: it would never be accepted"));
        }
    }
}

/// The hash that a member holds.
fn parse(name: &str, (text, origin): Placed, members: &Members<'_>) -> Option<SecretHash> {
    match SecretHash::parse(&text) {
        Ok(hash) => Some(hash),
        Err(error) => {
            let mistake = Mistake::new(origin, format!("`{name}` is {error}"));
            members.push(mistake.hint("`jeton client hash` makes one of a secret"));
            None
        }
    }
}

fn secret_id(one: &Members<'_>) -> Option<String> {
    if !one.has("id") {
        let mistake = Mistake::new(one.origin.clone(), "a secret without `id`");
        one.push(mistake.hint("give it a name by which lists show it, as in id = \"2026q4\""));
        return None;
    }
    let (id, origin) = one.text("id")?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=ID_CHARS_MAX).contains(&id.len()) || !id.bytes().all(is_fit) {
        let what =
            format!("`id` of a secret must be 1 to {ID_CHARS_MAX} letters, digits, hyphens, dots and underscores");
        one.mistake(origin, what);
        return None;
    }
    Some(id)
}
