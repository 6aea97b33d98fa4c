//! The DPoP proofs that clients send, once or again and to any node, and what must be true of them: a proof binds one token at most,
//! and is called used only after somebody used it.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::history::{self, History, Terms, TokenHash};
use super::ledger::{Event, Ledger, Told, What};
use super::stage::Micros;

/// Made as late as clocks allow: so much sooner does the store know all of its uses.
const AHEAD_SECONDS: u64 = 5;
/// Well before a proof is too old.
const YOUNG: Micros = 50_000_000;

/// A proof with this number, made at this time.
pub(super) fn make(number: usize, unix_millis: u64) -> String {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(key.public_key().as_ref()) });
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
    let (iat, htu) = (unix_millis / 1000 + AHEAD_SECONDS, "https://as.example/oauth2/token");
    let claims = json!({ "jti": number.to_string(), "htm": "POST", "htu": htu, "iat": iat });
    let encode = |part: String| BASE64URL_NOPAD.encode(part.as_bytes());
    let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    format!("{input}.{}", BASE64URL_NOPAD.encode(key.sign(input.as_bytes()).as_ref()))
}

/// What was broken of that, by the checker that the tests with real processes use, where all clocks were right: by a wrong one a use may be
/// forgotten, which is said as a limit.
pub(super) fn breaches(ledger: &Ledger) -> Vec<String> {
    let mut by_proof: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
    for event in ledger.events.borrow().iter() {
        if let What::Prove(proof) = event.what {
            by_proof.entry(proof).or_default().push(event.clone());
        }
    }
    by_proof.iter().filter_map(|(proof, events)| Some(format!("proof {proof}: {}", judge(events)?))).collect()
}

fn judge(events: &[Event]) -> Option<String> {
    let first_asked = events.iter().map(|event| event.begun).min()?;
    let tries = events.iter().filter_map(|event| {
        let what = match event.told {
            Told::Issued(_) => history::What::Won,
            Told::Refused if event.ended - first_asked < YOUNG => history::What::TurnedAway,
            // It may have been too old.
            Told::Refused => return None,
            _ => history::What::MayHaveWon,
        };
        let Event { node, begun: start, ended: end, .. } = *event;
        Some(history::Event { token: TokenHash(0), what, start, end, node })
    });
    let history = History { events: tries.collect(), losses: Vec::new() };
    history.breaches(Terms::default()).first().map(ToString::to_string)
}
