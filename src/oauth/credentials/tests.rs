//! Rows A01 to A21 as far as they are told without a registry, and K16.

use data_encoding::BASE64;
use proptest::prelude::*;

use super::*;

fn parse(endpoint: Endpoint, headers: &[&str], body: &str) -> Result<PresentedCredentials, ProtocolError> {
    let form = Form::parse(body.as_bytes()).unwrap();
    PresentedCredentials::parse(endpoint, headers.iter().map(|header| header.as_bytes()), &form)
}

fn at_token(headers: &[&str], body: &str) -> Result<PresentedCredentials, ProtocolError> {
    parse(Endpoint::Token, headers, body)
}

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}

/// The readings as text, and where they stood.
fn readings(presented: Result<PresentedCredentials, ProtocolError>) -> (PresentedMethod, Vec<(String, String)>) {
    let Ok(PresentedCredentials::Secret { method, first, second }) = presented else {
        panic!("no secret: {presented:?}");
    };
    let text = |reading: SecretReading| {
        (reading.client_id().to_string(), String::from_utf8_lossy(reading.secret()).into_owned())
    };
    (method, std::iter::once(first).chain(second).map(text).collect())
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(id, secret)| (id.to_string(), secret.to_string())).collect()
}

fn unproven(presented: Result<PresentedCredentials, ProtocolError>) -> Unproven {
    let Ok(PresentedCredentials::Unproven(why)) = presented else { panic!("something to verify: {presented:?}") };
    why
}

#[test]
fn a01_basic_and_body() {
    let (method, read) = readings(at_token(&[&basic("billing:hush")], ""));
    assert_eq!((method, read), (PresentedMethod::Basic, pairs(&[("billing", "hush")])));
    let (method, read) = readings(at_token(&[], "client_id=billing&client_secret=hu%2Fsh"));
    assert_eq!((method, read), (PresentedMethod::Post, pairs(&[("billing", "hu/sh")])));
}

#[test]
fn a02_a03_basic_is_read_form_decoded_first_and_raw_where_that_differs() {
    let read = |pair: &str| readings(at_token(&[&basic(pair)], "")).1;
    assert_eq!(read("id:a%2Bb+c%25"), pairs(&[("id", "a+b c%"), ("id", "a%2Bb+c%25")]));
    assert_eq!(read("a%3Ab:x%c3%a9"), pairs(&[("a:b", "xé"), ("a%3Ab", "x%c3%a9")]));
    assert_eq!(read("id:se:cret"), pairs(&[("id", "se:cret")]));
    for badly_escaped in ["100%", "%zz", "%4"] {
        assert_eq!(read(&format!("id:{badly_escaped}")), pairs(&[("id", badly_escaped)]));
    }
    assert_eq!(read("%ff:x"), pairs(&[("%ff", "x")]));
    assert_eq!(read("id:"), pairs(&[("id", "")]));
}

#[test]
fn a04_the_scheme_has_no_case_and_what_follows_the_credentials_spoils_them() {
    let encoded = BASE64.encode(b"id:hush");
    for good in [format!("basic {encoded}"), format!("BASIC {encoded}"), format!("Basic  {encoded}")] {
        assert_eq!(readings(at_token(&[&good], "")).1, pairs(&[("id", "hush")]), "{good}");
    }
    for bad in [format!("Basic {encoded} x"), format!("Basic {encoded},x"), format!("Basic {encoded}=")] {
        assert_eq!(unproven(at_token(&[&bad], "")), Unproven::Malformed, "{bad}");
    }
}

#[test]
fn a05_basic_that_cannot_be_read_is_an_attempt_that_failed() {
    let (no_colon, no_id) = (basic("id"), basic(":hush"));
    for bad in ["Basic ***", "Basic", "Basic ", "", &no_colon, &no_id, "Basic /w=="] {
        assert_eq!(unproven(at_token(&[bad], "")), Unproven::Malformed, "{bad}");
        assert_eq!(unproven(at_token(&[bad], "client_id=id")), Unproven::Malformed, "{bad}");
    }
    let no_text = format!("Basic {}", BASE64.encode(b"\xff:x"));
    assert_eq!(unproven(at_token(&[&no_text], "")), Unproven::Malformed);
}

#[test]
fn a09_nothing_to_verify() {
    assert_eq!(unproven(at_token(&[], "")), Unproven::Missing);
    assert_eq!(unproven(at_token(&[], "client_id=id")), Unproven::Missing);
    assert_eq!(unproven(at_token(&[], "client_secret=hush")), Unproven::Malformed);
}

#[test]
fn a10_a_secret_in_two_places_is_two_methods_but_at_introspection_where_it_is_the_same() {
    let header = basic("id:a%2Bb");
    for endpoint in [Endpoint::Token, Endpoint::Revocation, Endpoint::Introspection] {
        let parse = |body: &str| parse(endpoint, &[&header], body);
        for same in ["client_id=id&client_secret=a%2Bb", "client_secret=a%2Bb", "client_id=id&client_secret=a%252Bb"] {
            match endpoint {
                Endpoint::Introspection => assert_eq!(readings(parse(same)).0, PresentedMethod::Basic, "{same}"),
                _ => assert_eq!(parse(same).unwrap_err(), TWO_METHODS, "{same}"),
            }
        }
        assert_eq!(parse("client_id=id&client_secret=other").unwrap_err(), TWO_METHODS);
        let other_client = parse("client_id=other&client_secret=a%2Bb").unwrap_err();
        assert!(matches!(other_client, TWO_METHODS | TWO_CLIENTS));
        assert_eq!(readings(parse("client_id=id&client_secret=")).0, PresentedMethod::Basic, "P06");
    }
    for header in ["Basic ***", "Digest x", "Bearer x"] {
        assert_eq!(parse(Endpoint::Introspection, &[header], "client_secret=x").unwrap_err(), TWO_METHODS, "{header}");
    }
}

