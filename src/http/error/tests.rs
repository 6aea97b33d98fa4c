//! Every failure's face: what all of them must have, and the few that the rows fix.

use http_body_util::BodyExt;
use hyper::header::HeaderMap;

use super::*;
use crate::actors::testing::StoreError;
use crate::oauth::dpop::ProofFault;
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::time::Timestamp;

fn nonce() -> Nonce {
    let epoch = Timestamp::from_unix_seconds(0);
    Nonce::make(&ServiceKeys::new(vec![ServiceKey::new(KeyId(1), epoch, &[7; 32])]).unwrap(), epoch)
}

fn all() -> Vec<Failure> {
    let protocol = [
        ProtocolError::InvalidRequest("why"),
        ProtocolError::InvalidClient,
        ProtocolError::UnauthorizedClient("why"),
        ProtocolError::UnsupportedGrantType,
        ProtocolError::InvalidScope("why"),
        ProtocolError::InvalidTarget("why"),
        ProtocolError::InvalidDpopProof(ProofFault::Malformed),
        ProtocolError::UseDpopNonce(nonce()),
        ProtocolError::InvalidToken,
        ProtocolError::NotYet { retry_after_seconds: 3 },
        ProtocolError::TooManyFailures { retry_after_seconds: 3 },
    ];
    let actor = [ActorError::Overloaded, ActorError::TimedOut, ActorError::Lost, ActorError::Store(StoreError::Full)];
    let http = [
        HttpError::NotFound,
        HttpError::MethodNotAllowed("POST"),
        HttpError::TargetTooLong,
        HttpError::TooManyHeaders,
        HttpError::Host,
        HttpError::ExpectationUnknown,
        HttpError::BodyTooLarge,
        HttpError::BodyTooSlow,
        HttpError::BodyBroken,
        HttpError::ContentEncoding,
        HttpError::ContentType,
    ];
    let admin = [
        AdminError::NotSwitchedOn,
        AdminError::NotOverPlainHttp,
        AdminError::TokenMissing,
        AdminError::TokenMalformed,
        AdminError::TokenWrong,
    ];
    let mut all: Vec<Failure> = protocol.into_iter().map(Failure::from).collect();
    all.extend(actor.into_iter().map(Failure::from));
    all.extend(http.into_iter().map(Failure::from));
    all.extend(admin.into_iter().map(Failure::from));
    all.push(Failure::Panic);
    all
}

/// The codes that may be sent at all (K11).
const CODES: [&str; 14] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "invalid_token",
    "insufficient_scope",
    "access_denied",
    "temporarily_unavailable",
    "server_error",
];

#[tokio::test]
async fn k11_k14_every_face_is_whole() {
    for failure in all() {
        for endpoint in [Endpoint::Token, Endpoint::Introspect, Endpoint::Revoke, Endpoint::AdminIntrospect] {
            let (head, body) = failure.into_reply(endpoint).into_response(HeaderMap::new()).into_parts();
            let has = |name| head.headers.contains_key(name);
            assert!(head.headers["cache-control"] == "no-store" && head.headers["pragma"] == "no-cache");
            assert_eq!(head.headers["content-type"], "application/json");
            assert_eq!(has(WWW_AUTHENTICATE), head.status == StatusCode::UNAUTHORIZED, "{failure:?}");
            let passes = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&head.status);
            assert_eq!(has(RETRY_AFTER), passes, "{failure:?}");
            let asks_for_nonce = matches!(failure, Failure::Protocol(ProtocolError::UseDpopNonce(_)));
            assert_eq!(head.headers.contains_key("dpop-nonce"), asks_for_nonce, "{failure:?}");
            assert_eq!(has(ALLOW), head.status == StatusCode::METHOD_NOT_ALLOWED, "{failure:?}");

            let body = body.collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(CODES.contains(&body["error"].as_str().unwrap()), "{failure:?}");
            let sentence = body["error_description"].as_str().unwrap();
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            assert!(!sentence.is_empty() && sentence.bytes().all(allowed), "{failure:?}");
        }
    }
}

#[test]
fn retry_after_is_what_the_table_says() {
    let seconds = |failure: Failure| {
        let reply = failure.into_reply(Endpoint::Token).into_response(HeaderMap::new());
        reply.headers()[RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap()
    };
    for (error, expected) in [
        (StoreError::TimedOut, 1),
        (StoreError::NotReplicated, 1),
        (StoreError::GrantMissing, 1),
        (StoreError::Unavailable, 2),
        (StoreError::NotServing, 2),
        (StoreError::Full, 5),
        (StoreError::WritesStopped, 5),
    ] {
        assert_eq!(seconds(ActorError::Store(error).into()), expected);
    }
    assert_eq!([ActorError::Overloaded, ActorError::Lost].map(|error| seconds(error.into())), [1, 1]);
    assert_eq!(seconds(ProtocolError::NotYet { retry_after_seconds: 4 }.into()), 4);
}

#[test]
fn i03_i05_challenges_follow_the_endpoint() {
    let challenges = |failure: ProtocolError, endpoint| {
        let reply = Failure::from(failure).into_reply(endpoint).into_response(HeaderMap::new());
        let values = reply.headers().get_all(WWW_AUTHENTICATE).iter();
        values.map(|value| value.to_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(challenges(ProtocolError::InvalidClient, Endpoint::Token), [BASIC]);
    assert_eq!(challenges(ProtocolError::InvalidClient, Endpoint::Introspect), [BASIC, BEARER]);
    assert_eq!(challenges(ProtocolError::InvalidToken, Endpoint::Introspect), [BEARER_INVALID]);
}
