//! `config check`, `config show`, and a start with a bad configuration: exit code 78.

use tempfile::TempDir;

use crate::harness::cli::{Call, Finished};
use crate::harness::clients::{client, hash_of};
use crate::harness::{TestServer, until};

/// `jeton config check` in a folder with this configuration and these clients.
fn check(config: &str, clients: &str) -> Finished {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("jeton.toml"), config).unwrap();
    std::fs::write(folder.path().join("clients.toml"), clients).unwrap();
    Call::new(&["config", "check"]).within(folder.path()).run()
}

const GOOD: &str = "issuer = \"https://as.example\"\n[store]\nurl = \"memory:\"\n";

#[test]
fn a_good_configuration_is_0() {
    check(GOOD, &client("a", "audience = [\"x\"]")).expect(0);
}

/// All mistakes at once, each with file, line and column, and with what was meant.
#[test]
fn all_mistakes_are_told_at_once() {
    let config = r#"issuer = "http://as.example"
profle = "bcp"

[public]
listen = "127.0.0.1:notaport"
worker = 2

[store]
url = "redsi://127.0.0.1"
operation_timeout_ms = "soon"

[tokens]
ttl_seconds = -1
ttl_seconds_maximum = 5

[limits]
body_bytes = 0
"#;
    let clients = r#"[[client]]
client_id = "a"
client_sercet_hash = ["x"]

[[client]]
client_id = "b"
client_secret_hash = ["$md5$x"]
scop = "a"

[[client]]
client_id = "c"
client_secret_hash = ["$sha256$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]

[[client]]
client_id = "c"
client_secret_hash = ["$sha256$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
"#;
    let told = check(config, clients).expect(78).stderr;
    for place in [
        "jeton.toml:1:",
        "jeton.toml:2:1",
        "jeton.toml:5:",
        "jeton.toml:6:1",
        "jeton.toml:9:",
        "jeton.toml:10:",
        "jeton.toml:13:",
        "jeton.toml:14:1",
        "jeton.toml:17:",
        "clients.toml:3:1",
        "clients.toml:7:",
        "clients.toml:8:1",
        "clients.toml:15:",
    ] {
        assert!(told.contains(place), "{place} is missing:\n{told}");
    }
    for meant in ["profile", "workers", "ttl_seconds_max", "client_secret_hash", "scope"] {
        assert!(told.contains(&format!("did you mean `{meant}")), "{meant} is not guessed:\n{told}");
    }
}

#[test]
fn what_must_be_given_is_named() {
    let told = check("", "").expect(78).stderr;
    assert!(told.contains("issuer") && told.contains("store.url"), "{told}");
    // Not TOML at all.
    let told = check("issuer = ", "").expect(78).stderr;
    assert!(told.contains("jeton.toml:1:"), "{told}");
    // With Redis every node needs the same keys.
    let told = check("issuer = \"https://as.example\"\n[store]\nurl = \"redis://127.0.0.1\"\n", "").expect(78).stderr;
    assert!(told.contains("keys"), "{told}");
}

#[test]
fn files_that_are_missing_are_named() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("jeton.toml"), GOOD).unwrap();
    let told = Call::new(&["config", "check"]).within(folder.path()).run().expect(78).stderr;
    assert!(told.contains("clients.toml"), "{told}");
    let told =
        Call::new(&["config", "check", "--config", "nowhere.toml"]).within(folder.path()).run().expect(78).stderr;
    assert!(told.contains("nowhere.toml"), "{told}");
}

#[test]
fn the_environment_goes_over_the_file_and_is_as_strict() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("jeton.toml"), GOOD).unwrap();
    std::fs::write(folder.path().join("clients.toml"), "").unwrap();
    let call = |arguments: &[&str]| Call::new(arguments).within(folder.path());
    let told = call(&["config", "check"]).env("JETON_STORE__URI", "memory:").run().expect(78).stderr;
    assert!(told.contains("JETON_STORE__URI") && told.contains("JETON_STORE__URL"), "{told}");
    let told = call(&["config", "check"]).env("JETON_TOKENS__TTL_SECONDS", "soon").run().expect(78).stderr;
    assert!(told.contains("JETON_TOKENS__TTL_SECONDS"), "{told}");
    let shown = call(&["config", "show"])
        .env("JETON_TOKENS__TTL_SECONDS", "77")
        .env("JETON_ISSUER", "https://from-the-environment.example")
        .env("JETON_SERVICE_HOST", "10.0.0.1")
        .env("JETON_SERVICE_PORT", "4444")
        .env("JETON_PORT", "tcp://10.0.0.1:4444")
        .env("JETON_PORT_4444_TCP_ADDR", "10.0.0.1")
        .env("JETON_ADMIN_SERVICE_HOST", "10.0.0.1")
        .run()
        .expect(0)
        .stdout;
    for word in ["77", "JETON_TOKENS__TTL_SECONDS", "https://from-the-environment.example", "jeton.toml"] {
        assert!(shown.contains(word), "{word} is missing:\n{shown}");
    }
}