#[test]
fn a11_w02_an_assertion_stands_alone_and_with_its_type() {
    let jwt = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let assertion = &format!("{jwt}&client_assertion=x");
    for (body, client_id) in [(assertion.clone(), None), (format!("{assertion}&client_id=id"), Some("id"))] {
        let Ok(PresentedCredentials::Assertion(presented)) = at_token(&[], &body) else { panic!("{body}") };
        assert_eq!((presented.sent_to, presented.client_id.as_deref()), (Endpoint::Token, client_id));
        assert_eq!(*presented.assertion.as_ref().unwrap_err(), AssertionFault::Malformed);
    }
    for type_ in ["", "client_assertion_type=t&", "client_assertion_type=&"] {
        assert_eq!(at_token(&[], &format!("{type_}client_assertion=x")).unwrap_err(), FOREIGN_ASSERTION, "{type_}");
    }
    for assertion in ["", "&client_assertion=", "&client_id=id"] {
        assert_eq!(at_token(&[], &format!("{jwt}{assertion}")).unwrap_err(), NO_ASSERTION, "{assertion}");
    }
    assert_eq!(at_token(&[], &format!("{assertion}&client_secret=x")).unwrap_err(), TWO_METHODS);
    for header in [basic("id:hush").as_str(), "Bearer x", "Basic"] {
        assert_eq!(at_token(&[header], assertion).unwrap_err(), TWO_METHODS, "{header}");
    }
}

#[test]
fn a12_a13_a_client_id_beside_basic_must_be_the_same() {
    assert!(at_token(&[&basic("a:hush")], "client_id=a").is_ok());
    assert!(at_token(&[&basic("a%3Ab:hush")], "client_id=a%3Ab").is_ok());
    assert_eq!(at_token(&[&basic("a:hush")], "client_id=b").unwrap_err(), TWO_CLIENTS);
    // What the body names decides which reading is meant: the other may be another client.
    let read = |body: &str| readings(at_token(&[&basic("a%3Ab:x")], body)).1;
    assert_eq!(read("client_id=a:b"), pairs(&[("a:b", "x")]));
    assert_eq!(read("client_id=a%253Ab"), pairs(&[("a%3Ab", "x")]));
}

#[test]
fn a20_i05_bearer_is_for_introspection_alone() {
    for endpoint in [Endpoint::Token, Endpoint::Revocation] {
        assert_eq!(unproven(parse(endpoint, &["Bearer x"], "")), Unproven::Unsupported);
    }
    let presented = parse(Endpoint::Introspection, &["bearer  jt_x"], "token=y").unwrap();
    assert!(matches!(presented, PresentedCredentials::Bearer(token) if token.expose() == b"jt_x"));
    assert_eq!(unproven(parse(Endpoint::Introspection, &["Digest x"], "")), Unproven::Unsupported);
}

#[test]
fn a21_two_authorization_headers_are_refused_even_when_equal() {
    let header = basic("id:hush");
    assert_eq!(at_token(&[&header, &header], "").unwrap_err(), TWO_HEADERS);
}

#[test]
fn k16_an_access_token_in_header_and_body_is_refused() {
    for endpoint in [Endpoint::Token, Endpoint::Introspection] {
        assert_eq!(parse(endpoint, &["Bearer x"], "access_token=x").unwrap_err(), TWO_TOKENS);
    }
    assert!(at_token(&[&basic("id:hush")], "access_token=x").is_ok());
}

#[test]
fn nothing_presented_is_printed() {
    let shown = format!("{:?}", at_token(&[&basic("billing:hu%2Fsh")], "").unwrap());
    assert!(shown.contains("billing") && !shown.contains("hu"), "{shown}");
}

proptest! {
    #[test]
    fn whatever_a_client_encodes_is_the_first_reading(id in "[^\0]{1,20}", secret in "[^\0]{0,40}") {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (_, read) = readings(at_token(&[&basic(&format!("{}:{}", encode(&id), encode(&secret)))], ""));
        prop_assert_eq!(&read[0], &(id, secret));
    }

    #[test]
    fn whatever_a_client_sends_raw_is_the_last_reading(id in "[^\0:]{1,20}", secret in "[^\0]{0,40}") {
        let (_, read) = readings(at_token(&[&basic(&format!("{id}:{secret}"))], ""));
        prop_assert_eq!(read.last(), Some(&(id, secret)));
    }

    #[test]
    fn no_header_makes_it_panic(header in proptest::collection::vec(any::<u8>(), 0..60)) {
        let form = Form::parse(b"").unwrap();
        let _ = PresentedCredentials::parse(Endpoint::Introspection, std::iter::once(header.as_slice()), &form);
    }
}
