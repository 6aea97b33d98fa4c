//! Rows A16, K06 to K10, R01 to R05, and the client's `not_before`.

use proptest::prelude::*;

use super::super::form::Form;
use super::*;

fn registration() -> Registration {
    let scope = |text| Scope::parse(text).unwrap();
    Registration {
        scope: scope("read write admin"),
        default_scope: Some(scope("read")),
        audience: vec!["urn:b:1".into(), "https://a.example/x?y=1".into(), "plain".into()],
        default_audience: Some(vec!["plain".into()]),
        ..Registration::new(ClientId::new("billing"))
    }
}

fn authorise(client: &Client, rest: &str) -> Result<Arc<Grant>, ProtocolError> {
    let body = format!("grant_type=client_credentials&{rest}");
    let form = Form::parse(body.as_bytes()).unwrap();
    client.authorise(&TokenRequest::parse(&form).unwrap(), || Timestamp::from_unix_seconds(1000))
}

fn scope_of(client: &Client, rest: &str) -> Result<String, ProtocolError> {
    authorise(client, rest).map(|grant| grant.scope().as_str().to_string())
}

fn audience_of(client: &Client, rest: &str) -> Result<Vec<String>, ProtocolError> {
    authorise(client, rest).map(|grant| grant.audience().to_vec())
}

#[test]
fn a16_a_client_with_no_grant_type_gets_no_token() {
    let client = Client::new(Registration { client_credentials: false, ..registration() });
    assert_eq!(authorise(&client, "scope=%22").unwrap_err(), NO_GRANT);
}

#[test]
fn k06_another_grant_type_is_unsupported_whatever_else_is_wrong() {
    let client = Client::new(Registration { client_credentials: false, ..registration() });
    for grant_type in ["authorization_code", "password", "refresh_token", "foo", "Client_Credentials"] {
        let body = format!("grant_type={grant_type}&scope=%22&resource=x");
        let form = Form::parse(body.as_bytes()).unwrap();
        let refused = client.authorise(&TokenRequest::parse(&form).unwrap(), || Timestamp::from_unix_seconds(0));
        assert_eq!(refused.unwrap_err(), ProtocolError::UnsupportedGrantType);
    }
}

#[test]
fn k07_k10_scope_asked_for_or_by_default() {
    let client = Client::new(registration());
    assert_eq!(scope_of(&client, ""), Ok("read".into()));
    assert_eq!(scope_of(&client, "scope="), Ok("read".into()), "P05");
    assert_eq!(scope_of(&client, "scope=write+admin+write"), Ok("admin write".into()));
    let all = Client::new(Registration { default_scope: None, ..registration() });
    assert_eq!(scope_of(&all, ""), Ok("admin read write".into()));
    let none = Client::new(Registration { default_scope: None, scope: Scope::default(), ..registration() });
    assert_eq!(scope_of(&none, ""), Ok(String::new()));
    assert_eq!(scope_of(&none, "scope=read"), Err(FOREIGN_SCOPE));
}

#[test]
fn k08_k09_p13_a_scope_not_allowed_or_not_in_grammar_is_invalid() {
    let client = Client::new(registration());
    for foreign in ["unknown", "read+unknown", "READ"] {
        assert_eq!(scope_of(&client, &format!("scope={foreign}")), Err(FOREIGN_SCOPE), "{foreign}");
    }
    for bad in ["%22", "a%5C", "%01", "%C3%A9", "+read", "read+", "read++write", "+", "read%09write"] {
        assert_eq!(scope_of(&client, &format!("scope={bad}&resource=x")), Err(BAD_SCOPE), "{bad}");
    }
}

#[test]
fn what_asks_for_nothing_in_particular_gets_the_prepared_grant() {
    let client = Client::new(registration());
    for rest in ["", "scope=read", "scope=read+read", "audience=plain", "audience=", "scope=read&audience=plain&foo=1"]
    {
        assert!(Arc::ptr_eq(&authorise(&client, rest).unwrap(), &client.default_grant), "{rest}");
    }
}

