//! Row D02 as far as it is told without a store, and the vectors of RFC 9449.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;
const URL: &str = "https://as.example/oauth2/token";

/// RFC 9449 section 5, figure 4: the proof of a token request at `https://server.example.com/token`.
const OF_THE_RFC: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn jwk() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(key().public_key().as_ref()) })
}

fn target() -> Target {
    Target::post(URL)
}

/// These members with changes; null takes one out.
fn changed(mut members: Value, changes: Value) -> Value {
    let object = members.as_object_mut().unwrap();
    object.extend(changes.as_object().unwrap().clone());
    object.retain(|_, value| !value.is_null());
    members
}

fn signed(header: Value, claims: Value) -> String {
    let header = changed(json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk() }), header);
    let claims = changed(json!({ "jti": "1", "htm": "POST", "htu": URL, "iat": NOW }), claims);
    let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    format!("{input}.{}", BASE64URL_NOPAD.encode(key().sign(input.as_bytes()).as_ref()))
}

fn judge(text: &str) -> Result<ProvenKey, ProofFault> {
    Proof::parse(text)?.verify(&target(), Timestamp::from_unix_seconds(NOW))
}

fn with_header(changes: Value) -> Result<ProvenKey, ProofFault> {
    judge(&signed(changes, json!({})))
}

fn with_claims(changes: Value) -> Result<ProvenKey, ProofFault> {
    judge(&signed(json!({}), changes))
}

