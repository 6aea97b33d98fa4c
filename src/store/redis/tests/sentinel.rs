//! The store behind sentinels: the contract, and what becomes of it when another server is made primary.

#![allow(clippy::disallowed_methods, reason = "a test may wait for a process it started")]

use std::thread::sleep;
use std::time::Instant;

use redis::Value;

use super::server::bytes;
use super::*;
use crate::store::redis::endpoint::Address;
use crate::store::redis::lookout::{Primary, Whereabouts};

/// A primary, its replica, and a sentinel that knows both.
struct Group {
    servers: [Server; 2],
    sentinel: Server,
}

impl Group {
    fn start(lines: &str) -> Self {
        Self::start_with(&[], lines)
    }

    fn start_with(arguments: &[&str], lines: &str) -> Self {
        let arguments = [&["--repl-diskless-sync-delay", "0"], arguments].concat();
        let primary = Server::start_with(&arguments);
        let port = primary.port.to_string();
        let replica = Server::start_with(&[&arguments[..], &["--replicaof", "127.0.0.1", &port]].concat());
        let follows = |server: &Server| {
            let guarded = arguments.contains(&"--requirepass");
            let login: &[&[u8]] = if guarded { &[b"AUTH", b"right"] } else { &[b"PING"] };
            let info = server.commands(&[login, &[b"INFO", b"replication"]]).remove(1);
            String::from_utf8(bytes(info)).unwrap().contains("master_link_status:up")
        };
        // A sentinel that begins earlier hears of the replica only ten seconds later.
        let begun = Instant::now();
        while !follows(&replica) {
            assert!(begun.elapsed() < PATIENCE, "the replica does not follow");
            sleep(Duration::from_millis(2));
        }
        let sentinel = Server::start_sentinel(&primary, lines);
        Self { servers: [primary, replica], sentinel }
    }

    fn url(&self) -> String {
        // One that is not there harms nobody.
        format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/main", self.sentinel.port)
    }

    fn options(&self) -> RedisOptions {
        let patience = self.servers[0].options().operation_timeout;
        RedisOptions { operation_timeout: patience, ..RedisOptions::parse_url(&self.url()).unwrap() }
    }

    /// Waits until a failover would succeed.
    async fn until_whole(&self) {
        until(|| {
            let Value::Array(replicas) = self.sentinel.command(&["SENTINEL", "REPLICAS", "main"]) else { return false };
            replicas.iter().any(|replica| {
                let Value::Array(state) = replica else { return false };
                let state: Vec<Vec<u8>> = state.iter().cloned().map(bytes).collect();
                let is = |name: &[u8], value: &[u8]| state.windows(2).any(|pair| pair == [name, value]);
                is(b"master-link-status", b"ok") && is(b"flags", b"slave")
            })
        })
        .await;
    }
}

#[test]
fn the_contract_holds_behind_a_sentinel() {
    on_a_worker(async {
        let group = Group::start("");
        contract::holds(async || {
            group.servers[0].command(&["FLUSHALL"]);
            let pair = (open(group.options()).store, open(group.options()).store);
            until(|| pair.0.is_up() && pair.1.is_up()).await;
            pair
        })
        .await;
    });
}

#[test]
fn a_failover_is_followed_while_both_servers_live() {
    on_a_worker(async {
        let group = Group::start("");
        let node = open(group.options());
        until(|| node.store.is_up()).await;
        group.until_whole().await;
        let before = node.saved(2).await;
        until(|| group.servers[1].keys().len() == group.servers[0].keys().len()).await;
        let connection = node.store.0.ways.reads.state().connection();
        assert_eq!(group.sentinel.command(&["SENTINEL", "FAILOVER", "main"]), Value::Okay);
        // The old primary takes itself for one until it is told, some ten seconds later.
        until(|| node.store.0.ways.reads.state().connection() > connection).await;
        let after = node.records(1, &contract::grant("billing"));
        until_saved(&node, &after).await;
        assert_eq!(node.find(before[0].address).await, found(&before[0]));
        assert_eq!(node.find(after[0].address).await, found(&after[0]));
        let kept = group.servers[1].command(&["INFO", "commandstats"]);
        assert!(String::from_utf8(bytes(kept)).unwrap().contains("cmdstat_hget"), "asked of the new one");
    });
}

