//! What a clients file may hold, and what a reload makes of it.

mod proven;

use super::*;
use crate::oauth::client::{AuthMethod, IntrospectionRight};
use crate::oauth::quota::{Quota, Window};
use crate::oauth::rate_limit::RateLimit;
use crate::oauth::reachable::Reachable;
use crate::oauth::scope::Scope;
use crate::oauth::secret::{Secret, SecretHash};

const TERMS: Terms =
    Terms { ttl_seconds_max: 86_400, certificates: CertificatesTaken::All, reachable: Reachable::PUBLIC };
const STRONG: &str = "k7Qz1Xw9Rt4Lm2Vb8Nc6Jh3Gf5Dp0SaYeUo";

fn hash() -> String {
    "$sha256$".to_owned() + &"A".repeat(43)
}

fn read(text: &str) -> ReadFile {
    read_document(&Document::from_bytes(Path::new("c.toml"), text.into()).unwrap(), 86_400)
}

fn one(text: &str) -> Registration {
    let mut file = read(&format!("[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{}\"\n{text}", hash()));
    assert!(file.mistakes.is_empty(), "{:#?}", file.mistakes);
    file.clients.remove(0).registration
}

fn mistakes(text: &str) -> Vec<String> {
    read(text).mistakes.iter().map(ToString::to_string).collect()
}

