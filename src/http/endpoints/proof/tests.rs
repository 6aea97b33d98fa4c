//! Nonces as time passes, and proofs whose use nobody can note.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use crate::actors::testing::{Fault, StoreError};
use crate::http::testing::{Answer, BILLING, TestConnection, TestService, limits, on_a_worker, post};

const GRANT: &str = "grant_type=client_credentials";

/// A service that wants nonces or not, some time after its store began.
fn service(requires_nonce: bool) -> TestService {
    let mut service = TestService::start("https://as.example", limits());
    let shared = std::sync::Arc::get_mut(&mut service.services.shared).unwrap();
    shared.dpop.requires_nonce = requires_nonce;
    shared.clock.advance(60_000);
    service
}

/// A proof that is made now.
fn proof(service: &TestService, jti: &str, nonce: Option<&str>) -> String {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(key.public_key().as_ref()) });
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
    let iat = service.services.now().unix_seconds();
    let mut claims = json!({ "jti": jti, "htm": "POST", "htu": "https://as.example/oauth2/token", "iat": iat });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    let encode = |part: String| BASE64URL_NOPAD.encode(part.as_bytes());
    let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    format!("{input}.{}", BASE64URL_NOPAD.encode(key.sign(input.as_bytes()).as_ref()))
}

async fn ask(connection: &mut TestConnection, proof: &str) -> Answer {
    let request = post("/oauth2/token", BILLING, GRANT);
    connection.ask(request.replacen("\r\n", &format!("\r\ndpop: {proof}\r\n"), 1)).await
}

#[tokio::test(start_paused = true)]
async fn d04_the_next_nonce_comes_before_the_last_is_too_old() {
    on_a_worker(async || {
        let service = service(true);
        let mut connection = TestConnection::open(service.public(), 65_536);
        let advance = |seconds: u64| service.services.shared.clock.advance(seconds * 1000);
        let refused = ask(&mut connection, &proof(&service, "1", None)).await;
        assert_eq!((refused.status, refused.error().as_str()), (400, "use_dpop_nonce"));
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        let first = refused.header("dpop-nonce").expect("a nonce").to_owned();
        // It was not used: the same `jti` is good with a nonce.
        let good = ask(&mut connection, &proof(&service, "1", Some(&first))).await;
        assert_eq!((good.status, good.header("dpop-nonce")), (200, None));
        advance(59);
        let good = ask(&mut connection, &proof(&service, "2", Some(&first))).await;
        assert_eq!((good.status, good.header("dpop-nonce")), (200, None));
        advance(1);
        let aging = ask(&mut connection, &proof(&service, "3", Some(&first))).await;
        assert_eq!(aging.json()["token_type"], "DPoP");
        let second = aging.header("dpop-nonce").expect("the next nonce").to_owned();
        assert_ne!(first, second);
        advance(61);
        let late = ask(&mut connection, &proof(&service, "4", Some(&first))).await;
        assert_eq!((late.status, late.error().as_str()), (400, "use_dpop_nonce"));
        assert!(late.header("dpop-nonce").is_some_and(|third| third != first && third != second));
        assert_eq!(ask(&mut connection, &proof(&service, "5", Some(&second))).await.status, 200);
        let count = |outcome: &str| service.metric(&format!("jeton_token_requests_total{{outcome=\"{outcome}\"}}"));
        assert_eq!([count("use_dpop_nonce"), count("issued")], [Some("2".into()), Some("4".into())]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn d05_where_its_use_cannot_be_noted_there_is_no_token_and_no_word_about_the_proof() {
    on_a_worker(async || {
        let service = service(false);
        let mut connection = TestConnection::open(service.public(), 65_536);
        for fault in [StoreError::TimedOut, StoreError::Unavailable, StoreError::ReplayFloor, StoreError::Full] {
            service.store.fault.set(Some(Fault::Says(fault)));
            let answer = ask(&mut connection, &proof(&service, "1", None)).await;
            assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"), "{fault:?}");
            assert!(answer.header("retry-after").is_some());
        }
        // What is wrong with a proof is told without a store.
        let wrong = ask(&mut connection, "x").await;
        assert_eq!((wrong.status, wrong.error().as_str()), (400, "invalid_dpop_proof"));
        service.store.fault.set(None);
        assert_eq!(ask(&mut connection, &proof(&service, "1", None)).await.status, 200);
        let used = ask(&mut connection, &proof(&service, "1", None)).await;
        assert_eq!((used.status, used.error().as_str()), (400, "invalid_dpop_proof"));
        assert_eq!(service.metric("jeton_token_requests_total{outcome=\"invalid_dpop_proof\"}"), Some("2".into()));
    })
    .await;
}
