//! Servers that are away, stopped, full, replicas, closed to us: an error each time, never a statement about a token.

use std::time::Instant;

use super::*;

/// Asks until there is an answer.
async fn until_found(node: &Opened, new: &NewRecord) {
    let asking = tokio::time::timeout(PATIENCE, async {
        loop {
            match node.find(new.address).await {
                Ok(lookup) => return assert_eq!(Ok(lookup), found(new)),
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    });
    asking.await.expect("no answer");
}

#[test]
fn a_server_that_comes_later_is_found() {
    on_a_worker(async {
        let mut server = Server::start();
        server.kill();
        let node = open(server.options());
        until(|| node.witness.saw("lost: the store cannot be reached") == 1).await;
        let records = node.records(1, &contract::grant("billing"));
        assert_eq!(node.save(&records).await, Err(StoreError::Unavailable));
        assert_eq!(node.find(records[0].address).await, Err(StoreError::Unavailable));
        assert_eq!(node.delete(records[0].address).await, Err(StoreError::Unavailable));
        server.restart();
        until(|| node.store.is_up()).await;
        assert_eq!(node.save(&records).await, Ok(()));
        assert_eq!((node.witness.saw("lost"), node.witness.saw("back")), (1, 1));
    });
}

#[test]
fn a_server_killed_and_restarted_is_found_again_with_what_it_kept() {
    on_a_worker(async {
        let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let node = open_up(&server).await;
        let mut records = node.saved(3).await;
        for _ in 0..3 {
            server.kill();
            until(|| !node.store.is_up()).await;
            assert_eq!(node.find(records[0].address).await, Err(StoreError::Unavailable));
            server.restart();
            until(|| node.store.is_up()).await;
            for new in &records {
                until_found(&node, new).await;
            }
            records.extend(node.saved(2).await);
        }
        assert_eq!(node.witness.saw("back"), 4);
        assert!((3..=6).contains(&node.witness.saw("lost")), "away, then loading: {:?}", node.witness);
    });
}

#[test]
fn a_stopped_server_times_out_once_and_then_nobody_waits() {
    on_a_worker(async {
        let server = Server::start();
        let node = open(RedisOptions { operation_timeout: Duration::from_millis(250), ..server.options() });
        until(|| node.store.is_up()).await;
        let records = node.saved(1).await;
        server.stop();
        assert_eq!(node.find(records[0].address).await, Err(StoreError::TimedOut));
        assert!(!node.store.is_up());
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(node.find(records[0].address).await, Err(StoreError::Unavailable));
        }
        assert!(begun.elapsed() < node.store.0.options.operation_timeout, "nobody waits");
        until(|| node.witness.saw("took too long") == 1).await;
        server.resume();
        until(|| node.store.is_up()).await;
        until_found(&node, &records[0]).await;
    });
}

#[test]
fn a_connection_that_breaks_while_nothing_is_asked_is_replaced_unseen() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.saved(1).await;
        for _ in 0..5 {
            let connection = node.store.0.ways.reads.state().connection();
            server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            until(|| node.store.0.ways.reads.state().connection() > connection).await;
            assert_eq!(node.find(records[0].address).await, found(&records[0]));
        }
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn a_full_server_refuses_tokens_and_still_finds_and_deletes() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.saved(2).await;
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let more = node.records(1, &contract::grant("orders"));
        assert_eq!(node.save(&more).await, Err(StoreError::Full));
        assert_eq!(node.find(records[0].address).await, found(&records[0]));
        assert_eq!(node.delete(records[1].address).await, Ok(()));
        assert_eq!(node.find(records[1].address).await, Ok(Lookup::NotFound));
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(node.save(&more).await, Ok(()));
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn a_replica_is_not_used_and_a_primary_that_becomes_one_is_left() {
    on_a_worker(async {
        let server = Server::start();
        let node = open_up(&server).await;
        let records = node.saved(1).await;
        // Nothing is asked: the second's look at the role finds it.
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        until(|| node.witness.saw("lost: the store is not serving yet") == 1).await;
        assert_eq!(node.find(records[0].address).await, Err(StoreError::NotServing));
        server.command(&["REPLICAOF", "NO", "ONE"]);
        until(|| node.store.is_up()).await;
        // A write finds it first.
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        assert_eq!(node.save(&node.records(1, &contract::grant("billing"))).await, Err(StoreError::NotServing));
        assert_eq!(node.find(records[0].address).await, Err(StoreError::NotServing));
    });
}

#[test]
fn a_loading_server_is_not_serving() {
    on_a_worker(async {
        let mut server = Server::start_with(&["--enable-debug-command", "local"]);
        let node = open_up(&server).await;
        let records = node.saved(2).await;
        server.command(&["DEBUG", "POPULATE", "20000"]);
        server.command(&["SAVE"]);
        server.kill();
        server.restart_with(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
        until(|| node.witness.saw("LOADING") == 1).await;
        assert_eq!(node.find(records[0].address).await, Err(StoreError::NotServing));
        server.command(&["CONFIG", "SET", "key-load-delay", "0"]);
        until_found(&node, &records[0]).await;
    });
}

#[test]
fn who_is_not_let_in_says_so_and_comes_in_when_the_door_opens() {
    on_a_worker(async {
        let server = Server::start_with(&["--requirepass", "right"]);
        let admin = |words: &[&str]| {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            server.commands(&[&[b"AUTH", b"right"], &words]).remove(1)
        };
        let with = |user: &str, password: &str| {
            let url = format!("redis://{user}:{password}@127.0.0.1:{}", server.port);
            open(RedisOptions::parse_url(&url).unwrap())
        };
        let none = open(server.options());
        let wrong = with("", "wrong");
        for (node, code) in [(&none, "NOAUTH"), (&wrong, "WRONGPASS")] {
            until(|| node.witness.saw("lost: the store does not let us in") == 1).await;
            assert_eq!(node.witness.saw(code), 1);
            let records = node.records(1, &contract::grant("billing"));
            assert_eq!(node.save(&records).await, Err(StoreError::Denied));
        }
        admin(&["ACL", "SETUSER", "jeton", "on", ">pass", "~jeton:*", "+@all"]);
        let jeton = with("jeton", "pass");
        until(|| jeton.store.is_up()).await;
        let records = jeton.saved(1).await;
        // What may be read and not written is an error of the write alone.
        admin(&["ACL", "SETUSER", "jeton", "-hset", "-hdel"]);
        assert_eq!(jeton.save(&jeton.records(1, &contract::grant("billing"))).await, Err(StoreError::Denied));
        assert_eq!(jeton.delete(records[0].address).await, Err(StoreError::Denied));
        assert_eq!(jeton.find(records[0].address).await, found(&records[0]));
        assert_eq!(jeton.witness.saw("lost"), 0);
        admin(&["CONFIG", "SET", "requirepass", "wrong"]);
        until(|| wrong.store.is_up()).await;
    });
}

#[test]
fn a_server_that_may_evict_is_told_or_not_used() {
    on_a_worker(async {
        let server = Server::start_with(&["--maxmemory-policy", "allkeys-lru"]);
        let node = open_up(&server).await;
        assert_eq!(node.witness.saw("warning: maxmemory-policy is allkeys-lru"), 1);
        let strict = open(RedisOptions { require_noeviction: true, ..server.options() });
        until(|| strict.witness.saw("lost: the store refused the command") == 1).await;
        server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        until(|| strict.store.is_up()).await;
    });
}

#[test]
fn the_task_ends_with_the_last_store() {
    on_a_worker(async {
        let server = Server::start();
        let keys = Arc::new(ArcSwap::from_pointee(contract::keys()));
        let observer: Rc<Witness> = Rc::default();
        let (store, task) = RedisStore::start(server.options(), keys, Clock::System, Random::system(), observer);
        let task = spawn_local(task);
        let clone = store.clone();
        drop(store);
        until(|| clone.is_up()).await;
        drop(clone);
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    });
}
