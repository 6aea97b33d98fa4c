//! Revocations that outlive what Redis forgets.

use redis::Value;

use super::layout::place;
use super::*;
use crate::store::journal::Journal;
use crate::store::redis::journal::RedisJournal;

/// What Redis holds of a record, so that it can be put back.
pub(super) struct Copy {
    key: String,
    field: Vec<u8>,
    sealed: Vec<u8>,
}

impl Copy {
    pub(super) fn of(server: &Server, new: &NewRecord) -> Self {
        let (key, field) = place(server, new);
        let sealed = server::bytes(server.commands(&[&[b"HGET", key.as_bytes(), &field]]).remove(0));
        Self { key, field, sealed }
    }

    pub(super) fn put_back(&self, server: &Server) {
        server.commands(&[&[b"HSET", self.key.as_bytes(), &self.field, &self.sealed]]);
    }

    /// Where the slot is on its way there.
    pub(super) fn put_back_asking(&self, server: &Server) {
        server.commands(&[&[b"ASKING"], &[b"HSET", self.key.as_bytes(), &self.field, &self.sealed]]);
    }

    pub(super) fn is_there_asking(&self, server: &Server) -> bool {
        server.commands(&[&[b"ASKING"], &[b"HEXISTS", self.key.as_bytes(), &self.field]])[1] == Value::Int(1)
    }

    pub(super) fn is_there(&self, server: &Server) -> bool {
        server.commands(&[&[b"HEXISTS", self.key.as_bytes(), &self.field]]) == [Value::Int(1)]
    }
}

fn length(server: &Server) -> Value {
    server.command(&["XLEN", "jeton:journal"])
}

/// A node of its own: another process, with a journal of its own.
fn node_with(server: &Server, journal: Journal) -> Opened {
    open(RedisOptions { journal: Arc::new(RedisJournal::new(journal)), ..server.options() })
}

#[test]
fn a_record_that_comes_back_is_refused_by_who_revoked_it_and_by_who_was_told() {
    on_a_worker(async {
        let server = Server::start();
        let (a, b) = (open_up(&server).await, open_up(&server).await);
        let records = a.saved(2).await;
        let copy = Copy::of(&server, &records[0]);
        assert_eq!(a.delete(records[0].address).await, Ok(()));
        copy.put_back(&server);
        assert_eq!(a.find(records[0].address).await, Ok(Lookup::NotFound));
        assert_eq!(a.find(records[1].address).await, found(&records[1]));
        let journal = |node: &Opened| node.store.0.options.journal.entries.figures();
        assert_eq!((journal(&a).entries, journal(&a).overruled), (1, 1));

        until(|| journal(&b).entries == 1).await;
        assert_eq!(b.find(records[0].address).await, Ok(Lookup::NotFound));
        // A node that starts now reads the stream before it answers, and deletes again.
        assert!(copy.is_there(&server));
        let c = open(server.options());
        until(|| c.store.is_up()).await;
        assert_eq!(c.find(records[0].address).await, Ok(Lookup::NotFound));
        assert!(!copy.is_there(&server));
        assert_eq!((journal(&a).dropped, journal(&a).missing), (journal(&c).dropped, 0));
    });
}

#[test]
fn what_was_not_found_is_journaled_all_the_same() {
    on_a_worker(async {
        let server = Server::start();
        let (a, b) = (open_up(&server).await, open_up(&server).await);
        let records = a.saved(1).await;
        let copy = Copy::of(&server, &records[0]);
        // The try that deleted it was not answered: nobody journaled it.
        server.commands(&[&[b"HDEL", copy.key.as_bytes(), &copy.field]]);
        assert_eq!(b.delete(records[0].address).await, Ok(()));
        copy.put_back(&server);
        assert_eq!(b.find(records[0].address).await, Ok(Lookup::NotFound));
        // And what could not be deleted is not.
        server.command(&["ACL", "SETUSER", "default", "-hdel"]);
        let records = a.saved(1).await;
        assert_eq!(a.delete(records[0].address).await, Err(StoreError::Denied));
        assert_eq!(a.find(records[0].address).await, found(&records[0]));
    });
}