/// Saves what was refused until it is not.
async fn until_saved(node: &Opened, records: &[NewRecord]) {
    let saving = tokio::time::timeout(PATIENCE, async {
        while node.save(records).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    saving.await.expect("never saved");
}

#[test]
fn the_connection_to_a_former_primary_ends_although_it_is_silent_and_well() {
    on_a_worker(async {
        let (one, other) = (Server::start(), Server::start());
        // Nobody follows anything: this test is the sentinels.
        let options = RedisOptions::parse_url("redis+sentinel://127.0.0.1:1/main").unwrap();
        let Whereabouts::Sentinel(lookout) = options.whereabouts.clone() else { panic!("no sentinels") };
        let name = |server: &Server, epoch| {
            let address = Address { host: "127.0.0.1".into(), port: server.port };
            lookout.tell(Primary { address, epoch });
        };
        name(&one, 1);
        let node = open(options);
        until(|| node.store.is_up()).await;
        let connection = node.store.0.ways.reads.state().connection();
        name(&one, 2);
        let kept = node.saved(1).await;
        assert_eq!(node.store.0.ways.reads.state().connection(), connection, "the same primary under a later epoch");
        name(&other, 3);
        until(|| node.store.0.ways.reads.state().connection() > connection).await;
        assert_eq!(node.find(kept[0].address).await, Ok(Lookup::NotFound));
        node.saved(1).await;
        assert!(!other.keys().is_empty());
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn a_server_that_says_it_is_a_replica_is_not_used_whatever_sentinels_say() {
    on_a_worker(async {
        let server = Server::start_with(&["--replicaof", "127.0.0.1", "1"]);
        let sentinel = Server::start_sentinel(&server, "");
        let node =
            open(RedisOptions::parse_url(&format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port)).unwrap());
        until(|| node.witness.saw("lost: the store is not serving yet") == 1).await;
        let records = node.records(1, &contract::grant("billing"));
        assert_eq!(node.save(&records).await, Err(StoreError::NotServing));
    });
}

#[test]
fn what_is_wrong_with_the_sentinels_is_told() {
    on_a_worker(async {
        let server = Server::start();
        let sentinel = Server::start_sentinel(&server, "");
        let told = [
            (sentinel.port, "other", "knows no primary named other"),
            (server.port, "main", "unknown command"),
            (1, "main", "refused"),
        ];
        for (port, service, expected) in told {
            let url = format!("redis+sentinel://127.0.0.1:{port}/{service}");
            let node = open(RedisOptions::parse_url(&url).unwrap());
            until(|| node.witness.saw("no sentinel names a primary") == 1).await;
            assert_eq!(node.witness.saw(expected), 1, "{:?}", node.witness);
            assert_eq!(
                node.find(node.records(1, &contract::grant("a"))[0].address).await,
                Err(StoreError::Unavailable)
            );
        }
    });
}

#[test]
fn users_and_passwords_are_those_of_the_servers_and_of_sentinels_that_have_any() {
    on_a_worker(async {
        let guarded = ["--requirepass", "right", "--masterauth", "right"];
        let open_sentinel = "sentinel auth-pass main right";
        for lines in [open_sentinel.to_owned(), format!("{open_sentinel}\nrequirepass right")] {
            let group = Group::start_with(&guarded, &lines);
            let url = group.url().replace("://", "://:right@");
            let node = open(RedisOptions::parse_url(&url).unwrap());
            until(|| node.store.is_up()).await;
            node.saved(1).await;
        }
        let group = Group::start_with(&guarded, &format!("{open_sentinel}\nrequirepass right"));
        let wrong = open(RedisOptions::parse_url(&group.url().replace("://", "://:wrong@")).unwrap());
        until(|| wrong.witness.saw("WRONGPASS") == 1).await;
    });
}
