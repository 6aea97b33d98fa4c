//! The vectors of the RFCs, and others made with Python's `cryptography` where those have none.

use serde_json::{Value, json};

use super::jwk::{Jwk, JwkError};
use super::jwk_set::{JwkSet, JwkSetError, Verdict};
use super::*;

/// RFC 7638 section 3.1.
const N_7638: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
/// RFC 7515 appendix A.2.
const N_A2: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RS256_A2: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515 appendix A.3.
const ES256_A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037 appendix A.4; its payload is no JSON.
const EDDSA_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
/// RFC 7520 section 3.3, and section 4.1, whose payload is no JSON.
const N_7520: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";
const RS256_7520: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
/// RFC 8032 section 7.1, test 1: the signature of nothing, by the key of RFC 8037.
const ED25519_8032: &str = "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc-bRr0lv18FlbviRlUUFDjnoQCw";
const N_PS256: &str = "nTkF1IDfAmm7YRWa01wF9JBCuqBJn7uupW91PzPhJblXqfwklt5psqXNmkvb40wQNy0_NnUkcnUs5wR6Ko4zUx8TxV9y-xR2feAAZ6Fj1tiyMhJtdtqTFVfadicGK-w7oEKqVKHx3HxXD-s9CbPa0yiqFF6KAbV1E9To-tDDySp7OKE5Gy_zpcdaeFlDVGB49ScGKAwbAi4yRC0CP_-31_6xO8EbH0hjwfTN0yE-CZCgLO5atIET9QZX50mrrOh3P-I2RL0pC3KBDwg-SyfYRK-E0tfsu-Rf75i5lN353-UaCu6AJHP60z9IAmiadZhnpfGn0jr6JCqcL8MhPbnG-Q";
const PS256: &str = "eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJ2ZWN0b3IifQ.J-jFSj5LkIiDbRHvtnVjC1eViW9prmziBlEMUfyHiiXHBCsp558U3SJ3_uuYMQMT3mfTGMT0tTEnQ8SAPUw3G5chnrz2lNmXv3ZVE2N4jOX_82ndfJRMVf6Kl1_aH50AGSJwPRLmkiaH97wZG8lSRVuuGt0dyj0jC3zH-rxsX1U8F-UjeULgETw8S5H9BtR-jvmo0BOs65Pl1g4xb1rDGAY4OTfqR4ZPQ_WuvMWs-bWBHV8_Gv4ZBnafz2pLsjperVSdthMZZPrjAtqAWB8Lg-BUIzn3960Ew7B4Ofh0sIRKQ7F0Qo-XabPCAbHBP0YjEUY5SJFnrkhOOMVI3TevXQ";
/// The same with a salt of 20 bytes.
const PS256_SHORT_SALT: &str = "eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJ2ZWN0b3IifQ.ivhV4BQZ8s-XgQxhXXOJzB4MWAfNoIHONR5vcI5p8aGHhxduhkfuzXZ_ctorWUpiNdmQOVqzULrIss9Xj2xzAUJ51YmDcD4iEbVM8dbAUtz1LhICANTjhklw8H-zjYJBGSiC3TuS2VtZdXFX6PsToo3vwfQzZTsvdZlC7mXGWLs_k6awSR_yPcTljvT7y3QsH-Je8MTe-pqjQJ8C-3w20Ft9A1jYvqj8WrqfWY_N81ZrSIPO-z_bmv88EzOnL9TDmK3sEY4e4e2IQlIpJYy2kEMv6CRp5XVSV_ql3gRjrYL0zaQ53swtRincRYxHzXSI_bQ1P6-1rc2e2wwudZJJfw";
const ES384: &str = "eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJ2ZWN0b3IifQ.usbvnTBV5DX98xOaWvLk9bFYC9rPxdHfQ2dcAox7WDDOQZFV1FVYZQzxeiAFyv3h7wakrxf03OAap7MTaqvx7Jj6PFE8TU7x5v09y3ldBX0Bnn3-6hMe4Dav613n1Jqo";
const N_1024: &str = "6rZq79kqvSv1zewLoWJ8AH_qJXHAyv00e8QkOIBm2LH1xrKrTU33fRGaz_gUWhrrd3GVBQZaUoM6ilIyzw0i7ezSgZ95YnGdztnGEO0AvQYl_gdFd2JDJn74__crF8V1od3kYhxeelsbTt__4uz3SN-KkBWgElYCUxtXQaTP1sk";

