//! Who is believed in a cluster whose slots change hands.

use std::future::pending;
use std::sync::Arc;

use tokio::task::spawn_local;

use super::super::journal::Copy;
use super::servers::Cluster;
use super::*;
use crate::store::redis::lookout::Lookout;
use crate::store::redis::slot_map::{self, SlotMap};

/// What the cluster says of itself now.
async fn map_of(cluster: &Cluster) -> SlotMap {
    let options = cluster.options();
    let lookout = lookout_of(&options);
    let _node = Node::open_up(options).await;
    let known = lookout.known().borrow().clone();
    SlotMap::clone(&known.unwrap())
}

pub(super) fn lookout_of(options: &RedisOptions) -> Arc<Lookout<SlotMap>> {
    let Whereabouts::Cluster(lookout) = &options.whereabouts else { panic!("no cluster") };
    Arc::clone(lookout)
}

/// A node that asks nobody who keeps what, and is told only by the test.
async fn open_told(options: RedisOptions, map: SlotMap) -> Node {
    let lookout = lookout_of(&options);
    let held = Arc::clone(&lookout);
    spawn_local(async move { held.take_turns(pending()).await });
    tokio::task::yield_now().await;
    lookout.tell(map);
    Node::open_up(options).await
}

/// The tags of a server's slots as they were at the start.
fn tags_of(cluster: &Cluster, at: usize) -> impl Iterator<Item = Tag> {
    Tag::all().filter(move |tag| cluster.first_owner(*tag) == at)
}

/// As if one server kept all slots.
fn all_at(server: &Server) -> SlotMap {
    let entry = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{}\r\n", server.port);
    slot_map::tests::read(&entry, "1").unwrap()
}

/// What is said of a record once anything is known of it: on a busy machine a node is settled later than somebody waits.
async fn answer(node: &Node, new: &NewRecord) -> Lookup {
    let asking = async {
        loop {
            match node.find(std::slice::from_ref(new)).await.remove(0) {
                Ok(lookup) => return lookup,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("never answered")
}

/// A replica that lagged takes over, and what is heard of it first is where one slot is: it is brought up to the journal slot by slot.
#[test]
fn a_promoted_primary_is_believed_only_for_the_slots_that_were_settled_there() {
    on_a_worker(async {
        let mut cluster = Cluster::start(2);
        cluster.add_replica(0);
        let options = cluster.options();
        let lookout = lookout_of(&options);
        let node = open_told(options, map_of(&cluster).await).await;
        let records: Vec<NewRecord> = tags_of(&cluster, 0).take(4).map(|tag| node.record_at(tag, "billing")).collect();
        assert_eq!(node.save(&records).await, [Ok(()); 4]);
        let copies: Vec<Copy> = records.iter().map(|new| Copy::of(&cluster.0[0], new)).collect();
        let addresses: Vec<TokenAddress> = records.iter().map(|new| new.address).collect();
        assert_eq!(node.store.delete(contract::deletions(&addresses)).await, [Ok(()); 4]);

        let promoted = &cluster.0[2];
        assert_eq!(promoted.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]), Value::Okay);
        until(|| cluster.knows_primary(0, 2) && cluster.knows_primary(1, 2)).await;
        let map = map_of(&cluster).await;
        // As if none of the deletes had come there.
        copies.iter().for_each(|copy| copy.put_back(promoted));
        // Whoever is asked for all slots says where one is now. Its former primary may have been left by then, for a replica.
        lookout.tell(all_at(&cluster.0[1]));
        assert_eq!(answer(&node, &records[0]).await, Lookup::NotFound);
        until(|| !copies[0].is_there(promoted)).await;
        lookout.tell(map);
        for (copy, new) in copies.iter().zip(&records) {
            until(|| !copy.is_there(promoted)).await;
            assert_eq!(answer(&node, new).await, Lookup::NotFound);
        }
    });
}

/// Two tokens of a tag, the first of them revoked, and what its record was.
async fn one_revoked(cluster: &Cluster, node: &Node, tag: Tag) -> ([NewRecord; 2], Copy) {
    let records = [(); 2].map(|()| node.record_at(tag, "billing"));
    assert_eq!(node.save(&records).await, [Ok(()); 2]);
    let copy = Copy::of(&cluster.0[cluster.first_owner(tag)], &records[0]);
    assert_eq!(node.store.delete(contract::deletions(&[records[0].address])).await, [Ok(())]);
    (records, copy)
}

fn move_all(cluster: &Cluster, slot: u16, from: usize, to: usize) {
    cluster.begin_to_move(slot, from, to);
    cluster.keys_in(from, slot).iter().for_each(|key| cluster.move_key(key, from, to));
}

#[test]
fn a_slot_that_comes_back_is_settled_anew() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let options = cluster.options();
        let node = open_told(options, map_of(&cluster).await).await;
        let tag = tags_of(&cluster, 0).next().unwrap();
        let (records, copy) = one_revoked(&cluster, &node, tag).await;
        for (from, to) in [(0, 1), (1, 0), (0, 1)] {
            move_all(&cluster, tag.slot(), from, to);
            cluster.end_the_move(tag.slot(), from, to);
            copy.put_back(&cluster.0[to]);
            assert_eq!(node.find(&records).await, [Ok(Lookup::NotFound), found(&records[1])]);
            until(|| !copy.is_there(&cluster.0[to])).await;
        }
    });
}

#[test]
fn a_node_to_which_a_slot_is_on_its_way_is_settled_for_it() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        let tag = tags_of(&cluster, 0).next().unwrap();
        let (records, copy) = one_revoked(&cluster, &node, tag).await;
        move_all(&cluster, tag.slot(), 0, 1);
        copy.put_back_asking(&cluster.0[1]);
        assert_eq!(node.find(&records).await, [Ok(Lookup::NotFound), found(&records[1])]);
        until(|| !copy.is_there_asking(&cluster.0[1])).await;
    });
}
