//! Rows W03 to W12 as far as they are told without a store.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn keys(members: Value) -> JwkSet {
    let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(key().public_key().as_ref()) });
    jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    JwkSet::read(json!({ "keys": [jwk] }).as_object().unwrap()).unwrap().0
}

fn signed(header: &Value, claims: &str) -> String {
    let encode = |part: &str| BASE64URL_NOPAD.encode(part.as_bytes());
    let input = format!("{}.{}", encode(&header.to_string()), encode(claims));
    let signature = BASE64URL_NOPAD.encode(key().sign(input.as_bytes()).as_ref());
    format!("{input}.{signature}")
}

/// An assertion that is right but for these claims; null takes one out.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "billing", "sub": "billing", "aud": "https://as.example", "jti": "1", "iat": NOW, "exp": NOW + 60,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn judge_at(changes: Value, sent_to: Endpoint) -> Result<SingleUse, AssertionFault> {
    let audiences = Audiences::of(&Issuer::parse("https://as.example", false).unwrap(), None, Profile::Default);
    let assertion = ClientAssertion::parse(&signed(&json!({ "alg": "EdDSA" }), &claims(changes).to_string()))?;
    let single_use = assertion.check("billing", &audiences, sent_to, Timestamp::from_unix_seconds(NOW))?;
    assertion.verify(&keys(json!({}))).map(|()| single_use)
}

fn judge(changes: Value) -> Result<SingleUse, AssertionFault> {
    judge_at(changes, Endpoint::Token)
}

#[test]
fn w01_what_is_right_is_one_use_that_says_when_it_was_made() {
    let made = |changes| judge(changes).unwrap().made_at.unix_seconds();
    assert_eq!(made(json!({})), NOW);
    assert_eq!(made(json!({ "iat": NOW - 300 })), NOW - 300);
    assert_eq!(made(json!({ "iat": null })), NOW + 60 - 300, "at the earliest");
    assert_ne!(judge(json!({})).unwrap().digest, judge(json!({ "jti": "2" })).unwrap().digest);
}

