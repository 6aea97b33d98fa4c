//! A worker's house on the embedded store with connections that are pipes of memory, and the requests of its two clients.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jeton::actors::Deadline;
use jeton::actors::courier::CourierHandle;
use jeton::actors::guesses::Guesses;
use jeton::actors::verifier::VerifierHandle;
use jeton::clock::Clock;
use jeton::http::proxies::Proxies;
use jeton::http::router::Router;
use jeton::http::{DpopOptions, Limits, LogRequests, Shared, connection};
use jeton::lifecycle::Health;
use jeton::oauth::client::{Client, ClientId, Clients, IntrospectionRight, Registration};
use jeton::oauth::dpop::target::Target;
use jeton::oauth::grant::{Grant, GrantParts};
use jeton::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use jeton::oauth::metadata::Issuer;
use jeton::oauth::profile::Profile;
use jeton::oauth::remembered_secrets::MemoryKey;
use jeton::oauth::scope::Scope;
use jeton::oauth::secret::{Secret, SecretHash};
use jeton::oauth::time::{Lifetime, Timestamp};
use jeton::random::Random;
use jeton::store::memory::MemoryStore;
use jeton::telemetry::exporter::Exporter;
use jeton::worker::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// More than any request or answer here.
const PIPE_BYTES: usize = 16 * 1024;
const AUDIENCE: &str = "https://api.example.com";
const CLIENT: &str = "billing-worker";
const RESOURCE_SERVER: &str = "orders-api";
const SECRET: &str = "Yz9mQ2tXc1RkR3ZKbkx3aEZpUHVBb0VyQ3lCZU1qU2s";

/// Connections without a socket: our ends of them, and the tasks that serve the others.
pub(crate) struct Pipes {
    connections: Vec<DuplexStream>,
    /// Whether answers have been seen to say what they should.
    seen: bool,
    /// Ends the connections with the pipes.
    _serving: JoinSet<()>,
}

pub(crate) struct InProcess {
    pub(crate) house: House,
    pub(crate) pipes: Pipes,
}

impl InProcess {
    /// Opens the house with so many connections. To be called within a local runtime.
    pub(crate) async fn open(connections: usize) -> Self {
        let clients = Arc::new(ArcSwap::from_pointee(Clients::new([
            Client::new(registration(CLIENT, IntrospectionRight::default())),
            Client::new(registration(RESOURCE_SERVER, IntrospectionRight::Audiences(vec![AUDIENCE.to_owned()]))),
        ])));
        let store = MemoryStore::new(u64::MAX, Clock::System, Random::system());
        let house = House::open(store.handle(), clients, Random::system(), Arc::new(shared()));
        let router = Router::public(house.services.clone());
        let pipes = Pipes::open(connections, |stream| connection::serve_unswept(stream, router.clone()));
        Self { house, pipes }
    }
}

impl Pipes {
    /// So many connections, each served by what `serve` gives. To be called within a local runtime.
    pub(crate) fn open<F>(connections: usize, serve: impl Fn(DuplexStream) -> F) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let mut serving = JoinSet::new();
        let open = |_| {
            let (ours, theirs) = duplex(PIPE_BYTES);
            serving.spawn_local(serve(theirs));
            ours
        };
        let connections = (0..connections).map(open).collect();
        Self { connections, seen: false, _serving: serving }
    }

    /// Asks on every connection, then reads every answer, which must be 200 and, the first time, hold `member`.
    pub(crate) async fn exchange<'a>(&mut self, request: impl Fn(usize) -> &'a [u8], member: &str) {
        for (index, connection) in self.connections.iter_mut().enumerate() {
            connection.write_all(request(index)).await.unwrap();
        }
        for connection in &mut self.connections {
            // An answer is written in one piece, so a pipe that is large enough gives it in one.
            let mut answer = [0; 2048];
            let read = connection.read(&mut answer).await.unwrap();
            let answer = &answer[..read];
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
            assert!(self.seen || String::from_utf8_lossy(answer).contains(member));
        }
        self.seen = true;
    }
}

pub(crate) fn deadline() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(10))
}

pub(crate) fn grant() -> Arc<Grant> {
    Grant::new(GrantParts {
        audience: vec![AUDIENCE.to_owned()],
        claims: serde_json::Map::new(),
        client_id: ClientId::new(CLIENT),
        scope: Scope::parse("invoices:read invoices:write").unwrap(),
        subject: CLIENT.to_owned(),
    })
}

pub(crate) fn token_request() -> String {
    request("/oauth2/token", CLIENT, "grant_type=client_credentials")
}

pub(crate) fn introspection_request(token: &str) -> String {
    request("/oauth2/introspect", RESOURCE_SERVER, &format!("token={token}"))
}

fn request(path: &str, client: &str, body: &str) -> String {
    let basic = data_encoding::BASE64.encode(format!("{client}:{SECRET}").as_bytes());
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:4444\r\nauthorization: Basic {basic}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn registration(id: &str, introspection: IntrospectionRight) -> Registration {
    Registration {
        secrets: vec![SecretHash::of(&Secret::new(SECRET.as_bytes())).into()],
        scope: Scope::parse("invoices:read invoices:write").unwrap(),
        audience: vec![AUDIENCE.to_owned()],
        introspection,
        ..Registration::new(ClientId::new(id))
    }
}

fn shared() -> Shared {
    let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32]);
    let health = Health::new(1);
    health.store_found();
    let issuer = Issuer::parse("http://127.0.0.1:4444", false).unwrap();
    let metrics = Arc::new(Exporter::new("0", "0").register(1));
    let guesses = Arc::<Guesses>::default();
    Shared {
        courier: CourierHandle::nobodys(),
        verifier: VerifierHandle::new(MemoryKey::new(&[7; 32]), guesses.clone(), metrics.clone()),
        mtls: None,
        authorities: None,
        proxies: Proxies::default(),
        profile: Profile::Default,
        keys: Arc::new(ArcSwap::from_pointee(ServiceKeys::new(vec![key]).unwrap())),
        dpop: DpopOptions { target: Target::token_endpoint(&issuer), requires_nonce: false },
        issuer,
        token_prefix: "jt".into(),
        lifetime: Lifetime::from_seconds(3600),
        admin_token: ArcSwap::from_pointee(None),
        limits: limits(),
        log_requests: ArcSwap::from_pointee(LogRequests::None),
        clock: Clock::System,
        health: Arc::new(health),
        metrics,
        guesses,
        failures: Arc::default(),
    }
}

fn limits() -> Limits {
    Limits {
        body_bytes_max: 16_384,
        connections_max: 1000,
        connections_per_source_max: 0,
        request_deadline: Duration::from_secs(1),
        handshake_timeout: Duration::from_secs(5),
        header_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(620),
        connection_age: Duration::ZERO,
    }
}
