//! How a test server is described before it starts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use toml::{Table, Value};

use super::cli::jeton;
use super::clients;
use super::ports;
use super::process::Process;
use super::redis::RedisServer;
use super::server::TestServer;
use super::tls::AUTHORITY;

/// The issuer of test servers.
pub(crate) const ISSUER: &str = "https://as.example";
/// The admin token of test servers.
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-of-at-least-32-characters-0123456789";

/// The folder by which a server is told where to panic.
pub(crate) const FAIL_POINTS: &str = "fail-points";

/// A server that is not yet started: memory store, the fixture's clients, free ports, no deadline that a busy machine could pass.
#[derive(Debug)]
pub(crate) struct ServerBuilder {
    folder: TempDir,
    settings: Table,
    clients: String,
    wants_keys: bool,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        let builder = Self {
            folder: TempDir::with_prefix("jeton-").unwrap(),
            settings: Table::new(),
            clients: clients::fixture(),
            wants_keys: false,
        };
        builder
            .set("issuer", ISSUER)
            .set("public.listen", "127.0.0.1:0")
            .set("public.workers", 2)
            .set("admin.listen", "127.0.0.1:0")
            .set("admin.token_file", "admin-token")
            .set("store.url", "memory:")
            .set("store.operation_timeout_ms", 10_000)
            .set("limits.request_deadline_ms", 20_000)
            .set("clients.file", "clients.toml")
            .set("log.format", "json")
    }

    /// Keeps its tokens in this Redis.
    pub(crate) fn with_redis(self, redis: &RedisServer) -> Self {
        self.with_store(&redis.url())
    }

    /// Keeps its tokens in the Redis of this URL.
    pub(crate) fn with_store(mut self, url: &str) -> Self {
        self.wants_keys = true;
        self.set("store.url", url)
    }

    /// Judges the store as it does outside of tests: 250 ms an operation, one second a request.
    pub(crate) fn with_usual_deadlines(self) -> Self {
        self.unset("store.operation_timeout_ms").unset("limits.request_deadline_ms")
    }

    /// Speaks TLS on its public listener, with a certificate of [`AUTHORITY`].
    pub(crate) fn with_tls(self) -> Self {
        AUTHORITY.certify().write(self.folder.path());
        self.set("public.tls.certificate_file", "tls.crt").set("public.tls.private_key_file", "tls.key")
    }

    /// Speaks TLS on its admin listener too.
    pub(crate) fn with_admin_tls(self) -> Self {
        self.with_tls().set("admin.tls.certificate_file", "tls.crt").set("admin.tls.private_key_file", "tls.key")
    }

    /// Uses this key file, so that several servers know each other's tokens.
    pub(crate) fn with_keys(self, file: &Path) -> Self {
        self.set("keys.file", file.to_str().unwrap())
    }

    /// Knows these clients instead of the fixture's.
    pub(crate) fn with_clients(mut self, text: &str) -> Self {
        text.clone_into(&mut self.clients);
        self
    }

    /// Knows this client too.
    pub(crate) fn and_client(mut self, text: &str) -> Self {
        self.clients = format!("{}\n{text}\n", self.clients);
        self
    }

    /// Panics where [`TestServer::fail_at`] says.
    #[cfg(debug_assertions)]
    pub(crate) fn with_fail_points(self) -> Self {
        std::fs::create_dir(self.folder.path().join(FAIL_POINTS)).unwrap();
        self
    }

    /// Sets one option of the configuration file: `section.key`, or `key`.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let (table, key) = self.place(path);
        table.insert(key, value.into());
        self
    }

    /// Takes one option out of the configuration file.
    pub(crate) fn unset(mut self, path: &str) -> Self {
        let (table, key) = self.place(path);
        table.remove(&key);
        self
    }

    /// Writes a file into the server's folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// The server's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it and waits until it has said where it listens, and, where no Redis is needed for it, that it is ready.
    pub(crate) async fn start(self) -> TestServer {
        let embedded = self.settings["store"].get("url").and_then(Value::as_str) == Some("memory:");
        let (folder, process) = self.spawn();
        let server = TestServer::started(folder, process).await;
        if embedded {
            server.until_event("ready", |_| true).await;
        }
        server
    }

    /// Listens on ports that it keeps when it is started again.
    pub(crate) fn on_fixed_ports(self) -> Self {
        self.with_ports().0
    }

    /// Starts one whose log does not say where it listens: it is given ports, and waited for until it answers.
    pub(crate) async fn start_silent(self) -> TestServer {
        self.start_with_stderr(Stdio::piped()).await
    }

    /// As [`ServerBuilder::start_silent`], with this standard error.
    pub(crate) async fn start_with_stderr(self, stderr: Stdio) -> TestServer {
        let (builder, [public, admin]) = self.with_ports();
        builder.write();
        let process = Process::spawn_with_stderr("jeton", &mut command(builder.folder.path()), stderr);
        TestServer::listening(builder.folder, process, public, admin).await
    }

    fn with_ports(self) -> (Self, [SocketAddr; 2]) {
        let [public, admin] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())));
        let builder = self.set("public.listen", public.to_string()).set("admin.listen", admin.to_string());
        (builder, [public, admin])
    }

    /// Starts it and expects nothing: for what must not come up. The folder goes with the returned guard.
    pub(crate) fn spawn(self) -> (TempDir, Process) {
        self.write();
        let process = serve(self.folder.path());
        (self.folder, process)
    }

    /// Writes its files and returns the path of the configuration.
    pub(crate) fn write(&self) -> PathBuf {
        let folder = self.folder.path();
        let mut settings = self.settings.clone();
        if self.wants_keys && !settings.contains_key("keys") {
            generate_keys(&folder.join("jeton.keys"));
            settings.insert("keys".to_owned(), Table::from_iter([("file".to_owned(), "jeton.keys".into())]).into());
        }
        let config = folder.join("jeton.toml");
        std::fs::write(&config, settings.to_string()).unwrap();
        std::fs::write(folder.join("clients.toml"), &self.clients).unwrap();
        std::fs::write(folder.join("admin-token"), ADMIN_TOKEN).unwrap();
        config
    }

    fn place(&mut self, path: &str) -> (&mut Table, String) {
        let Some((section, key)) = path.rsplit_once('.') else { return (&mut self.settings, path.to_owned()) };
        let mut table = &mut self.settings;
        for name in section.split('.') {
            table = table.entry(name).or_insert(Table::new().into()).as_table_mut().expect("a section");
        }
        (table, key.to_owned())
    }
}

/// Starts the service that a folder describes.
pub(crate) fn serve(folder: &Path) -> Process {
    Process::spawn("jeton", &mut command(folder))
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    super::cli::clean_environment(&mut command);
    command.arg("serve").arg("--config").arg(folder.join("jeton.toml")).current_dir(folder);
    if folder.join(FAIL_POINTS).is_dir() {
        command.env("FAILPOINTS_OF_JETON", folder.join(FAIL_POINTS));
    }
    command
}

/// Makes a key file as an operator would.
pub(crate) fn generate_keys(file: &Path) {
    jeton(&["keys", "generate", file.to_str().unwrap()]).expect(0);
}
