//! The kept corpus, and small changes of it, through every door: what a fuzzer found once is not found again by a user.

use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;
use crate::random::Random;

/// Changes of each input.
const CHANGES: usize = 200;

fn folder(parts: &[&str]) -> PathBuf {
    parts.iter().fold(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz"), |path, part| path.join(part))
}

/// The inputs that are kept for a door, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let path = folder(&["corpus", target]);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One small change: a byte set, one left out, one doubled, a piece of another input put in.
fn change(input: &mut Vec<u8>, other: &[u8], random: &Random) {
    let [kind, by, a, b, c, d]: [u8; 6] = random.bytes().unwrap();
    let at = usize::from(u16::from_be_bytes([a, b])) % (input.len() + 1);
    match kind % 4 {
        0 => input.insert(at, by),
        1 if at < input.len() => drop(input.remove(at)),
        2 if at < input.len() => input[at] = by,
        _ => {
            let from = usize::from(u16::from_be_bytes([c, d])) % (other.len() + 1);
            let piece = &other[from..other.len().min(from + usize::from(by % 32))];
            drop(input.splice(at..at, piece.iter().copied()));
        }
    }
}

#[test]
fn the_corpus_and_small_changes_of_it_pass_every_door() {
    for (name, door) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 3, "{name} has hardly any corpus");
        let random = Random::seeded(1);
        for (index, (path, input)) in corpus.iter().enumerate() {
            println!("{}", path.display());
            door(input);
            let other = &corpus[(index + 1) % corpus.len()].1;
            let mut changed = input.clone();
            for turn in 0..CHANGES {
                if turn % 8 == 0 {
                    changed.clone_from(input);
                }
                change(&mut changed, other, &random);
                door(&changed);
            }
        }
    }
}

#[test]
fn every_door_has_a_target_and_every_target_a_door() {
    let mut targets: Vec<String> = fs::read_dir(folder(&["fuzz_targets"]))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    targets.sort();
    let mut doors: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    doors.sort_unstable();
    assert_eq!(targets, doors);
    let manifest = fs::read_to_string(folder(&["Cargo.toml"])).unwrap();
    for door in doors {
        assert!(manifest.contains(&format!("name = \"{door}\"")), "{door} is not in fuzz/Cargo.toml");
        let target = fs::read_to_string(folder(&["fuzz_targets", &format!("{door}.rs")])).unwrap();
        assert!(target.contains(&format!("jeton::fuzzing::{door}(")), "{door}'s target calls another");
    }
}