fn mistake(text: &str) -> String {
    let text = format!("[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{}\"\n{text}", hash());
    let found = mistakes(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

#[test]
fn the_example_of_the_interface_is_read() {
    let client = one("client_name = \"Billing\"\ntoken_endpoint_auth_method = \"client_secret_post\"\n\
         scope = \"write read\"\ndefault_scope = \"read\"\naudience = [\"https://api\", \"b\", \"b\"]\n\
         default_audience = [\"b\"]\naccess_token_ttl_seconds = 600\nsubject = \"svc:billing\"\n\
         claims = { tenant = \"acme\", deep = { list = [1, 2.5, true] } }\n\
         not_before = 2026-11-23T10:00:00Z\ndisabled = true\nstrict_auth_method = true\n\
         grant_types = [\"client_credentials\"]\nintrospection = [\"b\", \"a\", \"b\"]\n");
    assert_eq!(client.auth_method, AuthMethod::ClientSecretPost);
    assert_eq!((client.scope, client.default_scope), (Scope::parse("read write").unwrap(), Scope::parse("read").ok()));
    assert_eq!(
        (client.audience, client.default_audience),
        (vec!["https://api".into(), "b".into()], Some(vec!["b".into()]))
    );
    assert_eq!((client.access_token_ttl_seconds, client.subject.as_deref()), (Some(600), Some("svc:billing")));
    assert_eq!(serde_json::to_string(&client.claims).unwrap(), r#"{"deep":{"list":[1,2.5,true]},"tenant":"acme"}"#);
    assert_eq!(client.not_before.unwrap().unix_seconds(), 1_795_428_000);
    assert!(client.disabled && client.strict_auth_method && client.client_credentials);
    assert_eq!(client.introspection, IntrospectionRight::Audiences(vec!["a".into(), "b".into()]));
    assert_eq!(client.client_name.as_deref(), Some("Billing"));
}

#[test]
fn what_is_left_out_is_empty_but_the_grant() {
    let client = one("");
    assert!(client.scope.is_empty() && client.audience.is_empty() && client.claims.is_empty());
    assert!(client.client_credentials && !client.disabled && client.default_audience.is_none());
    assert_eq!(client.introspection, IntrospectionRight::OwnOnly);
    assert!(!one("grant_types = []\n").client_credentials);
    assert_eq!(one("introspection = [\"*\"]\n").introspection, IntrospectionRight::All);
    assert_eq!(one("not_before = \"1970-01-01T00:00:01Z\"\n").not_before.unwrap().unix_seconds(), 1);
}

#[test]
fn a_rate_limit_has_a_rate_and_a_burst() {
    let limit = |text: &str| one(&format!("rate_limit = {{ {text} }}\n")).rate_limit.unwrap();
    let read = RateLimit { tokens_per_second: 5, burst: 20, report_only: true };
    assert_eq!(limit("tokens_per_second = 5, burst = 20, report_only = true"), read);
    assert_eq!(limit("tokens_per_second = 5"), RateLimit { burst: 5, report_only: false, ..read });
    let counted = one("rate_limit = { tokens_per_hour = 7, tokens_per_day = 9 }\n");
    let quota = |window, tokens| Quota { window, tokens, report_only: false };
    assert_eq!((counted.rate_limit, counted.quotas), (None, vec![quota(Window::Hour, 7), quota(Window::Day, 9)]));
    for (text, expected) in [
        ("5", "must be a table, as in { tokens_per_second = 50 }"),
        ("{}", "`rate_limit` without `tokens_per_second`, `tokens_per_hour` or `tokens_per_day`"),
        ("{ tokens_per_day = 5, burst = 5 }", "`burst` is for `tokens_per_second` alone"),
        ("{ tokens_per_hour = 0 }", "`tokens_per_hour`: 0 is not between 1 and 1000000000"),
        ("{ tokens_per_second = 0 }", "`tokens_per_second`: 0 is not between 1 and 1000000"),
        ("{ tokens_per_second = 1, bust = 2 }", "`rate_limit` has no `bust`; did you mean `burst`?"),
    ] {
        let found = mistakes(&format!(
            "[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{}\"\nrate_limit = {text}",
            hash()
        ));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:#?}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "[[client]]\nclient_id = \"\"\nclient_sercet_hash = [\"x\"]\n\n[[client]]\nclient_id = \"b\"\n\
                client_secret_hash = [\"$sha256$x\"]\n  scope = \"a  b\"\ndisabled = \"no\"\n\n\
                [[client]]\nclient_id = \"b\"\nclient_secret = \"x\"\n[[client]]\nclient_id = \"b\"\nclient_secret = \"x\"\n\
                jwks_uri = 1\n[clients]\n";
    assert_eq!(
        mistakes(text),
        [
            "c.toml:2:13: `client_id` must be 1 to 255 printable ASCII characters",
            "c.toml:3:1: a client has no `client_sercet_hash`; did you mean `client_secret_hash`?",
            "c.toml:7:23: `client_secret_hash` is not `$sha256$` and 43 characters of base64url; `jeton client hash` makes one of a secret",
            "c.toml:8:11: `scope` is not a scope: tokens of printable ASCII without quote and backslash, one space between two",
            "c.toml:9:12: `disabled` must be true or false, without quotes",
            "c.toml:12:13: client `b` is registered twice: first at c.toml:6:13",
            "c.toml:15:13: client `b` is registered twice: first at c.toml:6:13",
            "c.toml:17:12: `jwks_uri` must be text in quotes",
            "c.toml:18:2: there is no `clients` in a clients file; did you mean `[[client]]`?",
        ]
    );
    let bare = mistakes("[[client]]\nclient_id = \"x\"\n[[client]]\nclient_secret = \"y\"\n");
    assert!(
        bare[0].starts_with("c.toml:1:1: client `x` has no secret")
            && bare[1] == "c.toml:3:1: a client without `client_id`"
    );
    assert!(mistakes("[client]\nclient_id = \"a\"\n")[0].ends_with("write [[client]] with two brackets"));
    assert_eq!(mistakes("[[client]\n")[0].split(": ").next(), Some("c.toml:1:10"));
}

#[test]
fn each_member_is_checked() {
    for (text, expected) in [
        ("token_endpoint_auth_method = \"none\"", "public"),
        ("token_endpoint_auth_method = \"client_secret_jwt\"", "not in this release"),
        ("scope = \"a\"\ndefault_scope = \"a b c\"", "`default_scope` holds `b c`"),
        ("default_audience = [\"x\"]", "`default_audience` holds `x`"),
        ("audience = [\"*\"]", "c.toml:4:13: `*` is no audience"),
        ("audience = [\"a\", \"\"]", "c.toml:4:18: an audience is"),
        ("audience = \"a\"", "`audience` must be an array of texts"),
        ("audience = [1]", "c.toml:4:13: `audience` must be an array of texts alone"),
        ("access_token_ttl_seconds = 86401", "86401 is not between 1 and 86400 (tokens.ttl_seconds_max)"),
        ("access_token_ttl_seconds = 0", "0 is not between 1"),
        ("subject = \"\"", "`subject` is 1 to"),
        ("claims = { aud = 1 }", "c.toml:4:12: claim `aud`"),
        ("claims = { username = \"x\" }", "claim `username`"),
        ("claims = { a = [nan] }", "JSON cannot hold"),
        ("claims = 3", "`claims` must be a table"),
        ("not_before = \"yesterday\"", "`not_before` must be a time"),
        ("not_before = 2026-11-23", "`not_before` must be a time"),
        ("grant_types = [\"password\"]", "no grant type `password`"),
        ("introspection = [\"*\", \"a\"]", "it stands alone"),
        ("client_secret = \"\"", "`client_secret` is empty"),
        ("client_secrets = [{ id = \"a\", hash = \"$1$abc\" }]", "is of none of the forms `$sha256$`"),
        ("client_secrets = [{ id = \"a\", hash = \"$2b$12$abc\" }]", "is not well formed"),
        (
            "client_secrets = [{ id = \"a\", hash = \"$argon2id$v=19$m=1048576,t=3,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0SXBwO9oIiFM24FBTEn9Iuznkv/0pq88LHBzYueKkdc\" }]",
            "is too slow to verify: at most",
        ),
        ("client_secret_file = \"/absent/s\"", "/absent/s cannot be read"),
    ] {
        let found = mistake(text);
        assert!(found.contains(expected), "{text}\n{found}\n{expected}");
    }
    let five = format!("client_secret_hash = [{}]", vec![format!("\"{}\"", hash()); 5].join(", "));
    assert!(mistakes(&format!("[[client]]\nclient_id = \"a\"\n{five}\n"))[0].ends_with("at most 4 secrets"));
}

#[test]
fn secrets_that_stand_readable_or_could_be_guessed_warn() {
    let file = read(&format!(
        "[[client]]\nclient_id = \"a\"\nclient_secret = \"{STRONG}\"\n[[client]]\nclient_id = \"b\"\nclient_secret = \"hunter2\"\n"
    ));
    let warned: Vec<usize> = file.clients.iter().map(|client| client.warnings.len()).collect();
    assert_eq!(warned, [1, 2]);
    assert_eq!(file.clients[0].registration.secrets[0].hash, SecretHash::of(&Secret::new(STRONG.as_bytes())));
    assert!(!format!("{:?}", file.clients).contains("hunter2"));
}

#[test]
fn imported_hashes_stand_where_others_do_and_those_that_hardly_protect_warn() {
    const USUAL: &str = "$2b$12$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";
    let cheap = USUAL.replace("$12$", "$08$");
    let file = read(&format!(
        "[[client]]\nclient_id = \"a\"\nclient_secret_hash = [\"{USUAL}\", \"{}\"]\n[[client]]\nclient_id = \"b\"\nclient_secrets = [{{ id = \"x\", hash = \"{cheap}\" }}]\n",
        hash()
    ));
    let warned: Vec<usize> = file.clients.iter().map(|client| client.warnings.len()).collect();
    assert_eq!(warned, [0, 1]);
    assert!(file.clients[1].warnings[0].to_string().contains("cheap to compute"));
    let hashes = file.clients[0].registration.secrets.iter().map(|secret| secret.hash.expose());
    assert_eq!(hashes.collect::<Vec<_>>(), [USUAL.to_owned(), hash()]);
}

/// A folder of clients files.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| scene.write(name, text));
        scene
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn open(&self, name: &str) -> (ClientsSource, ClientsRead) {
        ClientsSource::open(&self.0.path().join(name), TERMS, Vec::new()).unwrap()
    }
}

fn client(id: &str, more: &str) -> String {
    format!("[[client]]\nclient_id = \"{id}\"\nclient_secret_hash = \"{}\"\naudience = [\"x\"]\n{more}\n", hash())
}

fn ids(ids: &[ClientId]) -> Vec<&str> {
    ids.iter().map(ClientId::as_str).collect()
}

#[test]
fn a_reload_tells_what_became_of_whom() {
    let scene = Scene::new(&[("c.toml", &(client("a", "") + &client("b", "") + &client("c", "")))]);
    let (mut source, first) = scene.open("c.toml");
    assert_eq!(ids(&first.diff.added), ["a", "b", "c"]);
    assert!(source.reload().unwrap().diff.is_empty());
    scene.write("c.toml", &(client("b", "scope = \"x\"") + &client("c", "") + &client("d", "")));
    let read = source.reload().unwrap();
    let diff = &read.diff;
    assert_eq!([ids(&diff.added), ids(&diff.changed), ids(&diff.removed)], [["d"], ["b"], ["a"]]);
    assert_eq!(read.clients.len(), 3);
}

#[test]
fn a_bad_file_changes_nothing() {
    let scene = Scene::new(&[("c.toml", &client("a", ""))]);
    let (mut source, _) = scene.open("c.toml");
    scene.write("c.toml", "[[client]\n");
    assert_eq!(source.reload().unwrap_err().len(), 1);
    std::fs::remove_file(scene.0.path().join("c.toml")).unwrap();
    assert!(source.reload().is_err());
    scene.write("c.toml", &client("a", ""));
    assert!(source.reload().unwrap().diff.is_empty());
}

#[test]
fn a_bad_file_of_a_folder_keeps_its_last_good_clients() {
    let scene = Scene::new(&[("a.toml", &client("a", "")), ("b.toml", &client("b", "")), ("c.txt", "no toml")]);
    let (mut source, first) = scene.open("");
    assert_eq!(first.clients.len(), 2);
    scene.write("a.toml", "[[client]\n");
    scene.write("b.toml", &(client("b", "") + &client("b2", "")));
    let read = source.reload().unwrap();
    assert_eq!((read.mistakes.len(), read.clients.len(), ids(&read.diff.added)), (1, 3, vec!["b2"]));
    // One that was never good has nothing to keep, and who is registered elsewhere already is told where.
    scene.write("z.toml", &(client("b", "") + &client("z", "")));
    let read = source.reload().unwrap();
    assert_eq!((read.mistakes.len(), read.clients.len()), (2, 3));
    assert!(read.mistakes[1].what.contains("b.toml:2:13"), "{:?}", read.mistakes);
    std::fs::remove_file(scene.0.path().join("a.toml")).unwrap();
    assert_eq!(ids(&source.reload().unwrap().diff.removed), ["a"]);
}

#[test]
fn at_the_start_nothing_bad_is_passed_over() {
    let scene = Scene::new(&[("a.toml", &client("a", "")), ("b.toml", &client("a", ""))]);
    let found = ClientsSource::open(scene.0.path(), TERMS, Vec::new()).unwrap_err();
    assert!(found[0].what.contains("registered twice"));
}

#[test]
fn a_secret_file_is_read_again_and_watched_even_while_it_is_missing() {
    let by_file = "[[client]]\nclient_id = \"f\"\nclient_secret_file = \"s\"\naudience = [\"x\"]\n";
    let scene = Scene::new(&[("c.toml", by_file), ("s", &format!("{STRONG}\n"))]);
    let (mut source, first) = scene.open("c.toml");
    assert!(first.warnings.is_empty(), "{:?}", first.warnings);
    assert_eq!(source.watched_paths(), [scene.0.path().join("c.toml"), scene.0.path().join("s")]);
    std::fs::remove_file(scene.0.path().join("s")).unwrap();
    assert!(source.reload().is_err());
    assert_eq!(source.watched_paths().len(), 2);
    scene.write("s", &STRONG.to_ascii_uppercase());
    assert_eq!(ids(&source.reload().unwrap().diff.changed), ["f"]);
    let generated = crate::oauth::generated_secret::make(&[7; 32]);
    scene.write("s", &generated[..generated.len() - 1]);
    let mistakes = source.reload().unwrap_err();
    assert!(mistakes[0].what.contains("its checksum is wrong"), "{mistakes:?}");
    scene.write("s", &generated);
    assert_eq!(ids(&source.reload().unwrap().diff.changed), ["f"]);
}

#[test]
fn what_can_hardly_be_meant_warns() {
    let text = client("a", "introspection = [\"y\", \"https://api.exampel\"]")
        .replace("\"x\"", "\"https://api.example\"")
        + &client("b", "").replace("audience = [\"x\"]", "")
        + &client("rs", "introspection = [\"*\"]").replace("audience = [\"x\"]", "")
        + "[[client]]\nclient_id = \"never\"\nclient_secret_hash = []\naudience = [\"y\"]\n";
    let scene = Scene::new(&[("c.toml", &text)]);
    let (_, read) = scene.open("c.toml");
    let told: Vec<&str> = read.warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].ends_with(
            "`https://api.exampel`, so there are no such tokens to see; did you mean `https://api.example`?"
        )
    );
    assert!(told[1].starts_with("tokens of client `b` have no audience"));
    assert!(told[2].starts_with("client `never` has no secret"));
    let (_, read) = Scene::new(&[("c.toml", "")]).open("c.toml");
    assert!(read.warnings[0].what.contains("no client"));
}

#[test]
fn demo_clients_stand_beside_the_files_and_behind_them() {
    let scene = Scene::new(&[("c.toml", &(client("demo", "scope = \"mine\"") + &client("a", "")))]);
    let path = scene.0.path().join("c.toml");
    let (_, read) = ClientsSource::open(&path, TERMS, demo::registrations()).unwrap();
    assert_eq!(read.clients.len(), 3);
    assert_eq!(read.clients.get("demo").unwrap().registration().scope.as_str(), "mine");
    assert!(read.warnings[0].what.contains("in place of the demo client"));
    let absent = ClientsSource::open(&scene.0.path().join("absent"), TERMS, demo::registrations());
    assert_eq!(absent.unwrap().1.clients.len(), 2);
}

/// RFC 7515 appendix A.3 and RFC 8037 appendix A.
const P256: &str = r#"{ kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }"#;
const ED25519: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}"#;

fn signing(members: &str) -> ReadFile {
    let text = format!("[[client]]\nclient_id = \"a\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\n{members}\n");
    read_bytes(Path::new("c.toml"), text.into_bytes(), 86_400)
}

#[test]
fn a_client_that_signs_has_keys_and_no_secret() {
    let read = signing(&format!("jwks = {{ keys = [{P256}, {{ kty = \"new\" }}] }}"));
    assert!(read.mistakes.is_empty(), "{:?}", read.mistakes);
    let registration = &read.clients[0].registration;
    assert_eq!((registration.auth_method, registration.keys.len()), (AuthMethod::PrivateKeyJwt, 1));
    assert!(
        advice::advise(read.clients.iter(), &[], TERMS.certificates)
            .iter()
            .all(|warning| !warning.to_string().contains("secret"))
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jwks");
    std::fs::write(&path, ED25519).unwrap();
    let read = signing(&format!("jwks_file = \"{}\"", path.display()));
    assert_eq!(read.clients[0].registration.keys.len(), 1);
    assert!(read.secret_files.contains(&path), "it is read again when it changes");
    std::fs::write(&path, &ED25519[1..]).unwrap();
    assert!(signing(&format!("jwks_file = \"{}\"", path.display())).mistakes[0].to_string().contains("no JSON object"));

    let private = P256.replace("kty", "d = \"AAAA\", kty");
    let small = r#"{ kty = "RSA", e = "AQAB", n = "n4g" }"#;
    for (members, expected) in [
        ("", "has no keys; give it `jwks`"),
        ("jwks = {}", "`jwks`: it has no array `keys`"),
        ("jwks = \"x\"", "`jwks` must be a table"),
        ("jwks = { keys = [] }", "`jwks` has no key that verifies"),
        (&format!("jwks = {{ keys = [{private}] }}"), "it holds the private key"),
        (&format!("jwks = {{ keys = [{small}] }}"), "2048 to 4096 bits"),
        (&format!("jwks = {{ keys = [{P256}] }}\nclient_secret = \"x\""), "has no `client_secret`; take it out"),
        (&format!("jwks = {{ keys = [{P256}] }}\njwks_file = \"/absent\""), "/absent cannot be read"),
    ] {
        let mistakes = signing(members).mistakes;
        assert!(mistakes.iter().any(|mistake| mistake.to_string().contains(expected)), "{members}: {mistakes:?}");
    }
    let idle =
        format!("[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{}\"\njwks = {{ keys = [{P256}] }}\n", hash());
    let read = read_bytes(Path::new("c.toml"), idle.into_bytes(), 86_400);
    assert!(read.clients[0].warnings[0].to_string().contains("`jwks` is used for nothing"));
}
