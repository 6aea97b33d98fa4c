//! The example files: they hold every option, with its default, and what they show is accepted.

use std::path::Path;

use crate::config::clients;
use crate::config::document::Document;
use crate::config::environment;
use crate::config::file;
use crate::config::settings::{Settings, Value};
use crate::config::table::{self, Key, Kind, Preset};
use crate::oauth::reachable::Reachable;

const OPTIONS: &str = include_str!("../../../jeton.example.toml");
/// RFC 8037 appendix A.
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const TERMS: clients::Terms = clients::Terms {
    ttl_seconds_max: 86_400,
    certificates: clients::CertificatesTaken::All,
    reachable: Reachable::PUBLIC,
};
const CLIENTS: &str = include_str!("../../../clients.example.toml");

/// The text with every commented assignment made a real one.
fn uncommented(text: &str) -> String {
    let is_assignment = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if is_assignment(rest) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn settings(text: &str) -> Settings {
    let document = Document::from_bytes(Path::new("jeton.example.toml"), text.into()).unwrap();
    let mut mistakes = Vec::new();
    let settings = file::read_document(&document, &mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    settings
}

#[test]
fn the_example_is_a_configuration_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jeton.toml");
    std::fs::write(&path, OPTIONS).unwrap();
    let sources = crate::config::Sources { config_file: Some(path), ..Default::default() };
    let effective = sources.read().unwrap();
    assert!(effective.warnings.is_empty(), "{:?}", effective.warnings);
}

#[test]
fn the_example_shows_every_option_with_its_default() {
    let settings = settings(&uncommented(OPTIONS));
    for key in table::KEYS {
        let shown = settings.get(key.path).unwrap_or_else(|| panic!("{} is not shown", key.path));
        match (&shown.value, key.preset) {
            (_, Preset::Absent) => {}
            (Value::Text(text), Preset::Text(preset)) => assert_eq!(text, preset, "{}", key.path),
            (Value::Number(number), Preset::Number(preset)) => assert_eq!(*number, preset, "{}", key.path),
            (Value::Flag(flag), Preset::Flag(preset)) => assert_eq!(*flag, preset, "{}", key.path),
            (shown, preset) => panic!("{}: {shown:?} is not {preset:?}", key.path),
        }
    }
}

#[test]
fn every_option_of_the_example_is_explained() {
    for text in [OPTIONS, CLIENTS] {
        let lines: Vec<&str> = text.lines().collect();
        let uncommented = uncommented(text);
        let is_option = |line: &str| line.contains(" = ") && !line.starts_with('#');
        for (at, line) in uncommented.lines().enumerate().filter(|(_, line)| is_option(line)) {
            // A group shares one comment.
            let block = lines[..at].iter().rev().take_while(|line| !line.is_empty() && !line.starts_with('['));
            let is_known_elsewhere = text.matches(line.split(" = ").next().unwrap()).count() > 1;
            let explained = block.into_iter().any(|line| line.starts_with("# ") && !line.contains(" = "));
            assert!(explained || is_known_elsewhere, "line {}: {line}", at + 1);
        }
    }
    let units = |key: &&Key| matches!(key.kind, Kind::Number(..)) && key.path.ends_with("_ms");
    assert!(table::KEYS.iter().filter(units).all(|key| key.about.contains("Milliseconds")));
}

#[test]
fn every_option_has_a_variable() {
    for key in table::KEYS {
        let word = match key.kind {
            Kind::Number(min, _) => min.to_string(),
            Kind::Flag => "true".into(),
            Kind::Choice(words) => words[0].into(),
            _ => "x".into(),
        };
        let mut mistakes = Vec::new();
        let settings = environment::read(&[(key.variable(), word)], Path::new(""), &mut mistakes);
        assert!(mistakes.is_empty() && settings.get(key.path).is_some(), "{}: {mistakes:?}", key.path);
    }
}

#[test]
fn the_example_of_clients_is_accepted_and_shows_every_member() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("as-it-stands.toml"), CLIENTS).unwrap();
    let read = clients::ClientsSource::open(&at("as-it-stands.toml"), TERMS, Vec::new()).unwrap().1;
    assert_eq!((read.clients.len(), read.warnings.as_slice()), (5, &[][..]));

    std::fs::write(at("orders-api-secret"), "some-secret\n").unwrap();
    std::fs::write(at("reporting-worker.jwks"), JWKS).unwrap();
    std::fs::write(at("cluster.jwks"), JWKS).unwrap();
    // Of two ways to say one thing a client has one: the second stands in a client of its own.
    let all = uncommented(CLIENTS);
    let signs = "[[client]]\nclient_id = \"signs\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks_file = ";
    let mut all = all.replacen("jwks_file = ", signs, 1);
    let second = "[[trusted_issuer]]\nissuer = \"https://other.example\"\njwks_file = \"cluster.jwks\"";
    all = all.replacen("jwks_file = \"cluster.jwks\"", second, 1);
    let second = "[[client]]\nclient_id = \"publishes\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks_uri = ";
    all = all.replacen("jwks_uri = ", second, 1);
    let third = "[[trusted_issuer]]\nissuer = \"https://third.example\"\njwks_uri = \"https://kube";
    all = all.replacen("jwks_uri = \"https://kube", third, 1);
    // That file is a cluster's; here stands none.
    all = all.replacen("jwks_ca_file = ", "# jwks_ca_file = ", 1);
    for name in ["dns", "uri", "ip", "email"] {
        let member = format!("tls_client_auth_san_{name} = ");
        let shows =
            format!("[[client]]\nclient_id = \"{name}\"\ntoken_endpoint_auth_method = \"tls_client_auth\"\n{member}");
        all = all.replacen(&member, &shows, 1);
    }
    std::fs::write(at("all.toml"), &all).unwrap();
    let read = clients::read_file(&at("all.toml"), 86_400);
    assert!(read.mistakes.is_empty(), "{:#?}", read.mistakes);
    let table: toml::Table = all.parse().unwrap();
    let shown: Vec<&str> = table["client"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|client| client.as_table().unwrap().keys().map(String::as_str))
        .collect();
    for member in clients::MEMBERS {
        assert!(shown.contains(&member), "{member} is not shown");
    }
}
