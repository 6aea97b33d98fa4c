//! Assertions signed by a key that is slow to verify by: handed back, and judged once somebody has settled the signature.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::*;
use crate::oauth::jws::jwk_set::JwkSet;

/// A registered key, and assertions by it.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
    }

    fn keys(&self) -> JwkSet {
        let point = &self.0.public_key().as_ref()[1..];
        let [x, y] = [&point[..48], &point[48..]].map(|part| BASE64URL_NOPAD.encode(part));
        let jwk = json!({ "kty": "EC", "crv": "P-384", "x": x, "y": y });
        JwkSet::read(json!({ "keys": [jwk] }).as_object().unwrap()).unwrap().0
    }

    fn assertion(&self, jti: &str, aud: &str) -> PresentedCredentials {
        let encode = |part: String| BASE64URL_NOPAD.encode(part.as_bytes());
        let claims = json!({
            "iss": "signer", "sub": "signer", "aud": aud, "jti": jti, "iat": NOW_SECONDS, "exp": NOW_SECONDS + 60,
        });
        let input = format!("{}.{}", encode(json!({ "alg": "ES384" }).to_string()), encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        let body = format!(
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={input}.{}",
            BASE64URL_NOPAD.encode(signature.as_ref())
        );
        let form = Form::parse(body.as_bytes()).unwrap();
        PresentedCredentials::parse(Endpoint::Token, std::iter::empty(), &form).unwrap()
    }
}

async fn hand_back(authenticator: &AuthenticatorHandle, presented: PresentedCredentials) -> UnverifiedSignature {
    match authenticator.authenticate(by(), presented, HERE).await.unwrap() {
        Authentication::SignatureUnverified(unverified) => *unverified,
        other => panic!("{other:?}"),
    }
}

fn settle(unverified: &UnverifiedSignature) -> PresentedCredentials {
    unverified.presented.assertion.as_ref().unwrap().settle(unverified.keys.clone());
    unverified.presented()
}

#[tokio::test(start_paused = true)]
async fn a_slow_signature_is_handed_back_until_it_was_settled_and_beyond_the_limit_refused() {
    let (door, signer, stranger) = (Door::new(), Signer::new(), Signer::new());
    let registration = Registration {
        auth_method: AuthMethod::PrivateKeyJwt,
        keys: signer.keys(),
        ..Registration::new(ClientId::new("signer"))
    };
    door.clients.store(Arc::new(Clients::new([Client::new(registration)])));
    door.within(async |authenticator| {
        let good = signer.assertion("1", "https://as.example");
        let settled = settle(&hand_back(&authenticator, good).await);
        assert_eq!(ask(&authenticator, settled).await, Ok("signer".into()));
        // What is wrong in all else costs no signature.
        let elsewhere = ask(&authenticator, signer.assertion("2", "https://other.example")).await;
        assert_eq!(elsewhere, Err((RefusalReason::Assertion(AssertionFault::Audience), true)));
        for guess in 1..20 {
            let forged = stranger.assertion(&guess.to_string(), "https://as.example");
            let settled = settle(&hand_back(&authenticator, forged).await);
            let refused = ask(&authenticator, settled).await;
            assert_eq!(refused, Err((RefusalReason::Assertion(AssertionFault::Signature), true)));
        }
        let too_many = Err((RefusalReason::TooMany { retry_after_seconds: 60 }, true));
        assert_eq!(ask(&authenticator, signer.assertion("3", "https://as.example")).await, too_many);
        let elsewhere = authenticator.authenticate(by(), signer.assertion("3", "https://as.example"), None).await;
        assert!(matches!(elsewhere, Ok(Authentication::SignatureUnverified(_))));
    })
    .await;
}
