//! The store in a cluster: the contract, slots that move, primaries that are lost.

mod losses;
mod moves;
mod servers;
mod settling;

use std::collections::BTreeMap;

use futures_util::FutureExt;
use redis::Value;

use self::servers::Cluster;
use super::journal::Copy;
use super::*;
use crate::oauth::token::Page;
use crate::store::redis::cluster::ClusterStore;
use crate::store::redis::lookout::Whereabouts;
use crate::store::redis::slot_map::Tag;

pub(super) struct Node {
    store: ClusterStore,
    witness: Rc<Witness>,
}

impl Node {
    fn open(options: RedisOptions) -> Self {
        let witness: Rc<Witness> = Rc::default();
        let keys = Arc::new(ArcSwap::from_pointee(contract::keys()));
        let Whereabouts::Cluster(lookout) = options.whereabouts.clone() else { panic!("no cluster") };
        let observer = Rc::clone(&witness);
        let (store, task) = ClusterStore::start(options, lookout, keys, Clock::System, Random::system(), observer);
        spawn_local(task);
        Self { store, witness }
    }

    pub(super) async fn open_up(options: RedisOptions) -> Self {
        let node = Self::open(options);
        until(|| node.store.is_up()).await;
        node
    }

    /// A token lives there.
    pub(super) async fn serves(&self) {
        let records = self.records(3);
        assert_eq!(self.save(&records).await, [Ok(()); 3]);
        assert_eq!(self.find(&records).await, all_found(&records));
    }

    fn records(&self, count: usize) -> Vec<NewRecord> {
        let grant = contract::grant("billing");
        (0..count).map(|_| contract::new_record(&self.store, HOUR, &grant)).collect()
    }

    /// A record in a page of this tag.
    fn record_at(&self, tag: Tag, client: &str) -> NewRecord {
        let new = contract::new_record(&self.store, HOUR, &contract::grant(client));
        let page = Page { number: new.address.page.number & !0xFF | u32::from(tag.0), ..new.address.page };
        NewRecord { address: contract::address_in(page), ..new }
    }

    async fn save(&self, records: &[NewRecord]) -> Vec<Result<(), StoreError>> {
        self.store.save(records.to_vec()).await
    }

    async fn find(&self, records: &[NewRecord]) -> Vec<Result<Lookup, StoreError>> {
        self.store.find(records.iter().map(|new| new.address).collect()).await
    }
}

fn all_found(records: &[NewRecord]) -> Vec<Result<Lookup, StoreError>> {
    records.iter().map(found).collect()
}

#[test]
fn the_contract_holds_in_a_cluster() {
    on_a_worker(async {
        let cluster = Cluster::start(3);
        contract::holds(async || {
            cluster.0.iter().for_each(|server| drop(server.command(&["FLUSHALL"])));
            (Node::open_up(cluster.options()).await.store, Node::open_up(cluster.options()).await.store)
        })
        .await;
    });
}

#[test]
fn pages_lie_evenly_on_the_primaries_with_their_grants_beside_them() {
    on_a_worker(async {
        let cluster = Cluster::start(3);
        let node = Node::open_up(cluster.options()).await;
        let records = node.records(3000);
        for batch in records.chunks(250) {
            assert!(node.save(batch).await.iter().all(Result::is_ok));
        }
        let mut pages = BTreeMap::new();
        for (at, server) in cluster.0.iter().enumerate() {
            for key in server.keys() {
                let (tag, rest) = key.strip_prefix("jeton:{").unwrap().split_at(2);
                let tag = Tag(u8::from_str_radix(tag, 16).unwrap());
                assert_eq!(cluster.first_owner(tag), at);
                if rest == "}epoch" {
                    continue;
                }
                let of_tag: &mut (usize, usize) = pages.entry((at, tag)).or_default();
                *(if rest.starts_with("}p:") { &mut of_tag.0 } else { &mut of_tag.1 }) += 1;
                let ttl = server.command(&["PTTL", &key]);
                assert!(matches!(ttl, Value::Int(1..)), "{key}: {ttl:?}");
            }
        }
        assert!(pages.len() <= 16, "{pages:?}");
        assert!(pages.values().all(|(pages, grants)| *pages > 0 && *grants == 1), "{pages:?}");
        // 3,000 tokens are 89 pages, or a few more where a second passes; of sixteen tags five at least are a primary's.
        for at in 0..3 {
            let share: usize = pages.iter().filter(|((of, _), _)| *of == at).map(|(_, (pages, _))| pages).sum();
            assert!(share >= 25, "{pages:?}");
        }
        // Another worker reads what it has not written.
        assert_eq!(Node::open_up(cluster.options()).await.find(&records).await, all_found(&records));
    });
}

