//! `jeton keys`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::cli::{Call, jeton};

fn key_file() -> (TempDir, PathBuf, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jeton.keys");
    let name = file.to_str().unwrap().to_owned();
    (folder, file, name)
}

#[test]
fn a_file_is_made_once_and_is_its_owners_alone() {
    let (_folder, file, name) = key_file();
    jeton(&["keys", "generate", &name]).expect(0);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let made = std::fs::read(&file).unwrap();

    let refused = jeton(&["keys", "generate", &name]).expect(1);
    assert!(refused.stderr.contains("--if-missing"), "{}", refused.stderr);
    let left = jeton(&["keys", "generate", "--if-missing", &name]).expect(0);
    assert!((left.stdout + &left.stderr).contains(&name));
    assert_eq!(std::fs::read(&file).unwrap(), made, "an existing file was touched");

    let (_other_folder, other, other_name) = key_file();
    jeton(&["keys", "generate", "--if-missing", &other_name]).expect(0);
    assert_ne!(std::fs::read(&other).unwrap(), made, "two equal key files");
}

#[test]
fn a_list_shows_no_secret() {
    let (_folder, file, name) = key_file();
    jeton(&["keys", "generate", &name]).expect(0);
    jeton(&["keys", "rotate", &name, "--active-in", "10m"]).expect(0);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = jeton(&["keys", "list", &name]).expect(0).stdout;
    let secrets = std::fs::read_to_string(&file).unwrap();
    let long_words =
        secrets.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).filter(|word| word.len() >= 40);
    let mut count = 0;
    for secret in long_words {
        count += 1;
        assert!(!listed.contains(secret), "a key's secret is shown");
        assert!(!listed.contains(&secret[..16]), "a part of a key's secret is shown");
    }
    assert_eq!(count, 2, "the file holds two secrets");
    assert!(listed.lines().count() >= 2, "{listed}");
}

#[test]
fn ids_are_never_given_twice() {
    let (_folder, _file, name) = key_file();
    jeton(&["keys", "generate", &name]).expect(0);
    let ids = || -> Vec<u32> {
        let listed = jeton(&["keys", "list", &name]).expect(0).stdout;
        listed.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    };
    let mut seen = ids();
    assert_eq!(seen.len(), 1);
    for _ in 0..5 {
        jeton(&["keys", "rotate", &name, "--active-in", "0s"]).expect(0);
        let newest = *ids().iter().find(|id| !seen.contains(id)).expect("a new id");
        seen.push(newest);
        jeton(&["keys", "remove", &name, &newest.to_string()]).expect(0);
        assert!(!ids().contains(&newest));
    }
    let gone = jeton(&["keys", "remove", &name, &seen[1].to_string()]).expect(1);
    assert!(!gone.stderr.is_empty());
}

#[test]
fn the_last_key_stays() {
    let (_folder, file, name) = key_file();
    jeton(&["keys", "generate", &name]).expect(0);
    let before = std::fs::read(&file).unwrap();
    let listed = jeton(&["keys", "list", &name]).expect(0).stdout;
    let id = listed.lines().find_map(|line| line.split_whitespace().next()?.parse::<u32>().ok()).expect("an id");
    jeton(&["keys", "remove", &name, &id.to_string()]).expect(1);
    jeton(&["keys", "prune", &name]).expect(0);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

/// For secret managers: standard input and output.
#[test]
fn a_dash_is_standard_input_and_output() {
    let made = jeton(&["keys", "generate", "-"]).expect(0).stdout;
    let rotated =
        Call::new(&["keys", "rotate", "-", "--active-in", "10m"]).stdin(made.as_bytes()).run().expect(0).stdout;
    assert!(rotated.len() > made.len());
    let pruned = Call::new(&["keys", "prune", "-"]).stdin(rotated.as_bytes()).run().expect(0).stdout;
    assert_eq!(pruned.len(), rotated.len());
    let (_folder, file, name) = key_file();
    std::fs::write(&file, &rotated).unwrap();
    assert!(jeton(&["keys", "list", &name]).expect(0).stdout.lines().count() >= 2);
}

#[test]
fn a_file_that_holds_no_keys_is_refused_and_left_alone() {
    let (_folder, file, name) = key_file();
    std::fs::write(&file, "no keys\n").unwrap();
    for command in [vec!["rotate", &name], vec!["list", &name], vec!["remove", &name, "1"], vec!["prune", &name]] {
        let command = [vec!["keys"], command].concat();
        let finished = jeton(&command);
        assert!([1, 78].contains(&finished.code), "{command:?}: {}", finished.code);
        assert!(finished.stderr.contains("jeton.keys"), "{command:?}: {}", finished.stderr);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"no keys\n");
    assert!([1, 78].contains(&jeton(&["keys", "list", "/nowhere/at/all"]).code));
}
