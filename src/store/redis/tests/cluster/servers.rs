//! Real nodes of a cluster for one test.

#![allow(clippy::disallowed_methods, reason = "a test may wait for a process it started")]

use std::thread::sleep;
use std::time::Instant;

use redis::Value;

use super::super::server::bytes;
use super::super::{Duration, PATIENCE, RedisOptions, Server, server};
use crate::store::redis::slot_map::Tag;

const SLOTS: usize = 16_384;

/// Primaries without replicas, each with its share of the slots.
pub(super) struct Cluster(pub(super) Vec<Server>);

impl Cluster {
    pub(super) fn start(primaries: usize) -> Self {
        Self::start_with(primaries, &[])
    }

    pub(super) fn start_with(primaries: usize, arguments: &[&str]) -> Self {
        let started: Vec<(Server, String)> = (0..primaries).map(|_| start_node(arguments)).collect();
        for (at, (server, _)) in started.iter().enumerate() {
            let (first, behind) = (SLOTS * at / primaries, SLOTS * (at + 1) / primaries);
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
            server.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(behind - 1).to_string()]);
            let (other, bus) = &started[0];
            server.command(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), bus]);
        }
        let cluster = Self(started.into_iter().map(|(server, _)| server).collect());
        let is_whole = |info: String| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384");
        until(|| cluster.0.iter().all(|server| is_whole(info(server))));
        cluster
    }

    /// Another node, which follows a primary and has what that has.
    pub(super) fn add_replica(&mut self, of: usize) {
        let (replica, bus) = start_node(&["--repl-diskless-sync-delay", "0"]);
        self.0[of].command(&["CLUSTER", "MEET", "127.0.0.1", &replica.port.to_string(), &bus]);
        let id = self.id(of);
        until(|| replica.command(&["CLUSTER", "REPLICATE", &id]) == Value::Okay);
        until(|| follows(&replica));
        self.0.push(replica);
    }

    /// Another node, which all know for a primary without slots.
    pub(super) fn add_empty(&mut self) {
        let (node, bus) = start_node(&[]);
        self.0[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &bus]);
        self.0.push(node);
        let known = format!("cluster_known_nodes:{}", self.0.len());
        let is_whole = |info: String| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384");
        until(|| self.0.iter().all(|server| info(server).contains(&known) && is_whole(info(server))));
    }

    /// Waits until a server that was a primary has found out that it is one no more.
    pub(super) fn until_it_follows(&self, at: usize) {
        until(|| follows(&self.0[at]));
    }

    /// Waits until a replica has all that its primary has.
    pub(super) fn until_copied(&self, primary: usize, replica: usize) {
        let offset = |at: usize, name: &str| {
            let state = String::from_utf8(bytes(self.0[at].command(&["INFO", "replication"]))).unwrap();
            state.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        until(|| {
            let copied = offset(replica, "slave_repl_offset:");
            copied.is_some() && copied == offset(primary, "master_repl_offset:")
        });
    }

    pub(super) fn options(&self) -> RedisOptions {
        let url = format!("redis+cluster://127.0.0.1:1,127.0.0.1:{}", self.0[0].port);
        RedisOptions { operation_timeout: PATIENCE / 4, ..RedisOptions::parse_url(&url).unwrap() }
    }

    pub(super) fn id(&self, at: usize) -> String {
        String::from_utf8(bytes(self.0[at].command(&["CLUSTER", "MYID"]))).unwrap()
    }

    /// Which server keeps a tag by the slots as they were at the start.
    pub(super) fn first_owner(&self, tag: Tag) -> usize {
        (0..self.0.len()).find(|at| usize::from(tag.slot()) < SLOTS * (at + 1) / self.0.len()).unwrap()
    }

    /// Whether a server knows that another is a primary with slots.
    pub(super) fn knows_primary(&self, at: usize, other: usize) -> bool {
        let nodes = String::from_utf8(bytes(self.0[at].command(&["CLUSTER", "NODES"]))).unwrap();
        let id = self.id(other);
        nodes.lines().any(|line| line.starts_with(&id) && line.contains("master") && line.split(' ').count() > 8)
    }

    pub(super) fn set_slot(&self, at: usize, slot: u16, words: &[&str]) {
        let slot = slot.to_string();
        assert_eq!(self.0[at].command(&[&["CLUSTER", "SETSLOT", &slot], words].concat()), Value::Okay);
    }

    /// Begins to move a slot: what is not at the old place any more is asked for at the new one.
    pub(super) fn begin_to_move(&self, slot: u16, from: usize, to: usize) {
        self.set_slot(to, slot, &["IMPORTING", &self.id(from)]);
        self.set_slot(from, slot, &["MIGRATING", &self.id(to)]);
    }

    pub(super) fn keys_in(&self, at: usize, slot: u16) -> Vec<Vec<u8>> {
        let Value::Array(keys) = self.0[at].command(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "1000"]) else {
            panic!("no keys")
        };
        keys.into_iter().map(bytes).collect()
    }

    pub(super) fn move_key(&self, key: &[u8], from: usize, to: usize) {
        let port = self.0[to].port.to_string();
        let words: [&[u8]; 6] = [b"MIGRATE", b"127.0.0.1", port.as_bytes(), key, b"0", b"5000"];
        assert_eq!(self.0[from].commands(&[&words]), [Value::Okay]);
    }

    pub(super) fn end_the_move(&self, slot: u16, from: usize, to: usize) {
        let id = self.id(to);
        [to, from].into_iter().for_each(|at| self.set_slot(at, slot, &["NODE", &id]));
    }
}

fn start_node(arguments: &[&str]) -> (Server, String) {
    let bus = server::free_port().to_string();
    let member = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-require-full-coverage", "no"];
    (Server::start_with(&[&member, arguments].concat()), bus)
}

fn follows(replica: &Server) -> bool {
    let state = String::from_utf8(bytes(replica.command(&["INFO", "replication"]))).unwrap();
    state.contains("master_link_status:up")
}

fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never comes to hold");
        sleep(Duration::from_millis(2));
    }
}

fn info(server: &Server) -> String {
    String::from_utf8(bytes(server.command(&["CLUSTER", "INFO"]))).unwrap()
}
