//! A Redis cluster: three primaries with a replica each, all real, on free ports of loopback, ended on drop.

use super::ports;
use super::redis::RedisServer;
use super::wait::until;

const PRIMARIES: usize = 3;
/// Two for each third of the slots: the primary at `n` begins with the replica at `n + 3`.
const NODES: usize = 2 * PRIMARIES;
const SLOTS: usize = 16_384;

/// Six nodes.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    nodes: Vec<RedisServer>,
    ids: Vec<String>,
}

impl RedisCluster {
    /// Starts the nodes, makes them a cluster that goes on where some slots are gone, and waits until every node sees it whole.
    pub(crate) async fn start() -> Self {
        // It judges soon, so that a test that loses a primary need not wait for long.
        Self::start_with(&["--cluster-node-timeout", "1000"]).await
    }

    /// As [`RedisCluster::start`], with further arguments for each node, among them after how many milliseconds a node is taken for gone.
    pub(crate) async fn start_with(arguments_of_all: &[&str]) -> Self {
        let mut nodes = Vec::new();
        let mut bus_ports = Vec::new();
        for _ in 0..NODES {
            let bus_port = ports::free().to_string();
            let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus_port];
            let judging = ["--cluster-replica-validity-factor", "0"];
            let going_on = ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"];
            nodes
                .push(RedisServer::start_with(&[&arguments[..], &judging, &going_on, arguments_of_all].concat()).await);
            bus_ports.push(bus_port);
        }
        for (at, node) in nodes.iter().enumerate() {
            node.run::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1));
            if at < PRIMARIES {
                let (first, behind) = (SLOTS * at / PRIMARIES, SLOTS * (at + 1) / PRIMARIES);
                node.run::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {}", behind - 1));
            }
        }
        for (node, bus_port) in nodes.iter().zip(&bus_ports).skip(1) {
            nodes[0].run::<()>(&format!("CLUSTER MEET 127.0.0.1 {} {bus_port}", node.port()));
        }
        let ids: Vec<String> = nodes.iter().map(|node| node.run("CLUSTER MYID")).collect();
        let cluster = Self { nodes, ids };
        until("nodes that know each other", async || cluster.all_know(NODES).then_some(())).await;
        for at in PRIMARIES..NODES {
            let follow = format!("CLUSTER REPLICATE {}", cluster.ids[at - PRIMARIES]);
            until("a node that knows its primary", async || cluster.nodes[at].try_run::<String>(&follow).map(|_| ()))
                .await;
        }
        cluster.until_whole().await;
        cluster
    }

    /// `redis+cluster://…` with two of its nodes, the second a replica.
    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port(), self.nodes[NODES - 1].port())
    }

    /// A node, whatever it is now.
    pub(crate) fn node(&mut self, at: usize) -> &mut RedisServer {
        &mut self.nodes[at]
    }

    /// All nodes, whatever they are now.
    pub(crate) fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// Lets each node name this port of loopback as its own, one for each node, and waits until all know that.
    pub(crate) async fn announce(&mut self, ports: &[u16]) {
        for (node, port) in self.nodes.iter_mut().zip(ports) {
            node.set_for_good("cluster-announce-port", &port.to_string());
        }
        until("nodes that know where the others say they are", async || {
            let knows = |node: &RedisServer| {
                let nodes = node.try_run::<String>("CLUSTER NODES").unwrap_or_default();
                ports.iter().all(|port| nodes.contains(&format!("127.0.0.1:{port}@")))
            };
            self.nodes.iter().all(knows).then_some(())
        })
        .await;
        self.until_whole().await;
    }

    /// Lets a replica take each primary's place, while all of them live.
    pub(crate) async fn change_places(&self) {
        self.until_whole().await;
        let former = self.primaries();
        for at in &former {
            let id = &self.ids[*at];
            let replica = (0..NODES).find(|&other| other != *at && self.follows_primary(other, id));
            self.nodes[replica.expect("a replica")].run::<()>("CLUSTER FAILOVER");
        }
        until("other primaries", async || {
            let now = self.primaries();
            (now.len() == PRIMARIES && former.iter().all(|at| !now.contains(at))).then_some(())
        })
        .await;
        self.until_whole().await;
    }

    fn follows_primary(&self, at: usize, id: &str) -> bool {
        let nodes = self.nodes[at].run::<String>("CLUSTER NODES");
        nodes.lines().any(|line| line.contains("myself,slave") && line.contains(id))
    }

    /// The nodes that are primaries with slots, in order, as far as they answer.
    fn primaries(&self) -> Vec<usize> {
        let is_primary = |&at: &usize| {
            let nodes = self.nodes[at].try_run::<String>("CLUSTER NODES").unwrap_or_default();
            nodes.lines().any(|line| line.contains("myself,master") && line.split(' ').count() > 8)
        };
        (0..self.nodes.len()).filter(is_primary).collect()
    }

    /// Waits until every node sees a whole cluster, and every replica follows its primary.
    pub(crate) async fn until_whole(&self) {
        until("a whole cluster", async || {
            let whole = self.all_know(NODES) && self.nodes.iter().all(|node| state_is_ok(node) && follows(node));
            (whole && self.primaries().len() == PRIMARIES).then_some(())
        })
        .await;
    }

    /// Waits until every replica has all that its primary has written.
    pub(crate) async fn until_replicated(&self) {
        let offset = |at: usize, name: &str| {
            let state = self.nodes[at].try_run::<String>("INFO replication")?;
            state.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        for at in 0..PRIMARIES {
            let written = offset(at, "master_repl_offset:").expect("the primary's offset");
            until("a replica that has all", async || {
                offset(at + PRIMARIES, "slave_repl_offset:").filter(|offset| *offset >= written)
            })
            .await;
        }
    }

    /// Waits until the replica of a primary that is away has its slots.
    pub(crate) async fn until_replaced(&self, primary: usize) {
        let replica = (primary + PRIMARIES) % NODES;
        until("a promoted replica", async || self.primaries().contains(&replica).then_some(())).await;
    }

    /// Moves a slot with all that lies in it to another primary, key by key, as `redis-cli --cluster reshard` does. Whether it was not
    /// there anyway.
    pub(crate) async fn move_slot(&self, slot: u16, to: usize) -> bool {
        let Some(from) = self.primaries().into_iter().find(|&at| self.owns(at, slot)) else { panic!("slot {slot}") };
        if from == to {
            return false;
        }
        self.nodes[to].run::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from]));
        self.nodes[from].run::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to]));
        let mut source = self.nodes[from].connect();
        loop {
            let asked = redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(1).query(&mut source);
            let keys: Vec<Vec<u8>> = asked.unwrap();
            let Some(key) = keys.first() else { break };
            let port = self.nodes[to].port();
            let migrated =
                redis::cmd("MIGRATE").arg("127.0.0.1").arg(port).arg(key).arg(0).arg(10_000).query(&mut source);
            let _: String = migrated.unwrap_or_else(|error| panic!("MIGRATE of slot {slot}: {error}"));
            // Others are to come in between.
            tokio::task::yield_now().await;
        }
        for at in [to, from] {
            self.nodes[at].run::<()>(&format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]));
        }
        // A node that hears first of another slot's move holds this one's old owner for the newer one, and makes the new one give it up:
        // then nobody owns it.
        until("a slot's move known to all", async || (0..NODES).all(|node| self.knows(node, slot, to)).then_some(()))
            .await;
        true
    }

    /// The slots with keys of jeton's in them.
    pub(crate) fn slots_in_use(&self) -> Vec<u16> {
        let primaries = self.primaries();
        let mut connections: Vec<_> = primaries.into_iter().map(|at| self.nodes[at].connect()).collect();
        let mut slots: Vec<u16> = (0..256)
            .map(|tag| {
                redis::cmd("CLUSTER").arg("KEYSLOT").arg(format!("{{{tag:02x}}}")).query(&mut connections[0]).unwrap()
            })
            .collect();
        slots.retain(|slot| {
            connections.iter_mut().any(|connection| {
                redis::cmd("CLUSTER").arg("COUNTKEYSINSLOT").arg(slot).query::<u64>(connection).unwrap() > 0
            })
        });
        slots
    }

    fn owns(&self, at: usize, slot: u16) -> bool {
        self.knows(at, slot, at)
    }

    /// Whether a node holds `owner` for the owner of a slot.
    fn knows(&self, at: usize, slot: u16, owner: usize) -> bool {
        let shown = self.nodes[at].run::<String>("CLUSTER NODES");
        let line = shown.lines().find(|line| line.starts_with(&self.ids[owner]));
        line.is_some_and(|line| line.split(' ').skip(8).any(|range| holds(range, slot)))
    }

    fn all_know(&self, count: usize) -> bool {
        let knows = |node: &RedisServer| {
            let nodes = node.try_run::<String>("CLUSTER NODES").unwrap_or_default();
            nodes.lines().filter(|line| line.contains(" connected") && !line.contains("handshake")).count() == count
        };
        self.nodes.iter().all(knows)
    }
}

/// `7`, `0-5460`; a slot on its way stands in brackets.
fn holds(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
}

fn state_is_ok(node: &RedisServer) -> bool {
    let info = node.try_run::<String>("CLUSTER INFO").unwrap_or_default();
    info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
}

fn follows(node: &RedisServer) -> bool {
    let info = node.try_run::<String>("INFO replication").unwrap_or_default();
    info.contains("role:master") || info.contains("master_link_status:up")
}