#[test]
fn a_server_restarted_from_an_old_dump_shows_no_revoked_token() {
    on_a_worker(async {
        let mut server = Server::start();
        let (a, b) = (open_up(&server).await, open_up(&server).await);
        let records = a.saved(300).await;
        server.command(&["SAVE"]);
        let addresses: Vec<TokenAddress> = records.iter().map(|new| new.address).collect();
        let revoked = contract::deletions(&addresses[..299]);
        assert!(a.store.delete(revoked).await.into_iter().all(|deleted| deleted.is_ok()));
        until(|| b.store.0.options.journal.entries.len() == 299).await;
        server.kill();
        // Asked all the while, also for the first answer of the server that forgot.
        let asking = async |node: &Opened| {
            let mut answers = 0;
            while answers < 5 {
                let found = node.store.find(addresses.clone()).await;
                assert!(!found[..299].iter().any(|lookup| matches!(lookup, Ok(Lookup::Found(_)))));
                answers += usize::from(found[299] == self::found(&records[299]));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        server.restart();
        tokio::join!(asking(&a), asking(&b));
        // The deletes were sent again, and the stream, which had forgotten them too, has them again.
        let c = open_up(&server).await;
        assert_eq!(c.find(addresses[0]).await, Ok(Lookup::NotFound));
        until(|| c.store.0.options.journal.entries.len() == 299).await;
    });
}

#[test]
fn a_history_that_changes_on_an_open_connection_is_noticed() {
    on_a_worker(async {
        let server = Server::start();
        let a = open_up(&server).await;
        let records = a.saved(1).await;
        let copy = Copy::of(&server, &records[0]);
        assert_eq!(a.delete(records[0].address).await, Ok(()));
        copy.put_back(&server);
        // A demotion and a promotion between two looks at its role.
        server.commands(&[&[b"REPLICAOF", b"127.0.0.1", b"1"], &[b"REPLICAOF", b"NO", b"ONE"]]);
        until(|| !copy.is_there(&server)).await;
        until(|| a.store.is_up()).await;
        assert_eq!(a.find(records[0].address).await, Ok(Lookup::NotFound));
    });
}

#[test]
fn a_restarted_process_knows_its_file_and_deletes_again() {
    on_a_worker(async {
        let server = Server::start();
        let folder = tempfile::TempDir::new().unwrap();
        let journal = || {
            let keys = Arc::new(contract::keys());
            let path = folder.path().join("journal");
            // A process that another test starts holds the file until it is a program of its own.
            let open = || Journal::with_file(&path, &keys, &Random::system(), Clock::System, 86_400).ok();
            std::iter::from_fn(|| Some(open())).flatten().next().unwrap()
        };
        let a = node_with(&server, journal());
        until(|| a.store.is_up()).await;
        let records = a.saved(1).await;
        let copy = Copy::of(&server, &records[0]);
        assert_eq!(a.delete(records[0].address).await, Ok(()));
        let held = Arc::downgrade(&a.store.0.options.journal);
        drop(a);
        until(|| held.strong_count() == 0).await;
        // All that Redis knew of it is gone, and the record is back.
        server.command(&["DEL", "jeton:journal"]);
        copy.put_back(&server);
        let a = node_with(&server, journal());
        assert!(!matches!(a.find(records[0].address).await, Ok(Lookup::Found(_))));
        until(|| a.store.is_up()).await;
        assert_eq!(a.find(records[0].address).await, Ok(Lookup::NotFound));
        assert!(!copy.is_there(&server));
        until(|| length(&server) == Value::Int(1)).await;
    });
}

#[test]
fn a_full_server_deletes_and_is_told_later() {
    on_a_worker(async {
        let server = Server::start();
        let a = open_up(&server).await;
        let records = a.saved(2).await;
        let figures = || a.store.0.options.journal.entries.figures();
        assert_eq!(a.delete(records[0].address).await, Ok(()));
        until(|| figures().pending == 0).await;
        let Value::Int(left) = server.command(&["PTTL", "jeton:journal"]) else { panic!("no TTL") };
        assert!(left > 86_400_000);
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(a.delete(records[1].address).await, Ok(()));
        assert_eq!(a.find(records[1].address).await, Ok(Lookup::NotFound));
        assert_eq!((figures().pending, length(&server)), (1, Value::Int(1)));
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        until(|| figures().pending == 0).await;
        assert_eq!(length(&server), Value::Int(2));
    });
}

#[test]
fn nothing_is_answered_before_the_stream_could_be_read_and_somebody_is_told_why() {
    on_a_worker(async {
        let server = Server::start();
        server.command(&["ACL", "SETUSER", "default", "-xrange"]);
        let node = open(server.options());
        until(|| node.witness.saw("warning: no introspection is answered before") == 1).await;
        let records = node.records(1, &contract::grant("billing"));
        let quick = RedisOptions { operation_timeout: Duration::from_millis(250), ..server.options() };
        assert_eq!(open(quick).find(records[0].address).await, Err(StoreError::NotServing));
        assert_eq!(node.save(&records).await, Ok(()), "a mint needs no journal");
        server.command(&["ACL", "SETUSER", "default", "+xrange", "-xadd"]);
        until(|| node.store.is_up()).await;
        assert_eq!(node.find(records[0].address).await, found(&records[0]));
        assert_eq!(node.delete(records[0].address).await, Ok(()));
        until(|| node.witness.saw("warning: other nodes cannot be told") == 1).await;
        assert_eq!(node.witness.saw("warning"), 2);
    });
}

#[test]
fn what_others_write_on_the_stream_is_counted_and_passed_over() {
    on_a_worker(async {
        let server = Server::start();
        let a = open_up(&server).await;
        server.command(&["XADD", "jeton:journal", "*", "e", "short"]);
        server.command(&["XADD", "jeton:journal", "*", "other", "field", "and", "more"]);
        server.commands(&[&[b"XADD", b"jeton:journal", b"*", b"e", &[1; 65]]]);
        let records = a.saved(1).await;
        assert_eq!(a.delete(records[0].address).await, Ok(()));
        let b = open_up(&server).await;
        let dropped = |node: &Opened| -> u64 {
            node.store.0.options.journal.entries.figures().dropped.iter().map(|(_, count)| count).sum()
        };
        until(|| b.store.0.options.journal.entries.len() == 1).await;
        assert_eq!(dropped(&b), 3);
        until(|| dropped(&a) == 3).await;
    });
}