fn rsa(n: &str) -> Value {
    json!({ "kty": "RSA", "n": n, "e": "AQAB" })
}

fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn p384() -> Value {
    json!({
        "kty": "EC", "crv": "P-384",
        "x": "oVAg2G_Iiel9VfywcCbRhNhI6lWi4bD2C1DPTO4O6lunKcyCf5Z22L2CokdhwtS2",
        "y": "PdzGnN5BCc7T7dot3D9maNCKIFTS3854rJS5I7-aaDP9ylEC_FC_uxVCUecqvTb8",
    })
}

fn ed25519() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn jwk(members: Value) -> Result<Jwk, JwkError> {
    Jwk::read(members.as_object().unwrap())
}

fn with(mut members: Value, name: &str, value: impl Into<Value>) -> Value {
    members[name] = value.into();
    members
}

fn set(keys: Vec<Value>) -> JwkSet {
    JwkSet::read(json!({ "keys": keys }).as_object().unwrap()).unwrap().0
}

#[test]
fn what_slow_keys_say_is_found_out_once_and_of_no_other_signature() {
    let jws = Jws::parse(ES384).unwrap();
    let keys = set(vec![p256(), p384()]);
    let slow = keys.slow_keys(&jws).unwrap();
    assert_eq!(slow, vec![jwk(p384()).unwrap()]);
    jws.settle(slow);
    assert_eq!((keys.slow_keys(&jws), keys.verify(&jws)), (None, Verdict::Good));
    // It is bound to the key: another set does not profit.
    let other = with(p384(), "kid", "other");
    assert_eq!(set(vec![p256()]).verify(&jws), Verdict::NoKey);
    assert_eq!(set(vec![other]).verify(&jws), Verdict::Good, "which was not settled, and is verified here");
    let forged = Jws::parse(&ES384.replacen(".usb", ".usc", 1)).unwrap();
    forged.settle(keys.slow_keys(&forged).unwrap());
    assert_eq!((keys.slow_keys(&forged), keys.verify(&forged)), (None, Verdict::Bad));
    for (key, fast) in [(rsa(N_A2), RS256_A2), (p256(), ES256_A3)] {
        assert_eq!(set(vec![key, p384()]).slow_keys(&Jws::parse(fast).unwrap()), None);
    }
}

fn verdict(keys: Vec<Value>, jws: &str) -> Verdict {
    set(keys).verify(&Jws::parse(jws).unwrap())
}

/// A JWS with this header, whose signature is none.
fn unsigned(header: &Value) -> String {
    let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    format!("{}.{}.AAAA", encode(header), encode(&json!({ "iss": "me" })))
}

#[test]
fn w11a_the_vectors_verify_and_no_other_key_or_text_does() {
    let vectors = [(rsa(N_A2), RS256_A2), (p256(), ES256_A3), (rsa(N_PS256), PS256), (p384(), ES384)];
    for (key, jws) in &vectors {
        assert_eq!(verdict(vec![key.clone()], jws), Verdict::Good, "{jws}");
        for (other, _) in vectors.iter().filter(|(other, _)| other != key) {
            assert_ne!(verdict(vec![other.clone()], jws), Verdict::Good, "{jws}");
        }
        // Each part with one bit changed that is still base64url.
        for at in (0..jws.len() - 1).filter(|at| jws.as_bytes()[*at] != b'.') {
            let mut changed = jws.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            if let Ok(changed) = Jws::parse(std::str::from_utf8(&changed).unwrap()) {
                assert_ne!(set(vec![key.clone()]).verify(&changed), Verdict::Good, "{at}");
            }
        }
    }
    assert_eq!(verdict(vec![rsa(N_PS256)], PS256_SHORT_SALT), Verdict::Bad, "the salt is as long as the hash");
}

