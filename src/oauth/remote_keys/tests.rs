//! Row W14, as far as it is told without a network.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn set(seeds: &[u8]) -> JwkSet {
    let jwk = |seed: &u8| {
        let x = BASE64URL_NOPAD.encode(key(*seed).public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": seed.to_string(), "x": x })
    };
    let keys: Vec<Value> = seeds.iter().map(jwk).collect();
    JwkSet::read(json!({ "keys": keys }).as_object().unwrap()).unwrap().0
}

fn assertion(header: Value, seed: u8) -> ClientAssertion {
    let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let mut whole = json!({ "alg": "EdDSA" });
    whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
    let input = format!("{}.{}", encode(&whole), encode(&json!({ "sub": "a" })));
    let signature = BASE64URL_NOPAD.encode(key(seed).sign(input.as_bytes()).as_ref());
    ClientAssertion::parse(&format!("{input}.{signature}")).unwrap()
}

fn of(seed: u8) -> ClientAssertion {
    assertion(json!({ "kid": seed.to_string() }), seed)
}

fn remote() -> (RemoteKeys, Instant) {
    (RemoteKeys::new(KeyPlace::parse("https://a.example/jwks").unwrap()), Instant::now())
}

const NO_KEY: Result<(), Doubt> = Err(Doubt::Fault(AssertionFault::Key));
const BAD: Result<(), Doubt> = Err(Doubt::Fault(AssertionFault::Signature));

fn unknown(fetches: u64) -> Result<(), Doubt> {
    Err(Doubt::Unknown { fetches })
}

#[test]
fn w14_before_the_first_fetch_nobody_is_refused() {
    let (remote, start) = remote();
    assert_eq!(remote.verify(&of(1), start), unknown(0));
    assert_eq!(remote.prospect(0, start), Prospect::UnderWay);
    remote.failed(start + Duration::from_millis(1500));
    assert_eq!(remote.verify(&of(1), start), unknown(1));
    assert_eq!(remote.prospect(0, start), Prospect::Came);
    assert_eq!(remote.prospect(1, start), Prospect::NotBefore { seconds: 2 });
    assert_eq!(remote.prospect(1, start + HOUR), Prospect::MayBegin);
    assert_eq!(remote.retry_after_seconds(start), 2);
}

#[test]
fn w14_an_unknown_key_is_looked_for_once_in_thirty_seconds() {
    let (remote, start) = remote();
    assert!(remote.came(set(&[1]), start, HOUR, start + FLOOR));
    assert_eq!(remote.verify(&of(1), start), Ok(()));
    let just_before = start + FLOOR - Duration::from_millis(1);
    assert_eq!(remote.verify(&of(2), just_before), NO_KEY);
    assert_eq!(remote.verify(&of(2), start + FLOOR), unknown(1));
    assert_eq!(remote.prospect(1, start + FLOOR), Prospect::MayBegin);
    // While it is under way whoever is known is let in, and whoever is not waits.
    remote.begin();
    assert_eq!(remote.verify(&of(1), start + FLOOR), Ok(()));
    assert_eq!(remote.verify(&of(2), start + FLOOR), unknown(1));
    assert!(remote.came(set(&[2]), start + FLOOR, HOUR, start + 2 * FLOOR));
    assert_eq!(remote.prospect(1, start + FLOOR), Prospect::Came);
    assert_eq!(remote.verify(&of(2), start + FLOOR), Ok(()));
    assert_eq!(remote.verify(&of(1), start + FLOOR), NO_KEY, "it was taken back");
    assert!(!remote.came(set(&[2]), start + FLOOR, HOUR, start + 2 * FLOOR), "the same keys");
}

#[test]
fn w14_a_signature_that_is_wrong_is_wrong_unless_another_key_may_have_made_it() {
    let (remote, start) = remote();
    remote.came(set(&[1]), start, HOUR, start + FLOOR);
    let later = start + FLOOR;
    assert_eq!(remote.verify(&assertion(json!({ "kid": "1" }), 2), later), BAD);
    assert_eq!(remote.verify(&assertion(json!({}), 2), start), BAD);
    assert_eq!(remote.verify(&assertion(json!({}), 2), later), unknown(1));
    assert_eq!(remote.verify(&assertion(json!({}), 1), later), Ok(()));
}

#[test]
fn w14_keys_that_cannot_be_fetched_anew_count_for_a_day_longer() {
    let (remote, start) = remote();
    remote.came(set(&[1]), start, HOUR, start + FLOOR);
    let end = start + HOUR + STALE_MAX;
    remote.failed(end + FLOOR);
    let just_before = end - Duration::from_millis(1);
    assert_eq!(remote.verify(&of(1), just_before), Ok(()));
    assert_eq!(remote.verify(&of(2), just_before), unknown(2), "nobody could look");
    assert!(remote.are_known(just_before) && !remote.are_known(end));
    assert_eq!(remote.verify(&of(1), end), unknown(2));
    assert_eq!(remote.prospect(2, end), Prospect::NotBefore { seconds: 30 });
    assert!(!remote.came(set(&[1]), end, HOUR, end + FLOOR));
    assert_eq!(remote.verify(&of(1), end), Ok(()));
}