#[test]
fn a_slot_that_moves_costs_no_error_at_any_moment_of_its_move() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        let tag = Tag(0);
        let (from, slot) = (cluster.first_owner(tag), tag.slot());
        let to = 1 - from;
        let mut all = Vec::new();
        let mut step = 0;
        // A token of a known grant, and one of a grant that is new at this moment: both are saved and all are found.
        let mut serves = async |node: &Node| {
            step += 1;
            let new = [node.record_at(tag, "billing"), node.record_at(tag, &format!("client-{step}"))];
            assert_eq!(node.save(&new).await, [Ok(()), Ok(())], "{step}");
            all.extend(new);
            assert_eq!(node.find(&all).await, all_found(&all), "{step}");
            let fresh = Node::open_up(cluster.options()).await;
            assert_eq!(fresh.find(&all).await, all_found(&all), "{step}");
            let gone = all.remove(0);
            assert_eq!(node.store.delete(contract::deletions(&[gone.address])).await, [Ok(())], "{step}");
            assert_eq!(node.find(&[gone]).await, [Ok(Lookup::NotFound)], "{step}");
        };
        serves(&node).await;
        cluster.begin_to_move(slot, from, to);
        serves(&node).await;
        // The grants move first, their pages after them, in steps.
        let mut keys = cluster.keys_in(from, slot);
        keys.sort();
        let kept = keys.iter().filter(|key| !key.ends_with(b"}epoch")).count();
        assert_eq!(kept, 3, "a page and two grants");
        for key in &keys {
            cluster.move_key(key, from, to);
            serves(&node).await;
        }
        // What came meanwhile went to the new place, or to the old one where its page still was.
        cluster.keys_in(from, slot).iter().for_each(|key| cluster.move_key(key, from, to));
        cluster.set_slot(to, slot, &["NODE", &cluster.id(to)]);
        serves(&node).await;
        cluster.end_the_move(slot, from, to);
        serves(&node).await;
        assert!(cluster.keys_in(from, slot).is_empty());
        assert_eq!((node.witness.saw("lost"), node.witness.saw("cannot be used")), (0, 0), "{:?}", node.witness);
    });
}

#[test]
fn a_lost_primary_costs_its_own_share_alone_and_new_tokens_go_elsewhere() {
    on_a_worker(async {
        let cluster = Cluster::start(3);
        let options = RedisOptions { operation_timeout: Duration::from_millis(500), ..cluster.options() };
        let node = Node::open_up(options).await;
        let records: Vec<NewRecord> = Tag::all().map(|tag| node.record_at(tag, "billing")).collect();
        assert!(node.save(&records).await.iter().all(Result::is_ok));
        let lost = 1;
        let is_lost = |new: &NewRecord| cluster.first_owner(Tag::of(new.address.page)) == lost;

        cluster.0[lost].stop();
        // Whoever asks first waits for it, in vain; the others' answers are theirs all the same.
        let answers = node.find(&records).await;
        for (new, answer) in records.iter().zip(answers) {
            let expected = if is_lost(new) { Err(StoreError::TimedOut) } else { found(new) };
            assert_eq!(answer, expected);
        }
        for _ in 0..50 {
            for (new, answer) in records.iter().zip(node.find(&records).await) {
                let expected = if is_lost(new) { Err(StoreError::Unavailable) } else { found(new) };
                assert_eq!(answer, expected);
            }
            let new = node.records(40);
            assert!(!new.iter().any(is_lost), "new tokens go where they can be kept");
            assert!(node.save(&new).await.iter().all(Result::is_ok));
        }
        until(|| node.witness.saw("warning: a part of the store cannot be used") == 1).await;
        assert_eq!(node.witness.saw("lost"), 0);

        cluster.0[lost].resume();
        until(|| node.witness.saw("all parts of the store can be used again") == 1).await;
        assert_eq!(node.find(&records).await, all_found(&records));
        assert!((0..2000).any(|_| node.records(40).iter().any(is_lost)), "it gets its share again");
    });
}

