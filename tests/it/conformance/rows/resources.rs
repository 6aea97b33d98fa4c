//! Section 10: resource indicators (RFC 8707), and `audience`.

use serde_json::{Value, json};

use crate::conformance::row::{Row, ask, ask_by, row};
use crate::harness::clients::API;

const GRANT: &str = "grant_type=client_credentials";
const OTHER: &str = "https://other.example.com/v1";

pub(crate) fn rows() -> Vec<Row> {
    let with = |parameters: &str| ask(format!("{GRANT}&{parameters}"));
    let many = |count: usize| {
        format!("{GRANT}{}", (0..count).map(|i| format!("&resource=https://r{i}.example.com")).collect::<String>())
    };
    let mut rows = vec![
        row("R01", "one", with(&format!("resource={OTHER}"))).token().grants("aud", OTHER),
        row("R01", "the same twice", with(&format!("resource={OTHER}&resource={OTHER}"))).token().grants("aud", OTHER),
        row("R01", "none: the default", ask(GRANT)).token().grants("aud", API),
        row("R01", "none: all", ask_by("reporting", GRANT)).token().grants("aud", json!([API, "reports"])),
        row("R01", "none registered", ask_by("strict-basic", GRANT)).token().grants("aud", Value::Null),
        row("R03", "unknown", with("resource=https://canary.example.com")).error("invalid_target"),
        row("R03", "one of two unknown", with(&format!("resource={API}&resource=https://canary.example.com")))
            .error("invalid_target"),
        row("R03", "another path", with("resource=https://api.example.com/canary")).error("invalid_target"),
        row("R03", "one more slash", with("resource=https://api.example.com/")).error("invalid_target"),
        row("R03", "of a client with none", ask_by("strict-basic", format!("{GRANT}&resource={API}")))
            .error("invalid_target"),
        row("R04", "two", with(&format!("resource={OTHER}&resource={API}"))).token().grants("aud", json!([API, OTHER])),
        row("R04", "sixteen", ask_by("many", many(16))).token(),
        row("R04", "seventeen", ask_by("many", many(17))).error("invalid_target"),
        row("R05", "a name", with("audience=orders")).token().grants("aud", "orders"),
        row("R05", "a URI", with(&format!("audience={OTHER}"))).token().grants("aud", OTHER),
        row("R05", "beside a resource", with(&format!("audience=orders&resource={API}")))
            .token()
            .grants("aud", json!([API, "orders"])),
        row("R05", "unknown", with("audience=canary")).error("invalid_target"),
        row("R05", "empty: as omitted", with("audience=")).token().grants("aud", API),
    ];
    for (name, resource) in [
        ("an empty one", ""),
        ("a fragment", "https://api.example.com%23canary"),
        ("an empty fragment", "https://api.example.com%23"),
        ("a relative one", "/v1"),
        ("a name", "orders"),
        ("no URI", "https://"),
        ("a space", "https://api.example.com/%20"),
    ] {
        rows.push(row("R02", name, with(&format!("resource={resource}"))).error("invalid_target"));
    }
    rows
}
