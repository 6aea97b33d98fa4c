//! `jeton client hash`.

use crate::harness::TestServer;
use crate::harness::cli::{Call, jeton};
use crate::harness::clients::hash_of;

const SECRET: &str = "q7Zk2m_P0x-Yt4Wc8Rb1Nf6Vd3Jh9Gs5La-Ue2Io7Ex";

#[test]
fn a_secret_is_hashed_as_the_file_wants_it() {
    for ending in ["", "\n", "\r\n"] {
        let finished = Call::new(&["client", "hash"]).stdin(format!("{SECRET}{ending}").as_bytes()).run().expect(0);
        assert_eq!(finished.stdout.trim(), hash_of(SECRET), "{ending:?}");
        assert!(!(finished.stdout + &finished.stderr).contains(SECRET));
    }
}

#[test]
fn a_guessable_secret_is_refused_with_a_hint() {
    for weak in ["password", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0123456789012345678901234567890"] {
        let finished = Call::new(&["client", "hash"]).stdin(weak.as_bytes()).run().expect(1);
        assert_eq!(finished.stdout, "");
        assert!(finished.stderr.contains("--generate"), "{}", finished.stderr);
        assert!(!finished.stderr.contains(weak), "the secret is shown");
    }
    jeton(&["client", "hash"]).expect(1);
}

/// What it makes works at once, and is another each time.
#[tokio::test]
async fn a_generated_secret_opens_the_door() {
    let parts = || {
        let finished = jeton(&["client", "hash", "--generate"]).expect(0);
        let all = format!("{}\n{}", finished.stdout, finished.stderr);
        let words: Vec<&str> = all.split_whitespace().collect();
        let hash = words.iter().find(|word| word.contains("$sha256$")).expect("a hash").to_string();
        let hash = hash[hash.find('$').unwrap()..].trim_matches(|c| c == '"' || c == ']').to_owned();
        let secret = words.iter().find(|word| hash_of(word) == hash).expect("its secret").to_string();
        (secret, hash)
    };
    let (secret, hash) = parts();
    assert!(secret.len() >= 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{secret}");
    assert_ne!(parts().0, secret);
    let text = format!("[[client]]\nclient_id = \"fresh\"\nclient_secret_hash = [\"{hash}\"]\n");
    let server = TestServer::builder().with_clients(&text).start().await;
    server.client("fresh").with_secret(&secret).request_token("").await.expect_token();
}
