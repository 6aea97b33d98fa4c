//! `jwks_uri`: where the keys of a client or a trusted issuer are published (row W14).

use super::members::Members;
use crate::config::mistake::{Mistake, Origin};
use crate::oauth::client::AuthMethod;
use crate::oauth::key_place::KeyPlace;
use crate::oauth::reachable::Reachable;

/// Members of an issuer that say how the server of its `jwks_uri` is known, and how it knows us.
const CA_FILE: &str = "jwks_ca_file";
const TOKEN_FILE: &str = "jwks_token_file";

/// Reads `jwks_uri` of a client or an issuer.
pub(super) fn read(members: &Members<'_>, auth_method: AuthMethod) -> Option<(KeyPlace, Origin)> {
    let (text, origin) = members.text("jwks_uri")?;
    // "The "jwks_uri" and "jwks" parameters MUST NOT both be present in the same request or response" (RFC 7591 section 2; row G05).
    if let Some(other) = ["jwks", "jwks_file"].into_iter().find(|name| members.has(name)) {
        members.mistake(origin.clone(), format!("`jwks_uri` stands beside `{other}`: keys come from one of them"));
    }
    if auth_method == AuthMethod::SelfSignedTlsClientAuth {
        let mistake = Mistake::new(origin.clone(), "certificates are not fetched from a `jwks_uri`");
        members.push(mistake.hint("give it `jwks` or `jwks_file`, each key with its `x5c`"));
    }
    match KeyPlace::parse(&text) {
        Ok(place) => Some((place, origin)),
        Err(why) => {
            let mistake = Mistake::new(origin, format!("`jwks_uri` is {why}"));
            members.push(mistake.hint("write as in \"https://ci.example.com/jwks.json\""));
            None
        }
    }
}

/// The same with what an issuer alone says of it. A place that names files is read anew with them.
pub(super) fn with_files(members: &Members<'_>, place: KeyPlace, files: &mut Vec<std::path::PathBuf>) -> KeyPlace {
    let mut place = place;
    if let Some((path, origin)) = members.path(CA_FILE) {
        files.push(path.clone());
        match std::fs::read(&path) {
            Ok(pem) => match crate::http::jwks_client::Roots::these_alone(&pem) {
                Ok(_) => place = place.vouched_for_by(&pem),
                Err(error) => members.mistake(origin, format!("`{CA_FILE}`: {}: {error}", path.display())),
            },
            Err(error) => members.mistake(origin, format!("`{CA_FILE}`: {} cannot be read: {error}", path.display())),
        }
    }
    if let Some((path, _)) = members.path(TOKEN_FILE) {
        place = place.opened_by(path);
    }
    place
}

/// Files that stand for nothing without a `jwks_uri`.
pub(super) fn refuse_files(members: &Members<'_>) {
    for name in [CA_FILE, TOKEN_FILE] {
        if let Some(origin) = members.place_of(name) {
            members.mistake(origin, format!("`{name}` is for fetching from a `jwks_uri`, and there is none"));
        }
    }
}

/// Places that are addresses which may not be reached: nothing would ever be fetched there.
pub(super) fn unreachable(places: &[(KeyPlace, Origin)], reachable: &Reachable) -> Vec<Mistake> {
    let refused = |(place, origin): &(KeyPlace, Origin)| {
        let address = place.address().filter(|address| !reachable.holds(*address))?;
        let mistake = Mistake::new(origin.clone(), format!("`jwks_uri`: {address} is no public address"));
        Some(mistake.hint("name its network in jwks.allowed_networks if it is meant"))
    };
    places.iter().filter_map(refused).collect()
}
