//! What lies in Redis: flat pages, TTLs on all, nothing readable, and nothing that was touched is believed.

use super::server::bytes;
use super::*;
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::time::Timestamp;
use crate::oauth::token::{Confirmation, Page, Token};
use crate::store::redis::seal::RECORD_BYTES;

/// The page's key and the record's field.
pub(super) fn place(server: &Server, new: &NewRecord) -> (String, Vec<u8>) {
    let page = data_encoding::BASE64URL_NOPAD.encode(&new.address.page.to_bytes());
    let is_page = |key: &String| key.starts_with("jeton:") && key.ends_with(&format!("p:{page}"));
    let key = server.keys().into_iter().find(is_page).expect("no such page");
    (key, new.address.field().to_vec())
}

fn ttl(server: &Server, key: &str) -> i64 {
    match server.command(&["PTTL", key]) {
        redis::Value::Int(ttl) => ttl,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pages_are_flat_and_every_key_is_short_and_has_a_ttl() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.saved(100).await;
        let mut bound = node.records(1, &contract::grant("billing"));
        bound[0].record.confirmation = Some(Confirmation { x5t_s256: Some([1; 32]), jkt: Some([2; 32]) });
        bound[0].address.page.number ^= 1;
        node.save(&bound).await.unwrap();
        let (bound_key, _) = place(&server, &bound[0]);
        for key in server.keys() {
            assert!(key.len() <= 30, "{key}");
            let ttl = ttl(&server, &key);
            if key == "jeton:epoch" {
                assert!((1..=86_400_000).contains(&ttl), "{ttl}");
                continue;
            }
            if key.starts_with("jeton:g:") {
                assert!((2 * 86_400_000..=(2 * 86_400 + 3600) * 1000).contains(&ttl), "{ttl}");
                continue;
            }
            assert!((3_600_000..=3_600_000 + 56_000 + 120_000).contains(&ttl), "{ttl}");
            if key != bound_key {
                assert_eq!(bytes(server.command(&["OBJECT", "ENCODING", &key])), b"listpack");
            }
        }
        for new in &records {
            let (key, field) = place(&server, new);
            let stored = server.commands(&[&[b"HGET", key.as_bytes(), &field]]).remove(0);
            assert_eq!(bytes(stored).len(), RECORD_BYTES);
        }
    });
}

#[test]
fn a_page_that_revocations_emptied_comes_back_with_a_ttl() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.records(2, &contract::grant("billing"));
        node.save(&records[..1]).await.unwrap();
        let (key, _) = place(&server, &records[0]);
        node.delete(records[0].address).await.unwrap();
        assert!(!server.keys().contains(&key));
        node.save(&records[1..]).await.unwrap();
        assert!(ttl(&server, &key) > 0);
    });
}

#[test]
fn grants_come_back_after_a_flush_that_broke_no_connection() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        node.saved(1).await;
        for _ in 0..3 {
            server.command(&["FLUSHALL"]);
            let records = node.saved(3).await;
            let other = open_up(&server).await;
            assert_eq!(other.find(records[2].address).await, found(&records[2]));
        }
        assert_eq!(node.witness.saw("back"), 1, "one connection all along");
        let kept: Vec<String> = server.keys().into_iter().filter(|key| key != "jeton:epoch").collect();
        assert_eq!(kept.len(), 2, "{kept:?}");
    });
}

#[test]
fn a_grant_is_written_once() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        // The epoch is written by a SET too.
        until(|| server.keys().iter().any(|key| key == "jeton:epoch")).await;
        server.command(&["CONFIG", "RESETSTAT"]);
        for _ in 0..10 {
            node.saved(5).await;
        }
        let stats = String::from_utf8(bytes(server.command(&["INFO", "commandstats"]))).unwrap();
        let calls = |command: &str| {
            let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).unwrap();
            line.split(['=', ',']).nth(1).unwrap().parse::<u32>().unwrap()
        };
        assert_eq!((calls("set"), calls("exists"), calls("exec")), (1, 10, 10));
    });
}

#[test]
fn nothing_in_redis_can_be_read() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let page = node.saved(5).await[0].address.page;
        let (token, address) = Token::make("jt", contract::keys().get(KeyId(2)).unwrap(), page, &[5; 20]);
        let mut records = node.records(1, &contract::grant("billing"));
        records[0].address = address;
        node.save(&records).await.unwrap();
        server.command(&["SAVE"]);
        let dump = std::fs::read(server.folder().join("dump.rdb")).unwrap();
        for secret in
            ["billing", "svc:", "read write", "api.example", "tenant", token.expose(), &token.expose()[10..40]]
        {
            assert!(!dump.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    });
}

