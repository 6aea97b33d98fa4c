//! Redis in each of its shapes behind proxies, and what can befall it whole: so that what must hold is said once for all shapes.
//!
//! Invariant: nobody takes a server for gone while it is on a stage, so nothing but a test changes who is primary.

use std::time::Duration;

use super::chaos::{ChaosProxy, Corruption};
use super::cluster::RedisCluster;
use super::config::ServerBuilder;
use super::redis::RedisServer;
use super::sentinel::SentinelGroup;
use super::server::TestServer;
use super::wait::until;

/// Redis that writes and syncs before it answers, so that none of its deaths loses anything.
const SYNCED: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
/// So long may a node of the cluster stand still without being replaced.
const CALM: &[&str] = &["--cluster-node-timeout", "60000"];
/// Enough keys that a server would be some seconds about loading them, at so many microseconds each. It looks at its connections after
/// each 1,024.
const FILLERS: usize = 30_000;
const SLOWLY: &[&str] = &["--key-load-delay", "100"];

/// How Redis stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Sentinel,
    Cluster,
}

/// Redis in one shape, with a proxy before each of its servers.
#[derive(Debug)]
pub(crate) struct Stage {
    shape: Shape,
    backing: Backing,
    proxies: Vec<ChaosProxy>,
}

#[derive(Debug)]
enum Backing {
    Single(RedisServer),
    Sentinel(SentinelGroup),
    Cluster(RedisCluster),
}

impl Stage {
    pub(crate) async fn of(shape: Shape) -> Self {
        let mut proxies = Vec::new();
        let backing = match shape {
            Shape::Single => {
                let redis = RedisServer::start_with(SYNCED).await;
                proxies.push(ChaosProxy::before(redis.port()).await);
                Backing::Single(redis)
            }
            Shape::Sentinel => {
                let group;
                (group, proxies) = SentinelGroup::start_behind_proxies(SYNCED).await;
                Backing::Sentinel(group)
            }
            Shape::Cluster => {
                let mut cluster = RedisCluster::start_with(&[SYNCED, CALM].concat()).await;
                for node in cluster.nodes_mut() {
                    proxies.push(ChaosProxy::before(node.port()).await);
                }
                let ports: Vec<u16> = proxies.iter().map(ChaosProxy::port).collect();
                cluster.announce(&ports).await;
                Backing::Cluster(cluster)
            }
        };
        Self { shape, backing, proxies }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// A server that keeps its tokens there.
    pub(crate) fn builder(&self) -> ServerBuilder {
        TestServer::builder().with_store(&self.url())
    }

    fn url(&self) -> String {
        match &self.backing {
            Backing::Single(redis) => redis.url_at(self.proxies[0].port()),
            Backing::Sentinel(group) => group.url(),
            Backing::Cluster(_) => {
                let [first, .., last] = &self.proxies[..] else { panic!("a cluster of few") };
                format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", first.port(), last.port())
            }
        }
    }

    fn servers(&mut self) -> &mut [RedisServer] {
        match &mut self.backing {
            Backing::Single(redis) => std::slice::from_mut(redis),
            Backing::Sentinel(group) => group.servers_mut(),
            Backing::Cluster(cluster) => cluster.nodes_mut(),
        }
    }

    /// Runs a command on each server.
    pub(crate) fn run_on_each(&mut self, command: &str) {
        self.servers().iter().for_each(|server| server.run::<()>(command));
    }

    /// How often a command (in lower case) has run, on any.
    pub(crate) fn calls_of(&mut self, command: &str) -> u64 {
        self.servers().iter().map(|server| server.calls_of(command)).sum()
    }

    /// Kills every server with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.servers().iter_mut().for_each(RedisServer::kill);
    }

    /// Asks every server to end, and waits for that.
    pub(crate) async fn terminate(&mut self) {
        for server in self.servers() {
            server.terminate().await;
        }
    }

    /// Starts every server again with what it had.
    pub(crate) async fn start_again(&mut self) {
        for server in self.servers() {
            server.begin_to_start(&[]);
        }
        self.until_loaded().await;
    }

    /// Kills every server and starts it again with so much in it that it loads for a while.
    pub(crate) fn load_for_long(&mut self) {
        for server in self.servers() {
            // A primary of a cluster takes keys of its slots, a replica none.
            let takes = |tag: &usize| server.try_run::<()>(&format!("SET {{{tag}}}filler 0")).is_some();
            if let Some(tag) = (0..50).find(takes) {
                let fill = "for at = 1, ARGV[1] do redis.call('SET', KEYS[1] .. at, at) end";
                let mut filling = redis::cmd("EVAL");
                filling.arg(fill).arg(1).arg(format!("{{{tag}}}filler:")).arg(FILLERS);
                filling.exec(&mut server.connect()).unwrap();
            }
        }
        self.kill();
        self.servers().iter_mut().for_each(|server| server.begin_to_start(SLOWLY));
    }

    /// What a server says meanwhile, where that is one thing: a node of a cluster may be heard to refuse connections, to be without the others,
    /// or to load, whichever comes first.
    pub(crate) fn word_of_loading(&self) -> Option<&'static str> {
        (self.shape != Shape::Cluster).then_some("LOADING")
    }

    /// Waits until all is in memory again, which need not take long any more, and each replica follows.
    pub(crate) async fn until_loaded(&mut self) {
        for server in self.servers() {
            until("a server that hears what it need not do", async || {
                server.try_run::<()>("CONFIG SET key-load-delay 0")
            })
            .await;
            server.until_loaded().await;
        }
        match &self.backing {
            Backing::Single(_) => {}
            Backing::Sentinel(group) => group.until_whole().await,
            Backing::Cluster(cluster) => cluster.until_whole().await,
        }
    }

    /// Stops every server with SIGSTOP.
    pub(crate) fn freeze(&mut self) {
        self.servers().iter_mut().for_each(RedisServer::freeze);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&mut self) {
        self.servers().iter_mut().for_each(RedisServer::thaw);
    }

    /// Makes the primary a replica of nobody while its connections stay. In a cluster the nodes change places instead: none of them takes
    /// this order.
    pub(crate) async fn demote(&mut self) {
        match &self.backing {
            Backing::Cluster(cluster) => cluster.change_places().await,
            _ => self.servers()[0].run::<()>("REPLICAOF 127.0.0.1 1"),
        }
    }

    /// Takes that back.
    pub(crate) async fn promote(&mut self) {
        if self.shape != Shape::Cluster {
            self.servers()[0].run::<()>("REPLICAOF NO ONE");
        }
        self.until_loaded().await;
    }

    /// Takes bytes and connections and passes nothing.
    pub(crate) fn black_hole(&self) {
        self.proxies.iter().for_each(ChaosProxy::black_hole);
    }

    /// Passes nothing more on the connections that are open; new ones work.
    pub(crate) fn strand(&self) {
        self.proxies.iter().for_each(ChaosProxy::strand);
    }

    /// Passes each piece so much later, in both directions.
    pub(crate) fn delay(&self, delay: Duration) {
        self.proxies.iter().for_each(|proxy| proxy.delay(delay));
    }

    /// Passes each piece that comes back changed.
    pub(crate) fn corrupt(&self, corruption: Corruption) {
        self.proxies.iter().for_each(|proxy| proxy.corrupt(corruption));
    }

    /// Passes all bytes one by one.
    pub(crate) fn crumble(&self) {
        self.proxies.iter().for_each(|proxy| proxy.slice(1));
    }

    /// Ends every fault of the proxies.
    pub(crate) async fn mend(&mut self) {
        for proxy in &mut self.proxies {
            proxy.mend().await;
        }
    }
}
