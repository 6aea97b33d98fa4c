//! Where rows are run: one server on one store, spoken to in one version of HTTP, and tokens of every fate.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::config::{ServerBuilder, generate_keys};
use crate::harness::{Answer, Http, RedisServer, Request, TestClient, TestServer, until};

/// The store under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Redis,
}

/// What HTTP is carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Plain,
    Tls,
}

/// A server, and tokens whose names a row may use in braces.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) server: TestServer,
    pub(crate) http: Http,
    pub(crate) store: Store,
    tokens: Vec<(&'static str, String)>,
    pub(crate) redis: Option<RedisServer>,
    keys: TempDir,
}

impl Bench {
    /// Starts it and mints the tokens.
    pub(crate) async fn start(store: Store, http: Http, channel: Channel) -> Self {
        let redis = match store {
            Store::Memory => None,
            Store::Redis => Some(RedisServer::start().await),
        };
        let keys = TempDir::with_prefix("jeton-keys-").unwrap();
        generate_keys(&keys.path().join("jeton.keys"));
        let builder = TestServer::builder().with_keys(&keys.path().join("jeton.keys"));
        let builder = match channel {
            Channel::Plain => builder,
            Channel::Tls => builder.with_tls(),
        };
        let server = on(builder, redis.as_ref()).start().await;
        server.until_store_up().await;

        let mut bench = Self { server, http, store, tokens: Vec::new(), redis, keys };
        bench.mint_tokens().await;
        bench
    }

    /// A builder of another server on the same store, with the same keys: a second node.
    pub(crate) fn sibling(&self) -> ServerBuilder {
        on(self.memory_sibling(), self.redis.as_ref())
    }

    /// A builder of a server with the same keys and a memory of its own, whose tokens ours does not find.
    pub(crate) fn memory_sibling(&self) -> ServerBuilder {
        TestServer::builder().with_keys(&self.key_file())
    }

    /// A builder of a server of the same kind whose store cannot be reached.
    pub(crate) fn without_store(&self) -> ServerBuilder {
        TestServer::builder().with_keys(&self.key_file()).with_redis(&RedisServer::absent())
    }

    /// The service's keys.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.keys.path().join("jeton.keys")
    }

    /// A client, speaking this bench's version of HTTP.
    pub(crate) fn client(&self, id: &str) -> TestClient {
        TestClient { http: self.http, ..self.server.client(id) }
    }

    /// Sends a request, its tokens put in.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        self.http.send(self.server.public, &self.with_tokens(request).await).await
    }

    /// A token of `billing`, fresh.
    pub(crate) async fn fresh(&self) -> String {
        self.client("billing").request_token("invoices:read").await.expect_token()
    }

    /// The request with its `{name}`s replaced.
    pub(crate) async fn with_tokens(&self, request: &Request) -> Request {
        let mut tokens = self.tokens.clone();
        if holds(request, "{fresh}") {
            tokens.push(("fresh", self.fresh().await));
        }
        let mut request = request.clone();
        for (name, token) in tokens {
            let name = format!("{{{name}}}");
            if holds(&request, &name) {
                let put_in = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(&name, &token);
                request.target = request.target.replace(&name, &token);
                request.body = put_in(&request.body).into();
                request.headers.iter_mut().for_each(|(_, value)| *value = put_in(value).into());
            }
        }
        request
    }

    async fn mint_tokens(&mut self) {
        let expired = self.client("short").request_token("").await.expect_token();
        for id in ["billing", "reporting", "named", "bare", "gateway"] {
            self.tokens.push((id, self.client(id).request_token("").await.expect_token()));
        }
        let revoked = self.fresh().await;
        self.client("billing").revoke(&revoked).await.expect_revoked();

        let sibling = self.memory_sibling().start().await;
        let unknown = sibling.client("billing").request_token("").await.expect_token();
        let stranger = TestServer::builder().start().await;
        let foreign = stranger.client("billing").request_token("").await.expect_token();

        until("the end of the short token", async || {
            let answer = self.client("short").introspect(&expired).await.expect(200);
            (answer.json()["active"] == false).then_some(())
        })
        .await;
        self.tokens.extend([("expired", expired), ("revoked", revoked), ("unknown", unknown), ("foreign", foreign)]);
    }
}

fn on(builder: ServerBuilder, redis: Option<&RedisServer>) -> ServerBuilder {
    match redis {
        Some(redis) => builder.with_redis(redis),
        None => builder,
    }
}

fn holds(request: &Request, name: &str) -> bool {
    let within = |bytes: &[u8]| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    within(request.target.as_bytes()) || within(&request.body) || request.headers.iter().any(|(_, value)| within(value))
}