#[test]
fn grants_that_a_primary_lost_are_written_again_before_a_token_is_handed_out() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        for _ in 0..3 {
            let lost: Vec<NewRecord> = Tag::all().map(|tag| node.record_at(tag, "billing")).collect();
            assert!(node.save(&lost).await.iter().all(Result::is_ok));
            cluster.0[0].command(&["FLUSHALL"]);
            let new: Vec<NewRecord> = Tag::all().map(|tag| node.record_at(tag, "billing")).collect();
            assert!(node.save(&new).await.iter().all(Result::is_ok));
            assert_eq!(Node::open_up(cluster.options()).await.find(&new).await, all_found(&new));
        }
    });
}

/// A replica that lagged, or a restart from an old dump: it makes no difference to who must be brought up to the journal.
#[test]
fn primaries_that_forgot_deletes_show_no_revoked_token() {
    on_a_worker(async {
        let mut cluster = Cluster::start(2);
        let (a, b) = (Node::open_up(cluster.options()).await, Node::open_up(cluster.options()).await);
        let records: Vec<NewRecord> = Tag::all().map(|tag| a.record_at(tag, "billing")).collect();
        assert!(a.save(&records).await.iter().all(Result::is_ok));
        let kept = |new: &NewRecord| &cluster.0[cluster.first_owner(Tag::of(new.address.page))];
        let copies: Vec<Copy> = records.iter().map(|new| Copy::of(kept(new), new)).collect();
        cluster.0.iter().for_each(|server| drop(server.command(&["SAVE"])));
        let addresses: Vec<TokenAddress> = records.iter().map(|new| new.address).collect();
        let live = records.len() - 1;
        assert!(a.store.delete(contract::deletions(&addresses[..live])).await.iter().all(Result::is_ok));
        // By the stream, which lies on one of the two.
        let known = |node: &Node| node.store.journal().entries.len();
        until(|| known(&b) == live).await;
        // A node that starts now is asked before it has read of anything: what lies there again is not believed.
        for at in [0, 3, live - 1] {
            let kept = cluster.first_owner(Tag::of(addresses[at].page));
            copies[at].put_back(&cluster.0[kept]);
            let fresh = Node::open(cluster.options());
            let mut found = fresh.find(&records[at..=at]).await;
            while found[0].is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                found = fresh.find(&records[at..=at]).await;
            }
            assert_eq!(found, [Ok(Lookup::NotFound)], "{at}");
        }
        for at in 0..2 {
            let pages = |cluster: &Cluster| cluster.0[at].keys().iter().filter(|key| key.contains("}p:")).count();
            assert!(pages(&cluster) <= 1);
            cluster.0[at].kill();
            cluster.0[at].restart();
            let asking = async |node: &Node| {
                let mut answers = 0;
                while answers < 5 {
                    let found = node.find(&records).await;
                    assert!(!found[..live].iter().any(|lookup| matches!(lookup, Ok(Lookup::Found(_)))));
                    answers += usize::from(found.iter().all(Result::is_ok));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::join!(asking(&a), asking(&b));
            let fresh = Node::open_up(cluster.options()).await;
            let found = fresh.find(&records).await;
            assert!(found[..live].iter().all(|lookup| *lookup == Ok(Lookup::NotFound)), "{at}");
            assert_eq!(found[live], self::found(&records[live]));
            until(|| known(&fresh) == live).await;
            // What came back with the dump was deleted again.
            assert!(pages(&cluster) <= 1, "{at}");
        }
    });
}

#[test]
fn replicas_are_waited_for_on_each_primary() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let impatient = Duration::from_millis(500);
        let node = Node::open_up(RedisOptions { replicas: 1, operation_timeout: impatient, ..cluster.options() }).await;
        let records: Vec<NewRecord> = Tag::all().map(|tag| node.record_at(tag, "billing")).collect();
        let none = vec![Err(StoreError::NotReplicated); records.len()];
        // Nobody has a replica here, so nothing is a success; what was written is there all the same.
        assert_eq!(node.save(&records).await, none);
        let addresses: Vec<TokenAddress> = records.iter().map(|new| new.address).collect();
        assert_eq!(node.find(&records).await, all_found(&records));
        assert_eq!(node.store.delete(contract::deletions(&addresses)).await, none);
    });
}