#[test]
fn secrets_are_masked() {
    let folder = TempDir::new().unwrap();
    let config = "issuer = \"https://as.example\"\n[store]\nurl = \"redis://jeton:PASSWORDCANARY@127.0.0.1\"\n\
                  password = \"PASSWORDCANARY\"\n[keys]\nfile = \"jeton.keys\"\n";
    std::fs::write(folder.path().join("jeton.toml"), config).unwrap();
    std::fs::write(folder.path().join("clients.toml"), "").unwrap();
    Call::new(&["keys", "generate", "jeton.keys"]).within(folder.path()).run().expect(0);
    for command in ["check", "show"] {
        let finished = Call::new(&["config", command]).within(folder.path()).run().expect(0);
        assert!(!(finished.stdout + &finished.stderr).contains("PASSWORDCANARY"), "config {command} shows a secret");
    }
}

/// What can hardly be meant is said, and is no mistake.
#[test]
fn what_cannot_work_is_warned_of() {
    let clients = [
        client("without-audience", "scope = \"a\""),
        client("of-api", "audience = [\"https://api.example.com\"]"),
        client("api", "introspection = [\"https://api.exampel.com\"]\ngrant_types = []"),
        "[[client]]\nclient_id = \"guessable\"\nclient_secret = \"password\"\naudience = [\"x\"]\n".to_owned(),
    ]
    .join("\n");
    let finished = check(GOOD, &clients).expect(0);
    let told = finished.stdout + &finished.stderr;
    for word in [
        "without-audience",
        "https://api.exampel.com",
        "did you mean `https://api.example.com`",
        "clients.toml:19:",
        "could be guessed",
    ] {
        assert!(told.contains(word), "{word} is missing:\n{told}");
    }
    assert!(!told.contains("password\""), "a secret is shown:\n{told}");
}

#[test]
fn too_many_secrets_are_a_mistake() {
    let hashes: Vec<String> = (0..5).map(|i| hash_of(&format!("secret {i}"))).collect();
    let told =
        check(GOOD, &format!("[[client]]\nclient_id = \"a\"\nclient_secret_hash = {hashes:?}\n")).expect(78).stderr;
    assert!(told.contains("clients.toml:3:"), "{told}");
}

#[test]
fn another_address_than_loopback_needs_a_word() {
    let with = |more: &str| format!("issuer = \"https://as.example\"\n[store]\nurl = \"memory:\"\n[public]\n{more}\n");
    let told = check(&with("listen = \"0.0.0.0:4444\""), "").expect(78).stderr;
    assert!(told.contains("plain_http"), "{told}");
    check(&with("listen = \"0.0.0.0:4444\"\nplain_http = \"any\""), "").expect(0);
}

#[tokio::test]
async fn a_start_with_a_bad_configuration_is_78() {
    let (_folder, mut process) = TestServer::builder().set("limits.body_byte", 1).spawn();
    assert_eq!(process.until_exit().await.code(), Some(78));
    until("the mistake", async || process.lines().iter().any(|line| line.contains("body_bytes")).then_some(())).await;
}

#[tokio::test]
async fn an_address_in_use_is_1_and_one_line() {
    let server = TestServer::builder().start().await;
    let (_folder, mut process) = TestServer::builder().set("public.listen", server.public.to_string()).spawn();
    assert_eq!(process.until_exit().await.code(), Some(1));
    let address = server.public.to_string();
    let line = until("a line", async || process.lines().into_iter().find(|line| line.contains(&address))).await;
    assert!(line.contains("--listen"), "{line}");
}
