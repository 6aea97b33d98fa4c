//! What is lost of a cluster takes nothing else away, and leaves nothing behind.

use super::settling::lookout_of;
use super::*;
use crate::store::redis::slot_map::slot_of;

/// What each connection looks for when it begins.
const PROBED: &[u8] = b"jeton:p:AAAAAAAAAAAA";

fn one_at_each_tag(node: &Node) -> Vec<NewRecord> {
    Tag::all().map(|tag| node.record_at(tag, "billing")).collect()
}

/// Waits until a batch over all tags is answered like this.
async fn until_found(node: &Node, records: &[NewRecord], expected: &[Result<Lookup, StoreError>]) {
    let mut last = Vec::new();
    let asking = async {
        while last != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
            last = node.find(records).await;
        }
    };
    if tokio::time::timeout(3 * PATIENCE, asking).await.is_err() {
        let wrong = last.iter().zip(expected).enumerate().filter(|(_, (found, wanted))| found != wanted);
        panic!("never answered as it should be: {:?}", wrong.map(|(at, (found, _))| (at, found)).collect::<Vec<_>>());
    }
}

/// Each connection begins with a look into one slot: whoever keeps none of it serves its own all the same.
#[test]
fn slots_that_nobody_keeps_take_no_other_away_even_where_connections_begin_with_them() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let options = cluster.options();
        let node = Node::open_up(options.clone()).await;
        let records = one_at_each_tag(&node);
        assert!(node.save(&records).await.iter().all(Result::is_ok));
        // And the one in which the stream of the journal lies.
        let gone = [slot_of(PROBED), Tag(0).slot()];
        for (server, slot) in cluster.0.iter().flat_map(|server| gone.map(|slot| (server, slot))) {
            assert_eq!(server.command(&["CLUSTER", "DELSLOTS", &slot.to_string()]), Value::Okay);
        }
        let reply = cluster.0[0].commands(&[&[b"HGET", PROBED, b"x"]]).remove(0);
        assert!(matches!(reply, Value::ServerError(error) if error.code() == "CLUSTERDOWN"));
        cluster.0.iter().for_each(|server| drop(server.command(&["CLIENT", "KILL", "TYPE", "normal"])));

        let is_gone = |new: &NewRecord| gone.contains(&Tag::of(new.address.page).slot());
        let answer = |new: &NewRecord| if is_gone(new) { Err(StoreError::NotServing) } else { found(new) };
        let expected: Vec<_> = records.iter().map(answer).collect();
        // And another worker of the same process, whose connections are all new.
        for node in [node, Node::open(options)] {
            until_found(&node, &records, &expected).await;
            assert_eq!(node.witness.saw("lost"), 0, "{:?}", node.witness);
            assert_eq!(node.witness.saw("cannot be used"), 0, "{:?}", node.witness);
            // As soon as it has heard of it: answers about what is gone may come before the next look at the slots.
            let choosing = async {
                loop {
                    let new = node.records(40);
                    if !new.iter().any(is_gone) {
                        break new;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            let new = tokio::time::timeout(PATIENCE, choosing).await.expect("new tokens go where they can be kept");
            assert!(node.save(&new).await.iter().all(Result::is_ok));
        }
    });
}

/// Connections that a server has from stores, not from the test.
fn connections(server: &Server) -> usize {
    let Value::BulkString(list) = server.command(&["CLIENT", "LIST", "TYPE", "normal"]) else { panic!("no list") };
    String::from_utf8(list).unwrap().lines().filter(|line| line.contains(" name=jeton ")).count()
}

/// S7: however often primaries are lost and come back, each has one connection of each worker, and nobody else has any.
#[test]
fn failovers_leave_one_connection_of_each_worker_on_each_primary() {
    on_a_worker(async {
        let mut cluster = Cluster::start(2);
        cluster.add_replica(0);
        let options = cluster.options();
        let workers = [Node::open_up(options.clone()).await, Node::open_up(options).await];
        let records = one_at_each_tag(&workers[0]);
        assert!(workers[0].save(&records).await.iter().all(Result::is_ok));
        for (lost, replica) in [(0, 2), (2, 0), (0, 2)] {
            // Answered is not copied: what was not is lost with its primary, and that is not what is asked here.
            cluster.until_copied(lost, replica);
            cluster.0[lost].kill();
            assert_eq!(cluster.0[replica].command(&["CLUSTER", "FAILOVER", "TAKEOVER"]), Value::Okay);
            for worker in &workers {
                until_found(worker, &records, &all_found(&records)).await;
            }
            cluster.0[lost].restart();
            let expected = [0, 1, 2].map(|at| if at == lost { 0 } else { workers.len() });
            until(|| [0, 1, 2].map(|at| connections(&cluster.0[at])) == expected).await;
            cluster.until_it_follows(lost);
        }
    });
}

/// A node without slots to which one was on its way, until that was called off: nobody names it any more, and nobody stays.
#[test]
fn nobody_stays_where_a_slot_did_not_come() {
    on_a_worker(async {
        let mut cluster = Cluster::start(2);
        let (tag, to) = (Tag(3), 2);
        let from = cluster.first_owner(tag);
        cluster.add_empty();
        let options = cluster.options();
        let lookout = lookout_of(&options);
        let node = Node::open_up(options).await;
        cluster.begin_to_move(tag.slot(), from, to);
        let records = [node.record_at(tag, "billing")];
        assert_eq!(node.save(&records).await, [Ok(())]);
        // Until the last news of the new node, which let everybody begin anew, have been taken up.
        let coming = async {
            while connections(&cluster.0[to]) != 1 {
                assert_eq!(node.find(&records).await, all_found(&records));
            }
        };
        tokio::time::timeout(PATIENCE, coming).await.expect("nobody comes where a slot is on its way");
        cluster.set_slot(from, tag.slot(), &["STABLE"]);
        cluster.keys_in(to, tag.slot()).iter().for_each(|key| cluster.move_key(key, to, from));
        cluster.set_slot(to, tag.slot(), &["STABLE"]);
        until(|| {
            lookout.miss();
            connections(&cluster.0[to]) == 0
        })
        .await;
        assert_eq!(node.find(&records).await, all_found(&records));
        // Besides, those who ask where the slots are come and go.
        until(|| [0, 1].map(|at| connections(&cluster.0[at])) == [1, 1]).await;
    });
}
