//! A running jeton.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::client::TestClient;
use super::clients;
use super::config::{self, ADMIN_TOKEN, ServerBuilder};
use super::expect::Answer;
use super::process::Process;
use super::request::{Http, Request};
use super::tls;
use super::wait::until;

/// A server of a test's own. On drop it is ended, and the test fails if it had died or panicked unnoticed.
#[derive(Debug)]
pub(crate) struct TestServer {
    folder: TempDir,
    process: Process,
    /// The public listener.
    pub(crate) public: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    end_is_expected: bool,
    #[cfg(debug_assertions)]
    panics_are_expected: bool,
}

impl TestServer {
    /// Describes a server.
    pub(crate) fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Waits until `process` has said where it listens.
    pub(crate) async fn started(folder: TempDir, mut process: Process) -> Self {
        let said = started(&mut process).await;
        let [public, admin] = addresses(&said);
        note_tls(&said);
        Self {
            folder,
            process,
            public,
            admin,
            end_is_expected: false,
            #[cfg(debug_assertions)]
            panics_are_expected: false,
        }
    }

    /// Waits until `process` answers at these addresses.
    pub(crate) async fn listening(
        folder: TempDir,
        mut process: Process,
        public: SocketAddr,
        admin: SocketAddr,
    ) -> Self {
        until("an answer of the server", async || {
            assert!(process.exited().is_none(), "the server ended at once: {:#?}", process.lines());
            tokio::net::TcpStream::connect(public).await.ok()
        })
        .await;
        Self {
            folder,
            process,
            public,
            admin,
            end_is_expected: false,
            #[cfg(debug_assertions)]
            panics_are_expected: false,
        }
    }

    /// Starts it again after its end, with the files it had; its ports are the same where they are fixed.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.process.exited().is_some(), "it runs");
        self.expect_no_panic();
        self.process = config::serve(self.folder.path());
        let started = started(&mut self.process).await;
        [self.public, self.admin] = addresses(&started);
        note_tls(&started);
        self.end_is_expected = false;
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A client of the fixture (or one written by [`clients::client`]) with its right secret.
    pub(crate) fn client(&self, id: &str) -> TestClient {
        TestClient { server: self.public, http: Http::One, id: id.to_owned(), secret: clients::secret_of(id) }
    }

    /// The same; reads better where it is a resource server.
    pub(crate) fn resource_server(&self, id: &str) -> TestClient {
        self.client(id)
    }

