//! What must not come in through a dependency: the bans of deny.toml, held by reading the lock file wherever the tests run.

use crate::source::Breach;

/// Names, or beginnings of names, of crates that must not be in the lock file, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "cryptography is ring's alone"),
    ("native-tls", "cryptography is ring's alone"),
    ("aws-lc", "cryptography is ring's alone"),
    ("rustls-platform-verifier", "roots are compiled in, or a file that the configuration names"),
    ("fxhash", "no un-keyed hash on what others choose"),
];

/// Hashers that some build-time dependencies carry. They are banned by clippy in our code, not here.
pub(crate) fn banned(lock: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in lock.lines().enumerate() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else { continue };
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| name.starts_with(banned))
            && name != "openssl-probe"
        {
            breaches.push(Breach { path: "Cargo.lock".to_owned(), line: number + 1, what: format!("`{name}`: {why}") });
        }
    }
    breaches
}

#[test]
fn a_banned_crate_is_found() {
    let lock = "[[package]]\nname = \"aws-lc-sys\"\nversion = \"1\"\n[[package]]\nname = \"ring\"\n";
    let found = banned(lock);
    assert_eq!((found.len(), found[0].line), (1, 2));
}