#[test]
fn w11a_ed25519_verifies_by_either_name() {
    let (signed, signature) = EDDSA_A4.rsplit_once('.').unwrap();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let key = jwk(ed25519()).unwrap();
    for name in ["EdDSA", "Ed25519"] {
        let alg = Algorithm::of_name(name).unwrap();
        assert!(key.verify(alg, signed.as_bytes(), &signature));
        assert!(!key.verify(alg, &signed.as_bytes()[1..], &signature));
        assert!(jwk(with(ed25519(), "alg", name)).unwrap().fits(Algorithm::EdDsa));
    }
    assert!(!key.verify(Algorithm::Es256, signed.as_bytes(), &signature));
    let mut of_nothing = BASE64URL_NOPAD.decode(ED25519_8032.as_bytes()).unwrap();
    assert!(key.verify(Algorithm::EdDsa, b"", &of_nothing));
    // The order of the group added to `S`: "decode […] as an integer S, in the range 0 <= s < L" (RFC 8032 section 5.1.7).
    const L: [u8; 32] = [
        0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, added) in of_nothing[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(added) + carry;
        (*byte, carry) = ((sum & 0xFF) as u8, sum >> 8);
    }
    assert!(!key.verify(Algorithm::EdDsa, b"", &of_nothing), "one signature has one form");
    assert_eq!(Jws::parse(EDDSA_A4).unwrap_err(), JwsError::Malformed, "our payloads are objects");
}

#[test]
fn w11a_what_is_signed_need_be_no_json() {
    let (signed, signature) = RS256_7520.rsplit_once('.').unwrap();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let key = jwk(with(with(rsa(N_7520), "kid", "bilbo.baggins@hobbiton.example"), "use", "sig")).unwrap();
    assert!(key.verify(Algorithm::Rs256, signed.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::Ps256, signed.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::Rs256, &signed.as_bytes()[1..], &signature));
    assert_eq!(Jws::parse(RS256_7520).unwrap_err(), JwsError::Malformed, "our payloads are objects");
}

