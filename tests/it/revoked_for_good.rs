//! A token that was revoked with a 200 is never active again: not after a failover that lost the delete, not after a restart of Redis from
//! an old dump, not after a restart of jeton.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::config::{ServerBuilder, generate_keys};
use crate::harness::{Answer, ChaosProxy, RedisServer, Switch, TestClient, TestServer, until};

/// What nodes share, and their journals.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = TempDir::with_prefix("jeton-journal-").unwrap();
        generate_keys(&folder.path().join("jeton.keys"));
        Self(folder)
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("revocations.journal")
    }

    fn node(&self, port: u16) -> ServerBuilder {
        let store = format!("redis://127.0.0.1:{port}");
        TestServer::builder().with_keys(&self.0.path().join("jeton.keys")).with_store(&store).with_usual_deadlines()
    }
}

fn with_journal(node: ServerBuilder, file: &Path) -> ServerBuilder {
    node.set("store.journal_file", file.to_str().unwrap())
}

/// A primary and a replica of it that can be made to lag, behind one address.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
    link: ChaosProxy,
    address: Switch,
}

impl Pair {
    async fn start() -> Self {
        // A replica is fed at once, not after the five seconds in which others might come.
        let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]).await;
        let link = ChaosProxy::before(primary.port()).await;
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &link.port().to_string()]).await;
        let address = Switch::to(primary.port()).await;
        let pair = Self { primary, replica, link, address };
        until("a replica that is in step", async || pair.in_step().then_some(())).await;
        pair
    }

    fn in_step(&self) -> bool {
        self.replica.run::<String>("INFO replication").contains("master_link_status:up")
            && self.primary.run::<Vec<Vec<u8>>>("KEYS jeton:p:*").len()
                == self.replica.run::<Vec<Vec<u8>>>("KEYS jeton:p:*").len()
    }

    /// The primary is lost, and the replica takes over with what it has.
    fn fail_over(&mut self) {
        self.primary.kill();
        let _: () = self.replica.run("REPLICAOF NO ONE");
        self.address.turn_to(self.replica.port());
    }

    fn tokens_of_replica(&self) -> usize {
        let pages: Vec<String> = self.replica.run("KEYS jeton:p:*");
        pages.iter().map(|page| self.replica.run::<usize>(&format!("HLEN {page}"))).sum()
    }
}

/// Asks until the node answers from its store again; whatever it answers meanwhile, it is not that the token is active.
async fn never_active(resource_server: &TestClient, token: &str) {
    until("an answer about a revoked token", async || {
        let answer = resource_server.introspect(token).await;
        if answer.status == 503 {
            return None;
        }
        answer.expect_inactive();
        Some(())
    })
    .await;
}

async fn two_tokens(node: &TestServer) -> (String, String) {
    let billing = node.client("billing");
    let token = async || billing.request_token("invoices:read").await.expect_token();
    (token().await, token().await)
}

