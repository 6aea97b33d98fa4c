//! Writes that replicas must have too.

use tokio::time::Instant;

use super::*;

/// A primary that feeds a replica at once, not after the five seconds in which others might come.
fn quick_primary() -> Server {
    Server::start_with(&["--repl-diskless-sync-delay", "0"])
}

/// A primary and its replica, in step.
async fn primary_with_replica() -> (Server, Server) {
    let primary = quick_primary();
    let replica = replica_of(&primary).await;
    (primary, replica)
}

async fn replica_of(primary: &Server) -> Server {
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until(|| info(primary).contains("state=online")).await;
    replica
}

/// Saves again and again until it is acknowledged: a replica that is there has still to say how far it is.
async fn until_saved(node: &Opened) -> Vec<NewRecord> {
    let saving = tokio::time::timeout(PATIENCE, async {
        loop {
            let records = node.records(2, &contract::grant("billing"));
            match node.save(&records).await {
                Ok(()) => return records,
                Err(error) => assert_eq!(error, StoreError::NotReplicated),
            }
        }
    });
    saving.await.expect("no replica")
}

fn info(server: &Server) -> String {
    String::from_utf8(server::bytes(server.command(&["INFO", "replication"]))).unwrap()
}

fn options(server: &Server) -> RedisOptions {
    RedisOptions { replicas: 1, operation_timeout: Duration::from_millis(500), ..server.options() }
}

#[test]
fn too_few_replicas_are_no_success_and_reads_do_not_care() {
    on_a_worker(async {
        let primary = quick_primary();
        let node = open(options(&primary));
        until(|| node.store.is_up()).await;
        assert_eq!(node.witness.saw("back"), 1, "two connections are one store");
        let records = node.records(2, &contract::grant("billing"));
        let other = open_up(&primary).await;
        let saved = other.saved(1).await;

        let saving = node.save(&records);
        let reading = async {
            assert_eq!(node.find(saved[0].address).await, found(&saved[0]));
            Instant::now()
        };
        let (written, read_at) = tokio::join!(async { (saving.await, Instant::now()) }, reading);
        assert_eq!(written.0, Err(StoreError::NotReplicated));
        assert!(read_at < written.1, "a read waited for a write");
        assert_eq!(node.delete(saved[0].address).await, Err(StoreError::NotReplicated));
        assert_eq!(node.store.0.options.journal.entries.len(), 0, "nobody was told that it is revoked");
        assert_eq!(node.find(saved[0].address).await, Ok(Lookup::NotFound), "but it is");
        assert_eq!(node.witness.saw("lost"), 0);

        let _replica = replica_of(&primary).await;
        until_saved(&node).await;
        assert_eq!(node.delete(saved[0].address).await, Ok(()));
        assert_eq!(node.store.0.options.journal.entries.len(), 1);
    });
}

#[test]
fn a_replica_that_lags_is_waited_for_whoever_wrote() {
    on_a_worker(async {
        let (primary, replica) = primary_with_replica().await;
        let node = open(options(&primary));
        until(|| node.store.is_up()).await;
        let records = until_saved(&node).await;
        replica.stop();
        assert_eq!(node.save(&node.records(1, &contract::grant("billing"))).await, Err(StoreError::NotReplicated));
        // Deleted by somebody else: this connection writes nothing, and waits all the same.
        let other = open_up(&primary).await;
        assert_eq!(other.delete(records[0].address).await, Ok(()));
        assert_eq!(node.delete(records[0].address).await, Err(StoreError::NotReplicated));
        replica.resume();
        until_saved(&node).await;
        assert_eq!(node.delete(records[0].address).await, Ok(()));
        assert_eq!(node.find(records[1].address).await, found(&records[1]));
    });
}

#[test]
fn writes_that_hold_each_other_up_are_answered_all_the_same() {
    on_a_worker(async {
        let primary = Server::start();
        let node = open(options(&primary));
        until(|| node.store.is_up()).await;
        let records = node.records(2, &contract::grant("billing"));
        let neither = (Err(StoreError::NotReplicated), Err(StoreError::NotReplicated));
        // The second is not even sent where it could not be held up once more in time, as on a machine that is busy with something else.
        let unsent = (Err(StoreError::NotReplicated), Err(StoreError::Unavailable));
        for tries_left in (0..5).rev() {
            let both = tokio::join!(node.save(&records[..1]), node.delete(records[1].address));
            assert!(both == neither || (both == unsent && tries_left > 0), "{both:?}");
            if both == neither {
                break;
            }
        }
        let connection = node.store.0.ways.writes.state().connection();
        assert_eq!(connection, 1, "no connection was given up for it");
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn both_connections_count_for_a_store_that_is_up() {
    on_a_worker(async {
        let mut primary = Server::start();
        let node = open(options(&primary));
        until(|| node.store.is_up()).await;
        primary.kill();
        until(|| !node.store.is_up()).await;
        until(|| node.witness.saw("lost") >= 1).await;
        primary.restart();
        until(|| node.store.is_up()).await;
        assert_eq!((node.witness.saw("lost"), node.witness.saw("back")), (1, 2), "{:?}", node.witness);
    });
}