/// The examples of RFC 7515 (appendices A.1, A.4 and A.5) that are good, and are none for us: by a shared secret, on P-521, and by nobody.
#[test]
fn w11_the_vectors_of_other_algorithms_are_refused() {
    let payload = RS256_A2.split('.').nth(1).unwrap();
    for (header, signature) in [
        ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        (
            "eyJhbGciOiJFUzUxMiJ9",
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        ),
        ("eyJhbGciOiJub25lIn0", ""),
    ] {
        let refused = Jws::parse(&format!("{header}.{payload}.{signature}")).unwrap_err();
        assert_eq!(refused, JwsError::UnknownAlgorithm, "{header}");
    }
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let thumbprint = |members| BASE64URL_NOPAD.encode(&jwk(members).unwrap().thumbprint());
    let key = with(with(rsa(N_7638), "alg", "RS256"), "kid", "2011-04-29");
    assert_eq!(thumbprint(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(thumbprint(ed25519()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    // RFC 9449 section 6.1 binds to the key of its section 4.1.
    let dpop = json!({
        "kty": "EC", "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    });
    assert_eq!(thumbprint(dpop), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn w11_a_key_that_is_not_fit_is_none() {
    for (members, why) in [
        (with(p256(), "use", "enc"), JwkError::OtherUse),
        (with(p256(), "key_ops", json!(["sign"])), JwkError::OtherUse),
        (with(p256(), "key_ops", "verify"), JwkError::Malformed),
        (with(p256(), "d", "AAAA"), JwkError::Private),
        (with(p256(), "x", "AAAA"), JwkError::Malformed),
        (with(p256(), "y", "not base64"), JwkError::Malformed),
        (with(p256(), "crv", "P-521"), JwkError::Unsupported),
        (with(p256(), "crv", Value::Null), JwkError::Malformed),
        (with(p256(), "alg", "ES384"), JwkError::Malformed),
        (with(p256(), "alg", "none"), JwkError::Unsupported),
        (with(p256(), "alg", "HS256"), JwkError::Unsupported),
        (with(p256(), "kid", 1), JwkError::Malformed),
        (with(p256(), "kid", "k".repeat(257)), JwkError::Malformed),
        (json!({ "kty": "oct", "k": "AAAA" }), JwkError::Unsupported),
        (json!({ "kty": "EC" }), JwkError::Malformed),
        (json!({}), JwkError::Malformed),
        (rsa(N_1024), JwkError::RsaSize),
        (rsa(&"_".repeat(684)), JwkError::RsaSize),
        (rsa("AAAA"), JwkError::RsaSize),
        (with(rsa(N_A2), "e", "AQ"), JwkError::Malformed),
        (with(rsa(N_A2), "e", "Ag"), JwkError::Malformed),
        (with(rsa(N_A2), "e", "AQAAAAE"), JwkError::Malformed),
        (with(rsa(N_A2), "alg", "RS512"), JwkError::Unsupported),
    ] {
        assert_eq!(jwk(members.clone()).unwrap_err(), why, "{members}");
    }
    assert!(jwk(with(with(p256(), "use", "sig"), "key_ops", json!(["verify"]))).is_ok());
}

#[test]
fn w11_the_key_decides_by_what_it_is_verified() {
    // Registered for PS256, it verifies no RS256, although it is an RSA key.
    assert_eq!(verdict(vec![with(rsa(N_A2), "alg", "PS256")], RS256_A2), Verdict::NoKey);
    assert_eq!(verdict(vec![with(rsa(N_A2), "alg", "RS256")], RS256_A2), Verdict::Good);
    // Nor is a public key a secret.
    assert_eq!(Jws::parse(&unsigned(&json!({ "alg": "HS256" }))).unwrap_err(), JwsError::UnknownAlgorithm);
    assert_eq!(Jws::parse(&unsigned(&json!({ "alg": "none" }))).unwrap_err(), JwsError::UnknownAlgorithm);
}

#[test]
fn w11_a_kid_names_its_key_and_no_other_is_tried() {
    let key = |kid: &str| with(p256(), "kid", kid);
    let of = |header: &Value| Jws::parse(&unsigned(header)).unwrap();
    let named = of(&json!({ "alg": "ES256", "kid": "a" }));
    assert_eq!(set(vec![key("b"), p256()]).verify(&named), Verdict::NoKey);
    assert_eq!(set(vec![key("b"), key("a")]).verify(&named), Verdict::Bad);
    assert_eq!(verdict(vec![p384(), key("b"), key("a")], ES256_A3), Verdict::Good, "without one, what fits is tried");
    let mut many: Vec<Value> = (0..jwk_set::KEYS_MAX - 1).map(|_| with(p256(), "x", "A".repeat(43))).collect();
    many.push(p256());
    assert_eq!(verdict(many.clone(), ES256_A3), Verdict::Bad, "but few");
    many.push(p256());
    let listed = json!({ "keys": many });
    assert_eq!(JwkSet::read(listed.as_object().unwrap()), Err(JwkSetError::TooMany));
    assert_eq!(JwkSet::read(json!({ "keys": {} }).as_object().unwrap()), Err(JwkSetError::NoKeys));
    let (some, left_out) = JwkSet::read(json!({ "keys": [{ "kty": "new" }, p256()] }).as_object().unwrap()).unwrap();
    assert_eq!((some.len(), left_out), (1, vec![JwkError::Unsupported]));
}

#[test]
fn w11_what_a_header_demands_and_is_not_understood_is_refused() {
    let read = |header: Value| Jws::parse(&unsigned(&header)).map(|jws| jws.header);
    let with = |name: &str, value: Value| with(json!({ "alg": "ES256" }), name, value);
    assert_eq!(read(with("crit", json!(["exp"]))).unwrap_err(), JwsError::Critical);
    assert_eq!(read(with("crit", json!([]))).unwrap_err(), JwsError::Critical);
    assert_eq!(read(with("b64", json!(false))).unwrap_err(), JwsError::Critical);
    assert!(read(with("b64", json!(true))).is_ok());
    assert!(read(with("jku", json!("https://a"))).unwrap().points_to_keys);
    assert!(read(with("x5u", json!("https://a"))).unwrap().points_to_keys);
    assert!(read(with("jwk", p256())).unwrap().jwk.is_some());
    for (name, value) in [("alg", json!(1)), ("kid", json!(1)), ("typ", json!(["JWT"])), ("jwk", json!("x"))] {
        assert_eq!(read(with(name, value)).unwrap_err(), JwsError::Malformed, "{name}");
    }
    assert_eq!(read(with("typ", json!("application/DPoP+JWT"))).unwrap().typ.as_deref(), Some("dpop+jwt"));
}

#[test]
fn what_is_no_compact_jws_is_refused() {
    let (signed, _) = ES256_A3.rsplit_once('.').unwrap();
    for text in [
        "",
        "..",
        "a.b",
        signed,
        &format!("{ES256_A3}."),
        &format!("{ES256_A3}.x"),
        &format!("{ES256_A3}="),
        &format!(" {ES256_A3}"),
        &format!("{ES256_A3}\n"),
        &format!("x{ES256_A3}"),
    ] {
        assert_eq!(Jws::parse(text).unwrap_err(), JwsError::Malformed, "{text}");
    }
    assert!(!format!("{:?}", Jws::parse(ES256_A3).unwrap()).contains("joe"));
}
