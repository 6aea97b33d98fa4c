//! Rows P01 to P13, and that no body is read in another way than the reference decoder reads it.

use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<Form<'_>, ProtocolError> {
    Form::parse(body.as_bytes())
}

fn refused(body: &[u8]) -> bool {
    matches!(Form::parse(body), Err(ProtocolError::InvalidRequest(_)))
}

#[test]
fn p01_a_repeated_known_parameter_is_refused_even_when_equal_or_empty() {
    let once = [
        "grant_type",
        "scope",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "token",
        "token_type_hint",
        "access_token",
    ];
    for name in once {
        for body in [format!("{name}=a&{name}=a"), format!("{name}&{name}=b"), format!("{name}=a&x=1&{name}=")] {
            assert!(refused(body.as_bytes()), "{body}");
        }
    }
}

#[test]
fn p02_p03_p04_targets_and_unknown_parameters_may_repeat() {
    let form = parse("resource=a&resource=a&audience=b&audience=&audience=c&foo=1&foo=2&&").unwrap();
    assert_eq!(form.resource, ["a", "a"]);
    assert_eq!(form.audience, ["b", "c"]);
}

#[test]
fn p05_p06_p07_an_empty_value_counts_as_left_out() {
    let form = parse("scope=&client_secret&grant_type=&token=").unwrap();
    assert!(form.scope.is_none() && form.client_secret.is_none() && form.grant_type.is_none());
    assert_eq!(form.token(), Err(NO_TOKEN));
    assert!(parse("").unwrap().token.is_none());
}

#[test]
fn p08_escapes_are_undone_and_nothing_is_copied_without_one() {
    let form = parse("scope=%41+b%2B%20c&client_id=plain&t%6Fken=a=b").unwrap();
    assert_eq!(form.scope.as_deref(), Some("A b+ c"));
    assert!(matches!(form.client_id, Some(Cow::Borrowed("plain"))));
    assert_eq!(form.token(), Ok("a=b"));
}

#[test]
fn p09_what_is_badly_encoded_is_refused_in_names_and_values_known_or_not() {
    for bad in ["%zz", "%4", "%", "%ff", "%00", "%c0%80", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "a%+1"] {
        for body in [format!("scope={bad}"), format!("foo={bad}"), format!("{bad}=x")] {
            assert!(refused(body.as_bytes()), "{body}");
        }
    }
    for raw in [&b"scope=\xff"[..], b"scope=\0", b"foo=\xc0\x80"] {
        assert!(refused(raw), "{raw:?}");
    }
    assert_eq!(parse("client_id=%c3%a9").unwrap().client_id.as_deref(), Some("é"));
    assert_eq!(parse("client_id=é").unwrap().client_id.as_deref(), Some("é"));
}

#[test]
fn p10_secrets_in_the_query_are_refused_and_the_rest_of_it_is_ignored() {
    for query in ["token=x", "a=b&access_token=x", "client_secret", "client%5fassertion=x"] {
        assert_eq!(check_query(Some(query)), Err(IN_QUERY), "{query}");
    }
    for query in [None, Some(""), Some("client_id=a&grant_type=b"), Some("Token=x&%zz")] {
        assert_eq!(check_query(query), Ok(()), "{query:?}");
    }
}

#[test]
fn p12_limits_hold_to_the_byte() {
    let many = |count: usize| vec!["x=1"; count].join("&");
    assert!(parse(&many(64)).is_ok() && refused(many(65).as_bytes()));
    let name = |bytes: usize| format!("{}=1", "n".repeat(bytes));
    assert!(parse(&name(256)).is_ok() && refused(name(257).as_bytes()));
    let value = |bytes: usize| format!("token={}", "v".repeat(bytes));
    assert!(parse(&value(8192)).is_ok() && refused(value(8193).as_bytes()));
}

#[test]
fn p13_names_are_case_sensitive() {
    assert!(parse("Grant_Type=client_credentials&GRANT_TYPE=x").unwrap().grant_type.is_none());
}

#[test]
fn a_form_prints_nothing() {
    assert_eq!(format!("{:?}", parse("client_secret=hush").unwrap()), "Form { .. }");
}

proptest! {
    #[test]
    fn whatever_is_encoded_comes_back(scope in "[^\0]{1,60}", client in "[^\0]{1,60}") {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("scope", &scope).append_pair("client_id", &client).finish();
        let form = parse(&body).unwrap();
        prop_assert_eq!(form.scope.as_deref(), Some(scope.as_str()));
        prop_assert_eq!(form.client_id.as_deref(), Some(client.as_str()));
    }

    #[test]
    fn any_bytes_are_read_as_the_reference_reads_them_or_refused(body in "[&=+%a-f0-9tokensc]{0,80}") {
        if let Ok(form) = parse(&body) {
            let reference: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
            let find = |name: &str| reference.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_ref());
            prop_assert_eq!(form.token.as_deref(), find("token"));
            prop_assert_eq!(form.scope.as_deref(), find("scope"));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Form::parse(&body);
    }
}
