//! `jeton client hash` and `jeton client list`.

use serde_json::Value;

use crate::harness::cli::{Call, Finished, jeton};
use crate::harness::clients::{client, fixture, hash_of, secret_of};
use crate::harness::config::ADMIN_TOKEN;
use crate::harness::{Request, TestServer, until};

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
    assert!(
        secret.len() == 53
            && secret.starts_with("jts_")
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
        "{secret}"
    );
    assert_ne!(parts().0, secret);
    let text = format!("[[client]]\nclient_id = \"fresh\"\nclient_secret_hash = [\"{hash}\"]\n");
    let server = TestServer::builder().with_clients(&text).start().await;
    server.client("fresh").with_secret(&secret).request_token("").await.expect_token();
    let hashed = |secret: &str| Call::new(&["client", "hash"]).stdin(format!("{secret}\n").as_bytes()).run();
    assert_eq!(hashed(&secret).expect(0).stdout.trim(), hash);
    let refused = hashed(&secret[..52]);
    assert!(refused.stderr.contains("its checksum is wrong"), "{}", refused.stderr);
    refused.expect(1);
}

async fn list(server: &TestServer, format: &str) -> Finished {
    let url = format!("http://{}", server.admin);
    let arguments = ["client", "list", "--url", &url, "--token-file", "-", "--format", format];
    let call = Call::new(&arguments).stdin(format!("{ADMIN_TOKEN}\n").as_bytes()).within(server.folder());
    tokio::task::spawn_blocking(|| call.run()).await.unwrap().expect(0)
}

fn secrets_of(listing: &str, id: &str) -> Value {
    let listing: Value = serde_json::from_str(listing).unwrap();
    let client = listing["clients"].as_array().unwrap().iter().find(|client| client["client_id"] == id).cloned();
    client.unwrap_or_else(|| panic!("no {id} in {listing}"))["client_secrets"].clone()
}

/// A18: the end of a rotation can be seen, and a reload does not hide it.
#[tokio::test]
async fn the_list_shows_when_secrets_end_and_were_last_used() {
    let server = TestServer::builder().start().await;
    let before = list(&server, "json").await.stdout;
    for word in ["$sha256$", &secret_of("ending"), &hash_of(&secret_of("ending"))[8..]] {
        assert!(!before.contains(word), "a secret in the list: {before}");
    }
    let secrets = secrets_of(&before, "ending");
    assert_eq!(secrets[0]["id"], "2020");
    assert_eq!((&secrets[0]["expired"], &secrets[0]["expires_at"]), (&true.into(), &"2020-01-01T00:00:00Z".into()));
    assert_eq!((&secrets[1]["expired"], &secrets[1]["expires_at"]), (&false.into(), &"2098-12-31T23:00:00Z".into()));
    assert_eq!((&secrets[0]["last_used"], &secrets[1]["last_used"]), (&Value::Null, &Value::Null));

    server.client("ending").request_token("").await.expect_token();
    let expired = server.client("ending").with_secret(&secret_of("ending, before"));
    expired.request_token("").await.expect_error(401, "invalid_client");
    assert!(server.metric("jeton_client_authentications_total", &["outcome=\"secret_expired\""]).await > 0.5);
    server.write("clients.toml", &format!("{}\n{}", fixture(), client("newcomer", "")));
    let after = until("the newcomer in the list", async || {
        let listing = list(&server, "json").await.stdout;
        listing.contains("newcomer").then_some(listing)
    })
    .await;
    let secrets = secrets_of(&after, "ending");
    assert_eq!(secrets[0]["last_used"], Value::Null, "an expired secret was not used");
    assert!(secrets[1]["last_used"].as_str().is_some_and(|used| used.ends_with('Z')), "{secrets}");
    let table = list(&server, "table").await.stdout;
    let line = table.lines().find(|line| line.starts_with("disabled ")).expect("a line for `disabled`");
    assert!(line.contains("client_secret_hash") && line.ends_with('-'), "{line}");
}

/// Only an operator sees it, and in parts where he asks for parts.
#[tokio::test]
async fn the_list_is_for_operators_and_comes_in_pages() {
    let server = TestServer::builder().start().await;
    let ask = async |query: &str| {
        server.send_admin(&Request::get(&format!("/admin/clients{query}")).bearer(ADMIN_TOKEN)).await
    };
    server.send_admin(&Request::get("/admin/clients")).await.expect_error(401, "invalid_token");
    server.send_admin(&Request::get("/admin/clients").bearer("wrong")).await.expect_error(401, "invalid_token");
    server.get("/admin/clients").await.expect(404);
    ask("?limit=0").await.expect_error(400, "invalid_request");
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = ask(&query).await.expect(200).json().clone();
        let ids =
            page["clients"].as_array().unwrap().iter().map(|client| client["client_id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&after={}", crate::harness::request::encode(next));
    }
    let all: toml::Table = fixture().parse().unwrap();
    let mut ids: Vec<&str> =
        all["client"].as_array().unwrap().iter().map(|client| client["client_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(seen, ids);
}
