//! Servers that refuse for a while, each in its own words, also in those of `EXEC`; and passwords that change.

use std::sync::Arc;

use super::server::bytes;
use super::*;
use crate::oauth::secret::Secret;
use crate::store::redis::options::Access;

/// What a server that refuses all with this `code` is taken for, until `cure`.
async fn refuses(node: &Opened, expected: StoreError, code: &str, cure: impl FnOnce()) {
    until(|| node.witness.saw(code) == 1).await;
    let records = node.records(1, &contract::grant("billing"));
    assert_eq!(node.save(&records).await, Err(expected));
    assert_eq!(node.find(records[0].address).await, Err(expected));
    assert_eq!(node.delete(records[0].address).await, Err(expected));
    cure();
    until(|| node.store.is_up()).await;
    assert_eq!(node.save(&records).await, Ok(()));
}

#[test]
fn a_server_busy_with_a_script_is_not_serving() {
    on_a_worker(async {
        let server = Server::start_with(&["--busy-reply-threshold", "1"]);
        let node = open_up(&server).await;
        let script = std::os::unix::net::UnixStream::connect(server.socket()).unwrap();
        std::io::Write::write_all(&mut &script, b"EVAL \"while true do end\" 0\r\n").unwrap();
        let kill = || drop(server.command(&["SCRIPT", "KILL"]));
        refuses(&node, StoreError::NotServing, "BUSY", kill).await;
    });
}

#[test]
fn a_replica_without_its_master_is_not_serving() {
    on_a_worker(async {
        let server = Server::start_with(&["--replica-serve-stale-data", "no"]);
        let node = open_up(&server).await;
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        let records = node.records(1, &contract::grant("billing"));
        // Which of the three says so first is a matter of time: the command, the role, or the greeting.
        until(|| !node.store.is_up()).await;
        assert_eq!(node.save(&records).await, Err(StoreError::NotServing));
        server.command(&["REPLICAOF", "NO", "ONE"]);
        until(|| node.store.is_up()).await;
        assert_eq!(node.save(&records).await, Ok(()));
    });
}

#[test]
fn a_server_that_cannot_save_stops_writes_and_nothing_else() {
    on_a_worker(async {
        let server = Server::start_with(&["--save", "3600 1000000", "--enable-protected-configs", "yes"]);
        let node = open_up(&server).await;
        let records = node.saved(2).await;
        let lost = tempfile::tempdir().unwrap();
        server.command(&["CONFIG", "SET", "dir", lost.path().to_str().unwrap()]);
        drop(lost);
        server.command(&["BGSAVE"]);
        let failed = || String::from_utf8(bytes(server.command(&["INFO", "persistence"]))).unwrap();
        until(|| failed().contains("rdb_last_bgsave_status:err")).await;
        assert_eq!(node.save(&node.records(1, &contract::grant("billing"))).await, Err(StoreError::WritesStopped));
        assert_eq!(node.delete(records[0].address).await, Err(StoreError::WritesStopped));
        assert_eq!(node.find(records[1].address).await, found(&records[1]));
        assert_eq!(node.witness.saw("lost"), 0);
        server.command(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
        assert_eq!(node.delete(records[0].address).await, Ok(()));
    });
}

/// A store that a user with these passwords opens.
fn with_passwords(server: &Server, password: &str, previous: Option<&str>) -> RedisOptions {
    let options = server.options();
    let secret = |text: &str| Secret::new(text.as_bytes());
    options.access.store(Arc::new(Access {
        username: Some("jeton".into()),
        password: Some(secret(password)),
        password_previous: previous.map(secret),
        tls: None,
    }));
    options
}

#[test]
fn while_a_password_changes_the_one_before_it_opens() {
    on_a_worker(async {
        let server = Server::start();
        server.command(&["ACL", "SETUSER", "jeton", "on", ">old", "~*", "+@all"]);
        let node = open(with_passwords(&server, "new", Some("old")));
        until(|| node.store.is_up()).await;
        let records = node.saved(1).await;
        let warned = || node.witness.saw("took store.password_previous");
        assert_eq!((warned(), node.witness.saw("lost")), (1, 0));
        let reconnect = async || {
            let connection = node.store.0.ways.reads.state().connection();
            server.command(&["CLIENT", "KILL", "USER", "jeton"]);
            until(|| node.store.0.ways.reads.state().connection() > connection).await;
            assert_eq!(node.find(records[0].address).await, found(&records[0]));
        };
        // Once more with the same: it was said already.
        reconnect().await;
        server.command(&["ACL", "SETUSER", "jeton", "resetpass", ">new"]);
        reconnect().await;
        assert_eq!((warned(), node.witness.saw("lost")), (1, 0));
        // Neither opens; what is told is the refusal, and it is no end.
        server.command(&["ACL", "SETUSER", "jeton", "resetpass", ">newer"]);
        server.command(&["CLIENT", "KILL", "USER", "jeton"]);
        until(|| node.witness.saw("lost") == 1).await;
        assert_eq!(node.witness.saw("WRONGPASS"), 1);
        assert_eq!(node.find(records[0].address).await, Err(StoreError::Denied));
        let newer = with_passwords(&server, "newer", Some("new")).access.load_full();
        node.store.0.options.access.store(newer);
        until(|| node.store.is_up()).await;
        assert_eq!(node.find(records[0].address).await, found(&records[0]));
        assert_eq!(warned(), 1);
    });
}