#[test]
fn w04_w08_who_it_is_from_and_its_name_must_be_there() {
    for changes in [
        json!({ "iss": null }),
        json!({ "sub": null }),
        json!({ "iss": "orders" }),
        json!({ "sub": "orders" }),
        json!({ "iss": "orders", "sub": "orders" }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": "j".repeat(129) }),
    ] {
        assert_eq!(judge(changes.clone()), Err(AssertionFault::Claims), "{changes}");
    }
    assert!(judge(json!({ "jti": "j".repeat(128) })).is_ok());
}

#[test]
fn w05_this_server_alone_is_meant() {
    let (issuer, token) = ("https://as.example", "https://as.example/oauth2/token");
    let (introspect, revoke) = ("https://as.example/oauth2/introspect", "https://as.example/oauth2/revoke");
    for good in [json!(issuer), json!([issuer]), json!(token), json!([issuer, token])] {
        assert!(judge(json!({ "aud": good })).is_ok(), "{good}");
        assert!(judge_at(json!({ "aud": good }), Endpoint::Introspection).is_ok(), "{good}");
    }
    assert!(judge_at(json!({ "aud": introspect }), Endpoint::Introspection).is_ok());
    assert!(judge_at(json!({ "aud": revoke }), Endpoint::Revocation).is_ok());
    for bad in [
        json!(null),
        json!([]),
        json!("https://other.example"),
        json!([issuer, "https://other.example"]),
        json!("https://as.example/"),
        json!("https://AS.example"),
        json!(introspect),
        json!([token, revoke]),
    ] {
        assert_eq!(judge(json!({ "aud": bad })), Err(AssertionFault::Audience), "{bad}");
    }
}

#[test]
fn w06_w07_its_times_are_now_and_near() {
    for (changes, fault) in [
        (json!({ "exp": null }), AssertionFault::Times),
        (json!({ "exp": NOW - 5 }), AssertionFault::Expired),
        (json!({ "exp": NOW + 306 }), AssertionFault::Times),
        (json!({ "exp": 1e15 }), AssertionFault::Times),
        (json!({ "nbf": NOW + 6 }), AssertionFault::Times),
        (json!({ "iat": NOW + 6 }), AssertionFault::Times),
        (json!({ "iat": NOW - 306 }), AssertionFault::Expired),
        (json!({ "exp": -1, "iat": null }), AssertionFault::Expired),
    ] {
        assert_eq!(judge(changes.clone()), Err(fault), "{changes}");
    }
    for changes in [
        json!({ "exp": NOW - 4 }),
        json!({ "exp": NOW + 305 }),
        json!({ "exp": NOW as f64 + 0.5 }),
        json!({ "nbf": NOW + 5, "iat": NOW + 5 }),
        json!({ "iat": NOW - 305 }),
    ] {
        assert!(judge(changes.clone()).is_ok(), "{changes}");
    }
}

#[test]
fn w11_w12_its_kind_its_key_and_its_signature_are_what_they_must_be() {
    let text = claims(json!({})).to_string();
    let verify = |header: Value, keys: &JwkSet| ClientAssertion::parse(&signed(&header, &text))?.verify(keys);
    let any = keys(json!({}));
    for typ in ["JWT", "jwt", "JOSE", "client-authentication+jwt", "application/client-authentication+JWT"] {
        assert_eq!(verify(json!({ "alg": "EdDSA", "typ": typ }), &any), Ok(()), "{typ}");
    }
    for typ in ["dpop+jwt", "at+jwt", "token-introspection+jwt", "secevent+jwt", "", "application/x+jwt"] {
        assert_eq!(verify(json!({ "alg": "EdDSA", "typ": typ }), &any), Err(AssertionFault::Malformed), "{typ}");
    }
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(key().public_key().as_ref()) });
    for (name, value) in
        [("jwk", jwk), ("jku", json!("https://a")), ("x5u", json!("https://a")), ("crit", json!(["a"]))]
    {
        let header = json!({ "alg": "EdDSA", name: value });
        assert_eq!(verify(header, &any), Err(AssertionFault::Malformed), "{name}");
    }
    for alg in ["none", "HS256", "RS384"] {
        assert_eq!(verify(json!({ "alg": alg }), &any), Err(AssertionFault::Key), "{alg}");
    }
    assert_eq!(verify(json!({ "alg": "Ed25519" }), &any), Ok(()));
    assert_eq!(verify(json!({ "alg": "ES256" }), &any), Err(AssertionFault::Key));
    assert_eq!(verify(json!({ "alg": "EdDSA", "kid": "a" }), &keys(json!({ "kid": "a" }))), Ok(()));
    assert_eq!(verify(json!({ "alg": "EdDSA", "kid": "b" }), &keys(json!({ "kid": "a" }))), Err(AssertionFault::Key));
    assert_eq!(verify(json!({ "alg": "EdDSA" }), &JwkSet::default()), Err(AssertionFault::Key));
    let mut forged = signed(&json!({ "alg": "EdDSA" }), &text);
    let other = signed(&json!({ "alg": "EdDSA" }), &claims(json!({ "jti": "2" })).to_string());
    forged.replace_range(forged.rfind('.').unwrap().., &other[other.rfind('.').unwrap()..]);
    assert_eq!(ClientAssertion::parse(&forged).unwrap().verify(&any), Err(AssertionFault::Signature));
    let twice = text.replacen('{', "{\"sub\":\"billing\",", 1);
    assert_eq!(
        ClientAssertion::parse(&signed(&json!({ "alg": "EdDSA" }), &twice)).unwrap_err(),
        AssertionFault::Malformed
    );
    assert!(!format!("{:?}", ClientAssertion::parse(&forged).unwrap().jws).contains("billing"));
}
