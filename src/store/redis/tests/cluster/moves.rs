//! Slots on their way from one primary to another.

use super::*;

/// What the documents tell an operator to allow, and no more.
#[test]
fn a_user_with_few_rights_can_do_all_that_is_needed() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let rights = "ACL SETUSER jeton on >pass resetchannels -@all +@connection +multi +exec +hset +hget +hdel +pexpire +set +get \
                      +exists +info +xadd +xrange +xtrim +cluster|slots +cluster|info ~jeton:*";
        let words: Vec<&str> = rights.split_whitespace().collect();
        cluster.0.iter().for_each(|server| assert_eq!(server.command(&words), Value::Okay));
        let url = format!("redis+cluster://jeton:pass@127.0.0.1:{}", cluster.0[0].port);
        let options = RedisOptions { operation_timeout: PATIENCE / 4, ..RedisOptions::parse_url(&url).unwrap() };
        let node = Node::open_up(options).await;
        let tag = Tag(3);
        let (from, to) = (cluster.first_owner(tag), 1 - cluster.first_owner(tag));
        let records = [node.record_at(tag, "billing"), node.record_at(tag, "orders")];
        assert_eq!(node.save(&records[..1]).await, [Ok(())]);
        // A slot on its way needs ASKING.
        cluster.begin_to_move(tag.slot(), from, to);
        assert_eq!(node.save(&records[1..]).await, [Ok(())]);
        assert_eq!(node.find(&records).await, all_found(&records));
        assert_eq!(node.store.delete(contract::deletions(&[records[0].address])).await, [Ok(())]);
        until(|| node.store.journal().entries.figures().pending == 0).await;
        assert_eq!(node.witness.saw("NOPERM"), 0, "{:?}", node.witness);
        assert_eq!(node.witness.saw("warning"), 0, "{:?}", node.witness);
    });
}

/// Of a grant that is written where its slot is on its way, both commands stand behind one ASKING: it is there after the first redirect.
#[test]
fn a_grant_is_written_at_once_into_a_slot_on_its_way() {
    on_a_worker(async {
        let cluster = Cluster::start(2);
        let node = Node::open_up(cluster.options()).await;
        let tag = Tag(3);
        let (from, to) = (cluster.first_owner(tag), 1 - cluster.first_owner(tag));
        let records = [node.record_at(tag, "billing")];
        cluster.begin_to_move(tag.slot(), from, to);
        cluster.0.iter().for_each(|server| drop(server.command(&["CONFIG", "RESETSTAT"])));
        assert_eq!(node.save(&records).await, [Ok(())]);
        let calls = |server: &Server, command: &str| {
            let stats = String::from_utf8(server::bytes(server.command(&["INFO", "commandstats"]))).unwrap();
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
            line.map_or(0, |line| line.split(',').next().unwrap().parse::<u32>().unwrap())
        };
        let sets: u32 = cluster.0.iter().map(|server| calls(server, "set")).sum();
        assert_eq!((calls(&cluster.0[to], "set"), sets), (1, 1));
        assert_eq!(node.find(&records).await, all_found(&records));
    });
}