#[test]
fn d01_the_proof_of_the_rfc_is_good_and_shows_the_key_of_its_section_6() {
    let at = Timestamp::from_unix_seconds(1_562_262_616);
    let proof = Proof::parse(OF_THE_RFC).unwrap();
    let proven = proof.verify(&Target::post("https://server.example.com/token"), at).unwrap();
    assert_eq!(BASE64URL_NOPAD.encode(&proven.jkt), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(proven.single_use.made_at, at);
    assert_eq!(proof.verify(&target(), at), Err(ProofFault::Target));
}

#[test]
fn d01_what_is_right_is_one_use_that_says_when_it_was_made() {
    let proven = with_claims(json!({ "iat": NOW - 3 })).unwrap();
    assert_eq!(proven.jkt, Jwk::read(jwk().as_object().unwrap()).unwrap().thumbprint());
    assert_eq!(proven.single_use.made_at.unix_seconds(), NOW - 3);
    let digest = |claims| with_claims(claims).unwrap().single_use.digest;
    assert_ne!(digest(json!({})), digest(json!({ "jti": "2" })));
    assert_eq!(digest(json!({})), digest(json!({ "htu": "HTTPS://as.example:443/oauth2/token?x", "iat": NOW - 1 })));
    for typ in ["dpop+jwt", "DPoP+JWT", "application/dpop+jwt"] {
        assert!(with_header(json!({ "typ": typ })).is_ok(), "{typ}");
    }
    for claims in [json!({ "ath": "x", "nonce": "y", "more": {} }), json!({ "exp": NOW + 60, "nbf": NOW })] {
        assert!(with_claims(claims.clone()).is_ok(), "{claims}");
    }
    assert!(with_header(json!({ "alg": "Ed25519", "kid": "unknown" })).is_ok());
}

#[test]
fn d02_what_is_no_proof_is_refused() {
    for text in ["", "x", "a.b.c", &signed(json!({}), json!({}))[1..], &format!("{},", OF_THE_RFC)] {
        assert_eq!(judge(text).unwrap_err(), ProofFault::Malformed, "{text}");
    }
    for header in [
        json!({ "typ": null }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "at+jwt" }),
        json!({ "alg": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES256K" }),
        json!({ "jwk": null, "kid": "k" }),
        json!({ "jwk": "x" }),
        json!({ "crit": ["exp"] }),
        json!({ "b64": false }),
    ] {
        assert_eq!(with_header(header.clone()), Err(ProofFault::Malformed), "{header}");
    }
    for claim in ["jti", "htm", "htu", "iat"] {
        for wrong in [Value::Null, json!({}), json!([1]), json!(true)] {
            assert_eq!(with_claims(json!({ claim: wrong })), Err(ProofFault::Malformed), "{claim}");
        }
    }
    assert_eq!(with_claims(json!({ "nonce": 1 })), Err(ProofFault::Malformed));
    for jti in [String::new(), "j".repeat(129)] {
        assert_eq!(with_claims(json!({ "jti": jti })), Err(ProofFault::Malformed));
    }
    assert!(with_claims(json!({ "jti": "j".repeat(128) })).is_ok());
}

#[test]
fn d02_a_key_that_is_not_fit_or_not_the_signers_is_refused() {
    for jwk in [
        changed(jwk(), json!({ "d": "AAAA" })),
        changed(jwk(), json!({ "use": "enc" })),
        changed(jwk(), json!({ "alg": "ES256" })),
        changed(jwk(), json!({ "crv": "Ed448" })),
        json!({ "kty": "oct", "k": "AAAA" }),
        json!({}),
    ] {
        assert_eq!(with_header(json!({ "jwk": jwk })), Err(ProofFault::Key), "{jwk}");
    }
    assert_eq!(with_header(json!({ "alg": "ES256" })), Err(ProofFault::Key), "the key decides");
    let other =
        json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" } });
    assert_eq!(with_header(other), Err(ProofFault::Signature));
    let good = signed(json!({}), json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    assert_eq!(judge(&format!("{signed}.")), Err(ProofFault::Signature));
}

#[test]
fn d02_made_for_something_else_or_at_another_time_it_is_refused() {
    for claims in [
        json!({ "htm": "GET" }),
        json!({ "htm": "post" }),
        json!({ "htu": "https://other.example/oauth2/token" }),
        json!({ "htu": "https://as.example/oauth2/introspect" }),
        json!({ "htu": "http://as.example/oauth2/token" }),
        json!({ "htu": "" }),
    ] {
        assert_eq!(with_claims(claims.clone()), Err(ProofFault::Target), "{claims}");
    }
    for (claims, verdict) in [
        (json!({ "iat": NOW - 60 }), None),
        (json!({ "iat": NOW as f64 - 60.5 }), Some(ProofFault::Expired)),
        (json!({ "iat": -1 }), Some(ProofFault::Expired)),
        (json!({ "iat": NOW + 5 }), None),
        (json!({ "iat": NOW as f64 + 5.5 }), Some(ProofFault::Ahead)),
        (json!({ "iat": 1e300 }), Some(ProofFault::Ahead)),
        (json!({ "exp": NOW - 5 }), Some(ProofFault::Expired)),
        (json!({ "nbf": NOW + 6 }), Some(ProofFault::Ahead)),
    ] {
        assert_eq!(with_claims(claims.clone()).err(), verdict, "{claims}");
    }
}

#[test]
fn d02_two_header_fields_are_refused_even_if_equal() {
    let good = signed(json!({}), json!({}));
    let of = |fields: &[&[u8]]| Proof::of_fields(fields.iter().copied());
    assert!(matches!(of(&[]), Ok(None)));
    assert!(matches!(of(&[good.as_bytes()]), Ok(Some(_))));
    assert_eq!(of(&[good.as_bytes(), good.as_bytes()]).unwrap_err(), ProofFault::Several);
    assert_eq!(of(&[b"\xff"]).unwrap_err(), ProofFault::Malformed);
    assert_eq!(of(&[b""]).unwrap_err(), ProofFault::Malformed);
}

#[test]
fn sentences_hold_no_character_that_a_description_may_not() {
    use ProofFault::*;
    for fault in [Missing, Several, Malformed, Key, Target, Expired, Ahead, Signature, Replayed] {
        let is_fit = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
        assert!(fault.sentence().bytes().all(is_fit), "{fault:?}");
    }
}