    /// Sends a request to the public listener.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        Http::One.send(self.public, request).await
    }

    /// Gets a path of the public listener.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(&Request::get(target)).await
    }

    /// Sends a request to the admin listener.
    pub(crate) async fn send_admin(&self, request: &Request) -> Answer {
        Http::One.send(self.admin, request).await
    }

    /// Asks the admin listener about a token, as an operator.
    pub(crate) async fn introspect_as_admin(&self, token: &str) -> Answer {
        let form = super::request::form(&[("token", token)]);
        self.send_admin(&Request::form("/admin/oauth2/introspect", form).bearer(ADMIN_TOKEN)).await
    }

    /// All metrics, as text.
    pub(crate) async fn metrics(&self) -> String {
        self.send_admin(&Request::get("/metrics")).await.expect(200).text().to_owned()
    }

    /// The sum of all series of this name whose labels hold each of these (`operation="find"`).
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics().await;
        let series = metrics.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{'])) && labels.iter().all(|label| line.contains(label))
        });
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// What `/health/ready` says.
    pub(crate) async fn ready(&self) -> Answer {
        self.get("/health/ready").await
    }

    /// Waits until a balancer would send it requests.
    pub(crate) async fn until_ready(&self) {
        until("ready", async || (self.ready().await.status == 200).then_some(())).await;
    }

    /// Waits until it has reached its store (again).
    pub(crate) async fn until_store_up(&self) {
        self.until_store("up").await;
        until("jeton_store_up 1", async || (self.metric("jeton_store_up", &[]).await > 0.5).then_some(())).await;
    }

    /// Waits until every worker knows that the store is gone.
    pub(crate) async fn until_store_down(&self) {
        self.until_store("down").await;
        until("no connection to the store", async || {
            (self.metric("jeton_store_connections", &["state=\"up\""]).await < 1.0).then_some(())
        })
        .await;
    }

    async fn until_store(&self, state: &str) {
        until(&format!("a store that is {state}"), async || {
            let ready = self.ready().await;
            (ready.json()["store"] == state && (state == "down" || ready.status == 200)).then_some(())
        })
        .await;
    }

    /// The listener that asks for certificates.
    pub(crate) fn mtls(&self) -> SocketAddr {
        let started = self.events("started").pop().unwrap();
        field(&started, "mtls").and_then(|address| address.as_str()?.parse().ok()).unwrap()
    }

    /// All log lines with this `event`.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        events(&self.process, event)
    }

    /// Waits for a log line with this `event` that `fits`.
    pub(crate) async fn until_event(&self, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(&format!("a log event {event} that fits"), async || {
            self.events(event).into_iter().find(|line| fits(line))
        })
        .await
    }

    /// All that it has printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Its folder, with `jeton.toml`, `clients.toml` and `jeton.keys`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces one of its files as an editor would: another file, then a rename.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let fresh = self.folder.path().join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.folder.path().join(name)).unwrap();
    }

    /// Lets it panic, once, at this point. The server was built with fail points.
    #[cfg(debug_assertions)]
    pub(crate) fn fail_at(&mut self, point: &str) {
        self.panics_are_expected = true;
        std::fs::write(self.folder.path().join(config::FAIL_POINTS).join(point), "").unwrap();
    }

    /// Whether a point that was told to panic has not done so yet.
    #[cfg(debug_assertions)]
    pub(crate) fn is_yet_to_fail(&self, point: &str) -> bool {
        self.folder.path().join(config::FAIL_POINTS).join(point).exists()
    }

    /// Waits until it ends by itself.
    #[cfg(debug_assertions)]
    pub(crate) async fn until_crash(&mut self) -> ExitStatus {
        self.end_is_expected = true;
        self.process.until_exit().await
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.end_is_expected |= signal == Signal::TERM || signal == Signal::INT;
        self.process.signal(signal);
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.end_is_expected = true;
        self.process.kill();
    }

    /// Fails the test if it has panicked.
    #[track_caller]
    fn expect_no_panic(&self) {
        let panicked: Vec<String> = self.process.lines().into_iter().filter(|line| line.contains("panic")).collect();
        assert!(panicked.is_empty(), "the server panicked: {panicked:#?}");
    }

    /// Waits until it ends after a [`TestServer::signal`] that asks for it.
    pub(crate) async fn until_exit(&mut self) -> ExitStatus {
        assert!(self.end_is_expected, "it was not asked to end");
        self.process.until_exit().await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        [self.public, self.admin].into_iter().for_each(tls::is_silent_at);
        if std::thread::panicking() {
            return;
        }
        if !self.end_is_expected {
            let ended = self.process.exited();
            assert!(ended.is_none(), "the server died: {ended:?}: {:#?}", self.process.lines());
        }
        #[cfg(debug_assertions)]
        if self.panics_are_expected {
            return;
        }
        self.expect_no_panic();
    }
}

/// Waits until a process has said where it listens.
async fn started(process: &mut Process) -> Value {
    until("the event `started`", async || {
        if let Some(event) = events(process, "started").pop() {
            return Some(event);
        }
        let ended = process.exited();
        assert!(ended.is_none(), "the server ended at once ({ended:?}): {:#?}", process.lines());
        None
    })
    .await
}

/// The public and the admin address that this event names.
fn addresses(started: &Value) -> [SocketAddr; 2] {
    ["public", "admin"].map(|name| {
        let address = field(started, name).and_then(|address| address.as_str()?.parse().ok());
        address.unwrap_or_else(|| panic!("`started` names no address of {name}: {started}"))
    })
}

/// Remembers where it speaks TLS, by its own word.
fn note_tls(started: &Value) {
    let listeners = field(started, "tls").and_then(Value::as_str).unwrap_or_default();
    for (name, address) in ["public", "admin"].into_iter().zip(addresses(started)) {
        if listeners.split(' ').any(|listener| listener == name) {
            tls::is_spoken_at(address);
        }
    }
}

fn events(process: &Process, event: &str) -> Vec<Value> {
    let lines = process.lines();
    let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| field(line, "event").is_some_and(|value| value == event)).collect()
}

/// A field of a log line.
pub(crate) fn field<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line.get(name).or_else(|| line.get("fields")?.get(name))
}