#[test]
fn a_full_primary_refuses_its_share() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        cluster.0[0].command(&["CONFIG", "SET", "maxmemory", "1"]);
        let records: Vec<NewRecord> = Tag::all().map(|tag| node.record_at(tag, "billing")).collect();
        for (new, answer) in records.iter().zip(node.save(&records).await) {
            let full = cluster.first_owner(Tag::of(new.address.page)) == 0;
            assert_eq!(answer, if full { Err(StoreError::Full) } else { Ok(()) });
        }
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn slots_that_nobody_keeps_are_a_fault_of_their_own_tokens() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        let records: Vec<NewRecord> = Tag::all().map(|tag| node.record_at(tag, "billing")).collect();
        assert!(node.save(&records).await.iter().all(Result::is_ok));
        let slot = Tag(7).slot();
        (0..2).for_each(|at| drop(cluster.0[at].command(&["CLUSTER", "DELSLOTS", &slot.to_string()])));
        for (new, answer) in records.iter().zip(node.find(&records).await) {
            let gone = Tag::of(new.address.page).slot() == slot;
            assert_eq!(answer, if gone { Err(StoreError::NotServing) } else { found(new) });
        }
        assert_eq!(node.witness.saw("cannot be used"), 0, "{:?}", node.witness);
    });
}

#[test]
fn a_cluster_that_comes_later_is_found_and_what_is_none_is_told() {
    on_a_worker(async {
        let server = Server::start();
        let url = format!("redis+cluster://127.0.0.1:{}", server.port);
        let node = Node::open(RedisOptions::parse_url(&url).unwrap());
        until(|| node.witness.saw("lost: the store cannot be reached") == 1).await;
        assert_eq!(node.witness.saw("cluster support disabled"), 1, "{:?}", node.witness);
        let records = node.records(1);
        assert_eq!(node.save(&records).await, [Err(StoreError::Unavailable)]);
        assert_eq!(node.find(&records).await, [Err(StoreError::Unavailable)]);

        let mut cluster = Cluster::start(2);
        cluster.0.iter_mut().for_each(Server::kill);
        let node = Node::open(cluster.options());
        until(|| node.witness.saw("lost: the store cannot be reached") == 1).await;
        cluster.0.iter_mut().for_each(Server::restart);
        until(|| node.store.is_up()).await;
        let records = node.records(40);
        assert!(node.save(&records).await.iter().all(Result::is_ok));
        assert_eq!(node.witness.saw("back"), 1);
        // And by the wrong door.
        let alone = open(RedisOptions::parse_url(&format!("redis://127.0.0.1:{}", cluster.0[0].port)).unwrap());
        until(|| alone.witness.saw("write redis+cluster://") == 1).await;
    });
}

#[test]
fn while_all_primaries_are_away_nobody_waits_for_connections_that_are_made_anew() {
    on_a_worker(async {
        let mut cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        let records = node.records(10);
        assert!(node.save(&records).await.iter().all(Result::is_ok));
        cluster.0.iter_mut().for_each(Server::kill);
        let addresses = || records.iter().map(|new| new.address).collect();
        let at_once = || node.store.find(addresses()).now_or_never();
        until(|| at_once().is_some_and(|answers| answers.iter().all(Result::is_err))).await;
        let opened = node.store.nodes_opened();
        until(|| {
            assert!(at_once().is_some_and(|answers| answers.iter().all(Result::is_err)), "somebody waits");
            node.store.nodes_opened() > opened
        })
        .await;
        cluster.0.iter_mut().for_each(Server::restart);
        until(|| node.store.is_up()).await;
        assert!(node.save(&node.records(10)).await.iter().all(Result::is_ok));
    });
}

#[test]
fn the_task_ends_with_the_last_store() {
    on_a_worker(async {
        let cluster = Cluster::start(1);
        let options = cluster.options();
        let Whereabouts::Cluster(lookout) = options.whereabouts.clone() else { panic!("no cluster") };
        let keys = Arc::new(ArcSwap::from_pointee(contract::keys()));
        let observer: Rc<Witness> = Rc::default();
        let (store, task) = ClusterStore::start(options, lookout, keys, Clock::System, Random::system(), observer);
        let task = spawn_local(task);
        let clone = store.clone();
        drop(store);
        until(|| clone.is_up()).await;
        drop(clone);
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    });
}
