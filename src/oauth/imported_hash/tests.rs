//! What passlib 1.7.4, hashlib, argon2-cffi and Python's bcrypt 4.0.1 made is verified, and what could stop a verifier is refused.

use proptest::prelude::*;

use super::*;

const SECRET: &[u8] = b"imported-secret";
const PASSLIB_256: &str = "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8";
const PASSLIB_512: &str = "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$qCqmt71VvKxgNhALRej9mepPJjYCUNrOSH3FH5roxVWwhaoYZ9yINqtFkYDFtC.mTz1aoVcQO7zEJH357PX9EA";
const PHC_256: &str = "$pbkdf2-sha256$i=4096,l=32$MDEyMzQ1Njc4OWFiY2RlZg$kVWGi5oKbUi+zdNUXckgJdkOwNSRMs2v4Su6uGwmanE";
const ARGON2ID: &str =
    "$argon2id$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc";
const ARGON2ID_FOUR_LANES: &str =
    "$argon2id$v=19$m=256,t=1,p=4$MDEyMzQ1Njc4OWFiY2RlZg$SCM1oz5IQDTt4pPXekAx4nHJqi0MP0Sydg7OTWbQ1yU";
const BCRYPT_2A: &str = "$2a$04$ry7komA3NnjUbfZ5ath7dO7Z3b36GQy0oieLldQwdeC58oMAkiDCq";
const BCRYPT_2B: &str = "$2b$04$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";
const BCRYPT_OF_72_A: &str = "$2b$04$tmTaPab/PbS15z.kzGNKyONFyZIlxjAKyg/h/1L0bFKaZqWP7YJES";
const BCRYPT_OF_UTF8: &str = "$2b$04$oohQZyqQOtuAbxYTP8J7n.fl05eQ6DDglfdUZXMeBNL.deoclJq.y";

fn parse(text: &str) -> Result<ImportedHash, ImportedFault> {
    ImportedHash::parse(text)
}

#[test]
fn what_others_made_verifies_its_secret_and_no_other() {
    let bcrypt_2y = BCRYPT_2B.replace("$2b$", "$2y$");
    for text in
        [PASSLIB_256, PASSLIB_512, PHC_256, ARGON2ID, ARGON2ID_FOUR_LANES, BCRYPT_2A, BCRYPT_2B, bcrypt_2y.as_str()]
    {
        let hash = parse(text).unwrap();
        assert!(hash.verify(SECRET), "{text}");
        for wrong in [
            &b"imported-secreT"[..],
            b"imported-secret ",
            b"imported-secret\0",
            b"imported-secret\0imported-secret",
            b"",
            &[0; 100],
        ] {
            assert!(!hash.verify(wrong), "{text}");
        }
        assert_eq!((hash.expose(), format!("{hash:?}").as_str()), (text, "ImportedHash(…)"));
    }
}

#[test]
fn bcrypt_looks_at_72_bytes_and_what_is_longer_is_not_taken_for_them() {
    let hash = parse(BCRYPT_OF_72_A).unwrap();
    assert!(hash.verify(&[b'a'; 72]));
    assert!(!hash.verify(&[b'a'; 73]) && !hash.verify(&[b'a'; 71]));
    assert!(parse(BCRYPT_OF_UTF8).unwrap().verify("sécret-ü".as_bytes()));
}

#[test]
fn what_costs_too_much_is_refused_and_what_costs_little_is_known() {
    let argon2id = |params: &str| parse(&ARGON2ID.replace("m=256,t=2,p=1", params));
    let pbkdf2 = |rounds: &str| parse(&PASSLIB_256.replace("1000", rounds));
    let bcrypt = |cost: &str| parse(&BCRYPT_2B.replace("$04$", &format!("${cost}$")));
    for slow in [
        pbkdf2("2000001"),
        pbkdf2("4294967295"),
        argon2id("m=65537,t=1,p=1"),
        argon2id("m=65536,t=9,p=1"),
        bcrypt("14"),
        bcrypt("31"),
    ] {
        assert_eq!(slow, Err(ImportedFault::TooCostly));
    }
    for (usual, cheap) in [
        (pbkdf2("600000"), pbkdf2("29000")),
        (argon2id("m=19456,t=2,p=1"), argon2id("m=4096,t=3,p=1")),
        (argon2id("m=65536,t=3,p=4"), argon2id("m=8,t=1,p=1")),
        (bcrypt("12"), bcrypt("09")),
    ] {
        assert_eq!((usual.unwrap().is_cheap(), cheap.unwrap().is_cheap()), (false, true));
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for (text, fault) in [
        ("", ImportedFault::UnknownForm),
        ("imported-secret", ImportedFault::UnknownForm),
        ("$sha512$abc", ImportedFault::UnknownForm),
        (
            "$argon2i$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc",
            ImportedFault::UnknownForm,
        ),
        ("$2x$04$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e", ImportedFault::UnknownForm),
        (
            "$argon2id$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc",
            ImportedFault::Malformed,
        ),
        (
            "$argon2id$v=19$m=256,t=2,p=1,keyid=AAAA$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc",
            ImportedFault::Malformed,
        ),
        ("$argon2id$v=19$m=256,t=2,p=1$MDEyMzQ1$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc", ImportedFault::Malformed),
        (
            "$argon2id$v=19$m=256,t=2,p=64$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc",
            ImportedFault::Malformed,
        ),
        ("$2b$", ImportedFault::Malformed),
        ("$2b$03$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e", ImportedFault::Malformed),
        ("$pbkdf2-sha256$0$MDEyMw$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8", ImportedFault::Malformed),
        ("$pbkdf2-sha256$+1$MDEyMw$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8", ImportedFault::Malformed),
        ("$pbkdf2-sha256$i=1,x=2$MDEyMw$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8", ImportedFault::Malformed),
        ("$pbkdf2-sha256$i=1,l=31$MDEyMw$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8", ImportedFault::Malformed),
        ("$pbkdf2-sha256$l=32$MDEyMw$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8", ImportedFault::Malformed),
        ("$pbkdf2-sha256$1000$$vICBSWfgYpyv83uKSfj7Cr7RSqdi1gu.bKF8uABox.8", ImportedFault::Malformed),
        ("$pbkdf2-sha256$1000$MDEyMw$vICB", ImportedFault::Malformed),
        ("$pbkdf2-sha256$1000$MDEyMw$", ImportedFault::Malformed),
        ("$argon2id$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg", ImportedFault::Malformed),
        (
            "$argon2id$v=20$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc",
            ImportedFault::Malformed,
        ),
        (
            "$argon2id$v=19$m=256,t=0,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc",
            ImportedFault::Malformed,
        ),
    ] {
        assert_eq!(parse(text), Err(fault), "{text}");
    }
}

proptest! {
    /// Nothing that somebody writes there makes the reader panic; what it takes, it can verify.
    #[test]
    fn any_text_is_read_or_refused(name in "2a|2b|pbkdf2-sha256|pbkdf2-sha512|argon2id", rest in "[$a-zA-Z0-9./+=,é]{0,90}") {
        let _ = parse(&format!("${name}${rest}"));
    }

    #[test]
    fn a_changed_character_is_refused_or_verifies_no_more(place in 0..PASSLIB_256.len(), to in "[a-zA-Z0-9./$]") {
        let mut text = PASSLIB_256.to_owned();
        text.replace_range(place..=place, &to);
        // `.` and `+` are one digit of base64, and rounds of ten digits more would take a while.
        prop_assume!(text != PASSLIB_256 && !(15..20).contains(&place));
        prop_assert!(parse(&text).is_err() || !parse(&text).unwrap().verify(SECRET));
    }
}