fn journaled(count: f64) -> impl AsyncFn(&TestServer) {
    async move |node: &TestServer| {
        until("the journal's entries", async || {
            (node.metric("jeton_journal_entries", &[]).await == count).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_failover_that_loses_the_delete_revives_nothing() {
    let (folder, mut pair) = (Folder::new(), Pair::start().await);
    let a = folder.node(pair.address.port()).start().await;
    let b = folder.node(pair.address.port()).start().await;
    a.until_store_up().await;
    b.until_store_up().await;
    let (revoked, kept) = two_tokens(&a).await;
    until("the tokens on the replica", async || (pair.tokens_of_replica() == 2).then_some(())).await;

    pair.link.black_hole();
    a.client("billing").revoke(&revoked).await.expect_revoked();
    // The other node reads of it on the stream, which the replica does not have either.
    journaled(1.0)(&b).await;
    pair.fail_over();
    for node in [&a, &b, &a, &b] {
        never_active(&node.resource_server("orders-api"), &revoked).await;
    }
    assert_eq!(pair.tokens_of_replica(), 1, "the delete was not sent again");
    for node in [&a, &b] {
        node.resource_server("orders-api").introspect(&kept).await.expect_active();
    }
    // A node that knew nothing of it, and what it is told by the stream of the new primary.
    let c = folder.node(pair.address.port()).start().await;
    never_active(&c.resource_server("orders-api"), &revoked).await;
    journaled(1.0)(&c).await;
}

#[tokio::test]
async fn a_node_that_was_away_during_the_failover_remembers_by_its_file() {
    let (folder, mut pair) = (Folder::new(), Pair::start().await);
    let node = || with_journal(folder.node(pair.address.port()), &folder.journal());
    let mut a = node().start().await;
    a.until_store_up().await;
    let (revoked, kept) = two_tokens(&a).await;
    until("the tokens on the replica", async || (pair.tokens_of_replica() == 2).then_some(())).await;
    pair.link.black_hole();
    a.client("billing").revoke(&revoked).await.expect_revoked();
    a.kill();
    let restarted = node();
    pair.fail_over();

    let a = restarted.start().await;
    never_active(&a.resource_server("orders-api"), &revoked).await;
    a.resource_server("orders-api").introspect(&kept).await.expect_active();
    assert_eq!(pair.tokens_of_replica(), 1, "the delete was not sent again");
}

#[tokio::test]
async fn killed_in_the_middle_of_revocations_it_remembers_all_it_acknowledged() {
    let folder = Folder::new();
    let mut redis = RedisServer::start().await;
    let node = || with_journal(folder.node(redis.port()), &folder.journal());
    let mut server = node().start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    let mut tokens = Vec::new();
    for _ in 0..60 {
        tokens.push(billing.request_token("invoices:read").await.expect_token());
    }
    let _: () = redis.run("SAVE");
    let mut revocations = JoinSet::new();
    for token in tokens.clone() {
        let billing = billing.clone();
        revocations.spawn(async move {
            // It panics where the server is gone: then nothing was acknowledged.
            (billing.revoke(&token).await.status == 200).then_some(token)
        });
    }
    let mut acknowledged = HashSet::new();
    while acknowledged.len() < 20 {
        acknowledged.extend(revocations.join_next().await.unwrap().unwrap());
    }
    server.kill();
    while let Some(ended) = revocations.join_next().await {
        acknowledged.extend(ended.ok().flatten());
    }
    // All that Redis heard of it is lost as well.
    let restarted = node();
    redis.kill();
    redis.start_again().await;
    assert_eq!(redis.run::<Vec<String>>("KEYS jeton:journal").len(), 0);

    let server = restarted.start().await;
    let orders_api = server.resource_server("orders-api");
    for token in &acknowledged {
        never_active(&orders_api, token).await;
    }
    assert!(server.metric("jeton_journal_entries", &[]).await >= acknowledged.len() as f64);
}

#[tokio::test]
async fn a_redis_restarted_from_an_old_dump_revives_nothing() {
    let folder = Folder::new();
    let mut redis = RedisServer::start().await;
    let server = folder.node(redis.port()).start().await;
    server.until_store_up().await;
    let (revoked, kept) = two_tokens(&server).await;
    let _: () = redis.run("SAVE");
    server.client("billing").revoke(&revoked).await.expect_revoked();
    redis.kill();
    redis.start_again().await;
    for _ in 0..20 {
        never_active(&server.resource_server("orders-api"), &revoked).await;
    }
    server.until_store_up().await;
    server.resource_server("orders-api").introspect(&kept).await.expect_active();
}

#[tokio::test]
async fn with_too_few_replicas_nothing_is_acknowledged_and_lookups_go_on() {
    let (folder, mut pair) = (Folder::new(), Pair::start().await);
    let node = folder.node(pair.address.port()).set("store.replicas", 1).start().await;
    node.until_store_up().await;
    let (billing, orders_api) = (node.client("billing"), node.resource_server("orders-api"));
    let (live, other) = two_tokens(&node).await;
    // As the default deadlines have it, a lookup is far quicker than the wait for a replica that does not answer.
    pair.link.black_hole();
    let unavailable = |answer: Answer| assert_eq!(answer.expect_error(503, "temporarily_unavailable").retry_after(), 1);
    unavailable(billing.request_token("invoices:read").await);
    orders_api.introspect(&live).await.expect_active();
    unavailable(billing.revoke(&other).await);
    orders_api.introspect(&live).await.expect_active();
    assert!(node.metric("jeton_store_errors_total", &["kind=\"not_replicated\""]).await >= 2.0);
    assert_eq!(node.metric("jeton_store_up", &[]).await, 1.0);

    pair.link.mend().await;
    let again = until("a token that the replica has", async || {
        let answer = billing.request_token("invoices:read").await;
        (answer.status == 200).then(|| answer.expect_token())
    })
    .await;
    billing.revoke(&other).await.expect_revoked();
    // What was acknowledged survives the primary's end.
    pair.fail_over();
    until("an answer of the new primary", async || {
        let answer = orders_api.introspect(&again).await;
        (answer.status == 200).then(|| answer.expect_active())
    })
    .await;
    never_active(&orders_api, &other).await;
}

#[tokio::test]
async fn a_journal_that_is_held_or_is_none_stops_the_start() {
    let folder = Folder::new();
    let redis = RedisServer::start().await;
    let node = || with_journal(folder.node(redis.port()), &folder.journal());
    let _holder = node().start().await;
    let refused = async |node: ServerBuilder, why: &str| {
        let (_folder, mut process) = node.spawn();
        assert_eq!(process.until_exit().await.code(), Some(78));
        let said = process.lines().join("\n");
        assert!(said.contains("store.journal_file") && said.contains(why), "{said}");
    };
    refused(node(), "another process holds this journal").await;
    let other = folder.0.path().join("notes");
    std::fs::write(&other, "buy milk").unwrap();
    refused(with_journal(folder.node(redis.port()), &other), "no journal of revocations").await;
    let nowhere = folder.0.path().join("missing/journal");
    refused(with_journal(folder.node(redis.port()), &nowhere), "No such file").await;
}
