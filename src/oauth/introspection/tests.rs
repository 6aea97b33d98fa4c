//! Rows I01, I05, I06, I09, I16 as far as they are told without HTTP.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::client::{ClientId, Registration};
use super::super::grant::GrantParts;
use super::super::keys::{KeyId, ServiceKey};
use super::super::scope::Scope;
use super::super::time::{Lifetime, Timestamp};
use super::super::token::{Page, Token};
use super::*;

fn registration(id: &str, introspection: IntrospectionRight) -> Registration {
    Registration { introspection, ..Registration::new(ClientId::new(id)) }
}

fn caller(introspection: IntrospectionRight) -> Client {
    Client::new(registration("api", introspection))
}

fn audiences(of: &[&str]) -> IntrospectionRight {
    IntrospectionRight::Audiences(of.iter().map(ToString::to_string).collect())
}

fn grant(client_id: &str, audience: &[&str]) -> Arc<Grant> {
    Grant::new(GrantParts {
        audience: audience.iter().map(ToString::to_string).collect(),
        claims: serde_json::from_str(r#"{"tenant":"ac\"me","a":[1]}"#).unwrap(),
        client_id: ClientId::new(client_id),
        scope: Scope::parse("write read").unwrap(),
        subject: "svc".into(),
    })
}

fn record(grant: Arc<Grant>, confirmation: Option<Confirmation>) -> TokenRecord {
    let (issued_at, lifetime) = (Timestamp::from_unix_millis(1_000_999), Lifetime::from_seconds(600));
    TokenRecord { issued_at, lifetime, grant, confirmation }
}

fn address() -> TokenAddress {
    let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[1; 32]);
    Token::make("jt", &key, Page { dead_second: 0x01_0203_0405, number: 0x0607_0809 }, &[0xAB; 20]).1
}

fn body(record: &TokenRecord) -> String {
    String::from_utf8(active_body(&address(), record, "\"https://as.example\"")).unwrap()
}

#[test]
fn i01_the_members_stand_in_the_order_that_is_documented() {
    let record = record(grant("billing", &["x"]), None);
    let expected = concat!(
        r#"{"active":true,"scope":"read write","client_id":"billing","sub":"svc","aud":"x","iss":"https://as.example","#,
        r#""exp":1600,"iat":1000,"nbf":1000,"jti":"0ho6KVNVMkBJAAFh","token_type":"Bearer","a":[1],"tenant":"ac\"me"}"#
    );
    assert_eq!(body(&record), expected);
    assert_eq!(serde_json::from_str::<Value>(&body(&record)).unwrap()["exp"], json!(1600));
}

#[test]
fn a_bound_token_says_what_it_is_bound_to() {
    let (x5t_s256, jkt) = (Some([0; 32]), Some([0xFF; 32]));
    let (zeros, ones) = ("A".repeat(43), format!("{}8", "_".repeat(42)));
    let shown = |confirmation| {
        let value: Value = serde_json::from_str(&body(&record(grant("b", &[]), Some(confirmation)))).unwrap();
        (value["token_type"].clone(), value["cnf"].clone())
    };
    let by_certificate = shown(Confirmation { x5t_s256, jkt: None });
    assert_eq!(by_certificate, (json!("Bearer"), json!({"x5t#S256": zeros})));
    assert_eq!(shown(Confirmation { x5t_s256: None, jkt }), (json!("DPoP"), json!({"jkt": ones})));
    assert_eq!(shown(Confirmation { x5t_s256, jkt }), (json!("DPoP"), json!({"x5t#S256": zeros, "jkt": ones})));
    assert_eq!(shown(Confirmation::default()), (json!("Bearer"), Value::Null));
}

#[test]
fn i06_inactive_says_nothing_else_but_to_an_operator() {
    assert_eq!(INACTIVE, "{\"active\":false}");
    assert_eq!(inactive_body_with_reason("expired"), br#"{"active":false,"reason":"expired"}"#);
}

#[test]
fn i09_who_may_see_a_token() {
    let of_other = grant("billing", &["x", "y"]);
    assert!(may_see(&caller(IntrospectionRight::OwnOnly), &grant("api", &[])));
    assert!(!may_see(&caller(IntrospectionRight::OwnOnly), &of_other));
    assert!(may_see(&caller(audiences(&["z", "y", "a"])), &of_other));
    assert!(!may_see(&caller(audiences(&["z", "X"])), &of_other));
    assert!(!may_see(&caller(audiences(&["x"])), &grant("billing", &[])));
    assert!(may_see(&caller(audiences(&["x"])), &grant("api", &[])));
    assert!(may_see(&caller(IntrospectionRight::All), &grant("billing", &[])));
}

#[test]
fn i05_which_bearer_token_lets_its_client_introspect() {
    let issuer = "https://as.example";
    let may = |right, audience: &[&str], confirmation| {
        may_call_with_bearer(&caller(right), &record(grant("api", audience), confirmation), issuer)
    };
    assert!(may(audiences(&["x"]), &[], None) && may(IntrospectionRight::All, &["x", issuer], None));
    assert!(!may(IntrospectionRight::All, &["x"], None));
    assert!(!may(IntrospectionRight::OwnOnly, &[], None) && !may(audiences(&[]), &[], None));
    assert!(!may(IntrospectionRight::All, &[], Some(Confirmation { x5t_s256: None, jkt: Some([1; 32]) })));
}

#[test]
fn a_token_lives_only_while_its_client_stands_behind_it() {
    let check = |change: fn(&mut Registration)| {
        let mut registration = registration("billing", IntrospectionRight::OwnOnly);
        change(&mut registration);
        check_client(&record(grant("billing", &[]), None), &Clients::new([Client::new(registration)]))
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert_eq!(check(|client| client.client_id = ClientId::new("other")), Err(Inactive::ClientGone));
    assert_eq!(check(|client| client.disabled = true), Err(Inactive::ClientDisabled));
    assert_eq!(
        check(|client| client.not_before = Some(Timestamp::from_unix_millis(1_000_999))),
        Err(Inactive::NotBefore)
    );
    assert_eq!(check(|client| client.not_before = Some(Timestamp::from_unix_millis(1_000_998))), Ok(()));
}

#[test]
fn i15_a_claim_can_be_none_of_the_members_of_the_answer() {
    let value: Value = serde_json::from_str(&body(&record(grant("b", &["x"]), Some(Confirmation::default())))).unwrap();
    let own = value.as_object().unwrap().keys().filter(|name| !["a", "tenant"].contains(&name.as_str()));
    assert!(own.clone().count() >= 10);
    own.for_each(|name| assert!(RESERVED_CLAIMS.contains(&name.as_str()), "{name}"));
    assert!(["username", "cnf", "reason"].iter().all(|name| RESERVED_CLAIMS.contains(name)));
}