#[test]
fn ten_thousand_altered_swapped_and_copied_records_are_no_tokens() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.saved(34).await;
        let places: Vec<_> = records.iter().map(|new| place(&server, new)).collect();
        let read: Vec<[&[u8]; 3]> =
            places.iter().map(|(key, field)| [b"HGET", key.as_bytes(), field.as_slice()]).collect();
        let read: Vec<&[&[u8]]> = read.iter().map(|command| command.as_slice()).collect();
        let stored: Vec<Vec<u8>> = server.commands(&read).into_iter().map(bytes).collect();
        let mut tried = 0;
        for round in 1..=300_usize {
            let touched: Vec<Vec<u8>> = (0..34)
                .map(|at| {
                    // Its neighbour's bytes at some distance, or its own with a bit changed behind the version.
                    let mut bytes = stored[(at + round) % 34].clone();
                    if round % 34 == 0 || round > 34 {
                        bytes = stored[at].clone();
                        bytes[1 + (round + at) % (RECORD_BYTES - 1)] ^= 1 << (round % 8);
                    }
                    bytes
                })
                .collect();
            let write: Vec<[&[u8]; 4]> = places
                .iter()
                .zip(&touched)
                .map(|((key, field), bytes)| [b"HSET".as_slice(), key.as_bytes(), field, bytes])
                .collect();
            server.commands(&write.iter().map(|command| command.as_slice()).collect::<Vec<_>>());
            let lookups = node.store.find(records.iter().map(|new| new.address).collect()).await;
            assert!(lookups.iter().all(|lookup| *lookup == Ok(Lookup::SealBroken)), "{lookups:?}");
            tried += lookups.len();
        }
        assert!(tried >= 10_000);
        assert_eq!(node.witness.saw("refused: seal"), tried);
        // A whole page copied under another name.
        let (key, _) = &places[0];
        let copy = Page { number: records[0].address.page.number ^ 1, ..records[0].address.page };
        let name = format!("jeton:p:{}", data_encoding::BASE64URL_NOPAD.encode(&copy.to_bytes()));
        assert_eq!(server.command(&["COPY", key, &name]), redis::Value::Int(1));
        let mut copied = records[0].address;
        copied.page = copy;
        assert_eq!(node.find(copied).await, Ok(Lookup::SealBroken));
    });
}

#[test]
fn what_this_release_cannot_read_is_a_fault_and_no_inactive_token() {
    on_a_worker(async {
        let server = Server::start();
        let records = open_up(&server).await.saved(1).await;
        let grant = server.keys().into_iter().find(|key| key.starts_with("jeton:g:")).unwrap();
        let sealed = bytes(server.command(&["GET", &grant]));

        let mut altered = sealed.clone();
        altered[20] ^= 1;
        server.commands(&[&[b"SET", grant.as_bytes(), &altered, b"KEEPTTL"]]);
        let node = open_up(&server).await;
        assert_eq!(node.find(records[0].address).await, Err(StoreError::GrantSealBroken));
        assert_eq!(node.witness.saw("refused: grant_seal"), 1);

        altered[0] = 9;
        server.commands(&[&[b"SET", grant.as_bytes(), &altered, b"KEEPTTL"]]);
        assert_eq!(node.find(records[0].address).await, Err(StoreError::UnknownVersion));

        server.command(&["DEL", &grant]);
        assert_eq!(node.find(records[0].address).await, Err(StoreError::GrantMissing));
        assert_eq!(node.witness.saw("refused: grant_missing"), 1);

        server.commands(&[&[b"SET", grant.as_bytes(), &sealed, b"PX", b"60000"]]);
        assert_eq!(node.find(records[0].address).await, found(&records[0]));

        let (key, field) = place(&server, &records[0]);
        server.commands(&[&[b"HSET", key.as_bytes(), &field, b"\x09anything"]]);
        assert_eq!(node.find(records[0].address).await, Err(StoreError::UnknownVersion));
        assert_eq!(node.delete(records[0].address).await, Ok(()));
        assert_eq!(node.find(records[0].address).await, Ok(Lookup::NotFound));
    });
}

#[test]
fn a_key_of_another_type_is_refused_for_its_page_alone() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let mut records = node.records(2, &contract::grant("billing"));
        records[1].address.page.number = records[0].address.page.number.wrapping_add(1);
        let name = data_encoding::BASE64URL_NOPAD.encode(&records[1].address.page.to_bytes());
        server.command(&["SET", &format!("jeton:p:{name}"), "mine"]);
        assert_eq!(node.store.save(records.clone()).await, [Ok(()), Err(StoreError::Refused)]);
        assert_eq!(node.find(records[0].address).await, found(&records[0]));
        assert_eq!(node.find(records[1].address).await, Err(StoreError::Refused));
        assert_eq!(node.delete(records[1].address).await, Err(StoreError::Refused));
    });
}

#[test]
fn a_grant_that_cannot_be_brought_back_is_an_error_of_the_mint() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        node.saved(1).await;
        // Others may write, we may not bring grants back: the tokens are there, and nobody is told so.
        server.command(&["FLUSHALL"]);
        server.command(&["ACL", "SETUSER", "default", "-set"]);
        let records = node.records(2, &contract::grant("billing"));
        assert_eq!(node.save(&records).await, Err(StoreError::Denied));
        server.command(&["ACL", "SETUSER", "default", "+set"]);
        assert_eq!(node.save(&node.records(2, &contract::grant("billing"))).await, Ok(()));
        assert_eq!(open_up(&server).await.find(records[0].address).await, found(&records[0]));
    });
}

#[test]
fn a_removed_key_ends_its_tokens_and_makes_no_more() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.saved(1).await;
        let of_key_2 = &records[0];
        let first = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(1), &[1; 32]);
        node.keys.store(Arc::new(ServiceKeys::new(vec![first]).unwrap()));
        assert_eq!(node.find(of_key_2.address).await, Ok(Lookup::NotFound));
        let more = node.records(1, &contract::grant("billing"));
        assert_eq!(node.save(&more).await, Err(StoreError::Internal));
        assert_eq!(node.delete(of_key_2.address).await, Ok(()));
        node.keys.store(Arc::new(contract::keys()));
        assert_eq!(node.find(of_key_2.address).await, Ok(Lookup::NotFound), "deleted");
        node.saved(1).await;
    });
}
