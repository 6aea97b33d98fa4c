//! Doors for fuzzers: whatever a stranger, a file or a store can send goes in as bytes, and each door holds what must be true of it.
//!
//! A fuzzer calls them from `fuzz/`; a test calls them with the kept corpus and with small changes of it. Nothing here is in a release.
//!
//! # To add a door
//! A function here, a line in [`TARGETS`], a file in `fuzz/fuzz_targets`, and a folder of inputs in `fuzz/corpus`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a door says by a panic what does not hold")]

mod request;
#[cfg(test)]
mod tests;

use std::path::Path;

use toml::de::DeTable;

pub use self::request::request;
pub use crate::store::redis::fuzzing::{grant, record, replies};

use crate::config::mistake::{Mistake, Origin};
use crate::config::{clients as clients_file, file};
use crate::oauth::credentials::{Endpoint, PresentedCredentials};
use crate::oauth::dpop::Proof;
use crate::oauth::dpop::target::{Target, normal_form};
use crate::oauth::form::Form;
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::time::Timestamp;
use crate::oauth::token::{Page, Token};

/// Takes any bytes, and panics where something does not hold of them.
pub type Door = fn(&[u8]);

/// The proof of RFC 9449 section 5.
const SIGNED_PROOF: &[u8] = include_bytes!("../fuzz/corpus/proof/of_the_rfc");

/// Every door and its name.
pub const TARGETS: &[(&str, Door)] = &[
    ("form", form),
    ("basic", basic),
    ("token", token),
    ("proof", proof),
    ("record", record),
    ("grant", grant),
    ("replies", replies),
    ("clients", clients),
    ("configuration", configuration),
    ("request", request),
];

/// A form that is taken says what the usual decoder says, and nothing twice.
pub fn form(body: &[u8]) {
    let Ok(form) = Form::parse(body) else { return };
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let once = [
        ("grant_type", &form.grant_type),
        ("scope", &form.scope),
        ("client_id", &form.client_id),
        ("client_secret", &form.client_secret),
        ("token", &form.token),
        ("access_token", &form.access_token),
    ];
    for (name, value) in once {
        let mut given = pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        assert_eq!(value.as_deref(), given.next().filter(|value| !value.is_empty()), "{name}");
        assert_eq!(given.next(), None, "{name} stood twice");
    }
    let all = |name: &str| pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.clone()).collect();
    let resources: Vec<String> = all("resource");
    assert_eq!(form.resource, resources);
}

/// The first line is an Authorization header, the rest a form. What is presented by Basic is what the header says, decoded once or not.
pub fn basic(bytes: &[u8]) {
    let (header, body) = bytes.iter().position(|&byte| byte == b'\n').map_or((bytes, &[][..]), |at| {
        let (header, body) = bytes.split_at(at);
        (header, &body[1..])
    });
    let Ok(form) = Form::parse(body) else { return };
    for endpoint in [Endpoint::Token, Endpoint::Introspection] {
        let Ok(presented) = PresentedCredentials::parse(endpoint, std::iter::once(header), &form) else { continue };
        if let PresentedCredentials::Secret { first, second, .. } = presented {
            for reading in std::iter::once(&first).chain(&second) {
                // Undoing escapes never makes a text longer, and base64 holds three bytes in four characters.
                assert!(reading.client_id().len() + reading.secret().len() <= header.len().max(body.len()));
                let named = form.client_id.as_deref();
                assert!(named.is_none_or(|id| id == reading.client_id()), "another client than the form's");
            }
        }
    }
}

/// No bytes but those of a token that was made are one: the first two say where a real one is changed and how, the rest is taken as it is.
pub fn token(bytes: &[u8]) {
    let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
    let page = Page { dead_second: 2_000_000_000, number: 7 };
    let (made, address) = Token::make("jt", &key, page, &[9; 20]);
    let keys = ServiceKeys::new(vec![key]).unwrap();
    let now = Timestamp::from_unix_seconds(1_900_000_000);
    let check = |text: &str| Token::check(text, "jt", &keys, now);
    assert_eq!(check(made.expose()), Ok(address));
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(text == made.expose() || check(text).is_err(), "a token that nobody made: {text}");
    }
    if let [at, by, ..] = *bytes {
        let mut changed = made.expose().as_bytes().to_vec();
        let at = usize::from(at) % changed.len();
        changed[at] ^= by;
        let Ok(changed) = String::from_utf8(changed) else { return };
        assert!(by == 0 || check(&changed).is_err(), "a changed token was taken");
    }
}

/// No bytes but those of a proof that was signed are one: the first two say where a real one is changed and how, the rest is taken as it is.
pub fn proof(bytes: &[u8]) {
    let target = Target::post("https://server.example.com/token");
    let at = Timestamp::from_unix_seconds(1_562_262_616);
    let prove = |text: &[u8]| Proof::of_fields(std::iter::once(text)).map(|proof| proof.unwrap().verify(&target, at));
    let proven = prove(SIGNED_PROOF).unwrap();
    assert!(proven.is_ok());
    if let Ok(Ok(other)) = prove(bytes) {
        // Whoever has a key may sign; no fuzzer has found one yet.
        assert!(bytes == SIGNED_PROOF || Ok(other) != proven, "a proof that nobody signed");
    }
    if let [at, by, ..] = *bytes {
        let mut changed = SIGNED_PROOF.to_vec();
        let at = usize::from(at) * 3 % changed.len();
        changed[at] ^= by;
        assert!(by == 0 || !matches!(prove(&changed), Ok(Ok(_))), "a changed proof was taken");
    }
    if let Some(once) = std::str::from_utf8(bytes).ok().and_then(normal_form) {
        assert_eq!(normal_form(&once).as_ref(), Some(&once), "a normal form is its own");
    }
}

/// A clients file is read or told about: no client twice, and no mistake outside of the file.
pub fn clients(bytes: &[u8]) {
    // The files that it names are read: none of a device that never ends.
    if bytes.windows(5).any(|part| part == b"/dev/") {
        return;
    }
    let read = clients_file::read_bytes(Path::new("clients.toml"), bytes.to_vec(), 86_400);
    within(bytes, &read.mistakes);
    let mut ids: Vec<&str> = read.clients.iter().map(|client| client.registration.client_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(!read.mistakes.is_empty() || ids.len() == read.clients.len(), "a client twice");
}

/// A configuration file is read or told about: what is no TOML always, and no mistake outside of the file.
pub fn configuration(bytes: &[u8]) {
    let mistakes = file::read_bytes(Path::new("jeton.toml"), bytes.to_vec());
    within(bytes, &mistakes);
    let is_toml = std::str::from_utf8(bytes).is_ok_and(|text| DeTable::parse(text).is_ok());
    assert!(is_toml || !mistakes.is_empty(), "no TOML, and no mistake");
}

fn within(text: &[u8], mistakes: &[Mistake]) {
    let lines = text.iter().filter(|&&byte| byte == b'\n').count() + 1;
    for mistake in mistakes {
        if let Origin::Place { line, .. } = &mistake.origin {
            assert!((1..=lines).contains(&usize::try_from(*line).unwrap()), "{mistake}");
        }
    }
}
