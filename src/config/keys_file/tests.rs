//! What the subcommands do to a key file, without a disk.

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn random() -> Random {
    Random::seeded(1)
}

fn parse(text: &str) -> Result<KeyFile, Vec<String>> {
    KeyFile::parse(Path::new("k"), text.into()).map_err(|found| found.iter().map(ToString::to_string).collect())
}

#[test]
fn what_is_written_is_read_back() {
    let mut file = KeyFile::generate(&random(), at(1000)).unwrap();
    file.rotate(&random(), at(2000)).unwrap();
    let text = file.render();
    let again = parse(&text).unwrap();
    assert_eq!(*again.render(), *text);
    assert_eq!(again.service_keys().unwrap().maker(at(1500)).id(), KeyId(1));
    assert!(text.contains("active_from = \"1970-01-01T00:16:40Z\""), "{}", text.as_str());
}

#[test]
fn ids_are_never_given_twice() {
    let mut file = KeyFile::generate(&random(), at(1)).unwrap();
    let second = file.rotate(&random(), at(2)).unwrap();
    file.remove(second).unwrap();
    let mut again = parse(&file.render()).unwrap();
    assert_eq!(again.rotate(&random(), at(3)).unwrap(), KeyId(3));
    again.last_id = 255;
    assert!(again.rotate(&random(), at(4)).unwrap_err().contains("255"));
    assert_eq!(again.last_id, 255);
}

#[test]
fn the_last_key_stays() {
    let mut file = KeyFile::generate(&random(), at(1)).unwrap();
    assert!(file.remove(KeyId(1)).unwrap_err().contains("only one"));
    assert!(file.remove(KeyId(9)).unwrap_err().contains("no key 9"));
}

#[test]
fn a_key_is_pruned_when_its_successor_has_made_for_long_enough() {
    let mut file = KeyFile::generate(&random(), at(0)).unwrap();
    file.rotate(&random(), at(10_000)).unwrap();
    file.rotate(&random(), at(50_000)).unwrap();
    assert_eq!(file.prune(at(10_000 + 100 + 3600), 100), []);
    assert_eq!(file.prune(at(10_000 + 100 + 3601), 100), [KeyId(1)]);
    assert_eq!(file.prune(at(u64::MAX / 2000), 100), [KeyId(2)]);
    assert_eq!(file.summaries(at(0)).len(), 1);
}

#[test]
fn states_follow_the_rule_of_the_maker() {
    let mut file = KeyFile::generate(&random(), at(100)).unwrap();
    file.rotate(&random(), at(200)).unwrap();
    let states = |now| file.summaries(at(now)).iter().map(|key| key.state).collect::<Vec<_>>();
    assert_eq!(states(50), [KeyState::Making, KeyState::Waiting]);
    assert_eq!(states(150), [KeyState::Making, KeyState::Waiting]);
    assert_eq!(states(200), [KeyState::Retired, KeyState::Making]);
}

#[test]
fn every_mistake_has_its_place_and_no_secret_is_repeated() {
    let text = "last = 1\n[[key]]\nid = 0\nactive_from = \"now\"\nsecret = \"hunter2\"\n[[key]]\nid = 2\n";
    assert_eq!(
        parse(text).unwrap_err(),
        [
            "k:1:1: there is no `last` in a key file",
            "k:3:6: a key's id is a whole number from 1 to 255",
            "k:4:15: `active_from` is a time by RFC 3339, as in \"2026-11-23T10:00:00Z\"",
            "k:5:10: `secret` is not 32 bytes in base64url, 43 characters",
            "k:6:1: a key without `active_from`",
            "k:6:1: a key without `secret`",
        ]
    );
    assert_eq!(parse("").unwrap_err(), ["k: holds no key; `jeton keys generate` makes a file with one"]);
    let twice = KeyFile::generate(&random(), at(1)).unwrap().render().replace("last_id = 1\n", "");
    let twice = format!("{twice}{}", &twice[twice.find("[[key]]").unwrap()..]);
    assert!(parse(&twice).unwrap_err()[0].contains("key id 1 stands twice"));
}

#[test]
fn nothing_secret_is_printed_by_debug() {
    let file = KeyFile::generate(&random(), at(1)).unwrap();
    let secret = BASE64URL_NOPAD.encode(&*file.keys[0].secret);
    let printed = format!("{file:?}");
    assert!(!printed.contains(&secret) && !printed.contains("secret"));
}