#[test]
fn r01_r04_registered_resources_become_the_audience() {
    let client = Client::new(registration());
    assert_eq!(audience_of(&client, ""), Ok(vec!["plain".into()]));
    assert_eq!(audience_of(&client, "resource=urn:b:1"), Ok(vec!["urn:b:1".into()]));
    let two = "resource=urn:b:1&resource=https%3A%2F%2Fa.example%2Fx%3Fy%3D1&resource=urn:b:1";
    assert_eq!(audience_of(&client, two), Ok(vec!["https://a.example/x?y=1".into(), "urn:b:1".into()]));
    let all = Client::new(Registration { default_audience: None, ..registration() });
    assert_eq!(audience_of(&all, "").unwrap().len(), 3);
    let targets = |count| vec!["resource=urn:b:1"; count].join("&");
    assert!(audience_of(&client, &targets(16)).is_ok());
    assert_eq!(audience_of(&client, &targets(17)), Err(TOO_MANY_TARGETS));
    assert_eq!(audience_of(&client, &format!("{}&audience=plain", targets(16))), Err(TOO_MANY_TARGETS));
}

#[test]
fn r02_a_resource_is_an_absolute_uri_without_a_fragment() {
    let client = Client::new(registration());
    for bad in
        ["", "plain", "urn:b:1%23f", "urn:b:1%23", "/x", "//a.example/x", "1a:b", "a+b:c", ":x", "https:", "urn:%C3%A9"]
    {
        assert_eq!(audience_of(&client, &format!("resource={bad}")), Err(NO_URI), "{bad}");
    }
}

#[test]
fn r03_r05_a_target_that_is_not_registered_is_invalid() {
    let client = Client::new(registration());
    assert_eq!(audience_of(&client, "audience=plain&resource=urn:b:1").unwrap(), ["plain", "urn:b:1"]);
    for foreign in
        ["resource=urn:b:2", "audience=other", "audience=plain&audience=PLAIN", "resource=https://a.example/x"]
    {
        assert_eq!(audience_of(&client, foreign), Err(FOREIGN_TARGET), "{foreign}");
    }
    assert_eq!(authorise(&client, "scope=nope&audience=other").unwrap_err(), FOREIGN_SCOPE, "scope is judged first");
}

#[test]
fn i16_the_subject_is_the_registered_one_or_the_client() {
    let members = |registration| Client::new(registration).default_grant.introspection_members().to_string();
    assert!(members(registration()).contains(r#""client_id":"billing","sub":"billing""#));
    let named = Registration { subject: Some("svc:b".into()), ..registration() };
    assert!(members(named).contains(r#""client_id":"billing","sub":"svc:b""#));
}

#[test]
fn no_token_is_issued_that_would_be_dead_at_birth() {
    let wait = |not_before_millis| {
        let not_before = Some(Timestamp::from_unix_millis(not_before_millis));
        authorise(&Client::new(Registration { not_before, ..registration() }), "").err()
    };
    let not_yet = |retry_after_seconds| Some(ProtocolError::NotYet { retry_after_seconds });
    assert_eq!(wait(999_999), None);
    assert_eq!(wait(1_000_000), not_yet(1));
    assert_eq!(wait(1_001_000), not_yet(2));
    assert_eq!(wait(u64::MAX), not_yet(5));
}

proptest! {
    #[test]
    fn whatever_is_asked_for_no_more_is_given_than_registered(rest in "[&=%a-z:+#.]{0,60}", scope in "[a-z +]{0,20}") {
        let client = Client::new(registration());
        let body = format!("grant_type=client_credentials&scope={scope}&{rest}");
        let Ok(form) = Form::parse(body.as_bytes()) else { return Ok(()) };
        let Ok(request) = TokenRequest::parse(&form) else { return Ok(()) };
        if let Ok(grant) = client.authorise(&request, || Timestamp::from_unix_seconds(1)) {
            prop_assert!(grant.scope().is_within(&client.registration().scope));
            prop_assert!(grant.audience().iter().all(|one| client.registration().audience.contains(one)));
        }
    }
}
