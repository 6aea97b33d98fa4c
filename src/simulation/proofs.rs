//! The DPoP proofs that clients send, once or again and to any node, and what must be true of them: a proof binds one token at most,
//! and is called used only after somebody used it.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

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

/// What was broken of that, where all clocks were right: by a wrong one a use may be forgotten, which is said as a limit.
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
    let history = || events.iter().map(|event| format!("\n  {:>10} {event}", event.begun)).collect::<String>();
    let first_asked = events.iter().map(|event| event.begun).min()?;
    let bound = events.iter().filter(|event| matches!(event.told, Told::Issued(_))).count();
    if bound > 1 {
        return Some(format!("it bound {bound} tokens{}", history()));
    }
    let is_false = |event: &&Event| {
        let was_asked_before = events.iter().any(|other| other.begun < event.ended && !std::ptr::eq(other, *event));
        event.told == Told::Refused && !was_asked_before && event.ended - first_asked < YOUNG
    };
    events.iter().find(is_false).map(|event| format!("called used before anybody used it: {event}"))
}
