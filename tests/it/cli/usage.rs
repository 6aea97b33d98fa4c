//! Help, versions, and wrong usage: exit code 2.

use crate::harness::cli::jeton;

#[test]
fn every_subcommand_has_help() {
    for command in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["keys", "--help"],
        vec!["keys", "generate", "--help"],
        vec!["keys", "rotate", "--help"],
        vec!["keys", "remove", "--help"],
        vec!["keys", "list", "--help"],
        vec!["keys", "prune", "--help"],
        vec!["client", "hash", "--help"],
        vec!["token", "get", "--help"],
        vec!["token", "introspect", "--help"],
        vec!["token", "revoke", "--help"],
        vec!["config", "check", "--help"],
        vec!["config", "show", "--help"],
        vec!["health", "--help"],
    ] {
        let finished = jeton(&command).expect(0);
        assert!(finished.stdout.contains("Usage"), "{command:?}: {}", finished.stdout);
        assert_eq!(finished.stderr, "", "{command:?}");
    }
    let version = jeton(&["--version"]).expect(0);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2_with_a_hint_on_standard_error() {
    for command in [
        vec!["serv"],
        vec!["serve", "--confg", "x"],
        vec!["keys"],
        vec!["keys", "rotate"],
        vec!["keys", "rotate", "f", "--active-in", "soon"],
        vec!["keys", "remove", "f"],
        vec!["keys", "remove", "f", "many"],
        vec!["token", "get", "--url", "http://127.0.0.1:1"],
        vec!["client", "hash", "--secret", "x"],
        vec![],
    ] {
        let finished = jeton(&command).expect(2);
        assert_eq!(finished.stdout, "", "{command:?}");
        assert!(!finished.stderr.is_empty(), "{command:?}");
    }
    let hint = jeton(&["serv"]).stderr;
    assert!(hint.contains("serve"), "{hint}");
}
