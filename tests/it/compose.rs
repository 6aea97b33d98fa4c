//! docker-compose.yml and what it mounts: there is no container engine here, so all of it is parsed, held together, and jeton is
//! started on the same files with a Redis of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::cli::{Call, clean_environment};
use crate::harness::client::TestClient;
use crate::harness::process::Process;
use crate::harness::request::{Http, Request};
use crate::harness::{RedisServer, TestServer, ports};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn service(name: &str) -> Value {
    let services = yaml("docker-compose.yml")["services"].clone();
    assert!(services[name].is_object(), "no service `{name}`");
    services[name].clone()
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// What a service mounts: source and place.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let volumes = texts(&service["volumes"]);
    volumes.iter().map(|volume| volume.split_once(':').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn ports_are_published_on_loopback_alone_and_redis_on_none() {
    let compose = yaml("docker-compose.yml");
    for (name, service) in compose["services"].as_object().unwrap() {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
        assert_ne!(service["network_mode"], "host", "{name}");
    }
    assert_eq!(service("redis")["ports"], Value::Null);
    assert_eq!(texts(&service("jeton")["ports"]), ["127.0.0.1:4444:4444", "127.0.0.1:4445:4445"]);
}

#[test]
fn redis_keeps_what_it_has_and_evicts_nothing() {
    let command = texts(&service("redis")["command"]);
    let option = |name: &str| command.iter().position(|word| word == name).map(|at| command[at + 1].as_str());
    assert_eq!(option("--appendonly"), Some("yes"));
    assert_eq!(option("--maxmemory-policy"), Some("noeviction"));
    assert!(mounts(&service("redis")).contains(&("redis".to_owned(), "/data".to_owned())));
}

#[test]
fn jeton_waits_for_the_keys_that_a_service_makes_once() {
    let (keys, jeton) = (service("keys"), service("jeton"));
    assert_eq!(texts(&keys["command"])[..3], ["keys", "generate", "--if-missing"]);
    assert_eq!(keys["restart"], "no");
    assert_eq!(jeton["depends_on"]["keys"]["condition"], "service_completed_successfully");
    assert_eq!(keys["image"], jeton["image"]);
    assert_eq!(jeton["environment"]["JETON_ISSUER"], "${JETON_ISSUER:-http://localhost:4444}");
    assert_eq!(texts(&jeton["healthcheck"]["test"]), ["CMD", "jeton", "health", "--alive"]);

    // The file that is made is the one that is read, in one volume that both mount.
    let made = texts(&keys["command"])[3].clone();
    let settings: toml::Table = toml::from_str(&read("deploy/compose/jeton.toml")).unwrap();
    assert_eq!(settings["keys"]["file"].as_str(), Some(made.as_str()));
    let folder = Path::new(&made).parent().unwrap().to_str().unwrap();
    for service in [&keys, &jeton] {
        assert!(
            mounts(service).iter().any(|(volume, place)| volume == "keys" && place.split(':').next() == Some(folder))
        );
    }
    assert_eq!(yaml("docker-compose.yml")["volumes"]["keys"], serde_json::json!({}));
}

#[test]
fn what_is_mounted_is_there_and_what_is_scraped_is_served() {
    let compose = yaml("docker-compose.yml");
    for (name, service) in compose["services"].as_object().unwrap() {
        for (source, place) in mounts(service) {
            let there = if source.starts_with("./") {
                root().join(&source).exists()
            } else {
                compose["volumes"].get(source.as_str()).is_some()
            };
            assert!(there, "{name} mounts {source}:{place}");
        }
        for network in texts(&service["networks"]) {
            assert!(compose["networks"].get(network.as_str()).is_some(), "{name}: {network}");
        }
    }
    assert!(mounts(&service("jeton")).contains(&("./deploy/compose".to_owned(), "/etc/jeton:ro".to_owned())));

    let scrape = &yaml("deploy/compose/prometheus.yml")["scrape_configs"][0];
    assert_eq!(scrape["metrics_path"], "/metrics");
    assert_eq!(texts(&scrape["static_configs"][0]["targets"]), ["jeton:4445"]);
    assert_eq!(scrape["job_name"], "jeton", "the alerts name it");
    for file in texts(&yaml("deploy/compose/prometheus.yml")["rule_files"]) {
        // Beside each other in the container as they are here.
        let (folder, _) = file.strip_prefix("../").and_then(|path| path.split_once('/')).unwrap();
        let mounted = (format!("./deploy/{folder}"), format!("/etc/prometheus/{folder}:ro"));
        assert!(root().join("deploy/compose").join(&file).is_file(), "{file}");
        assert!(mounts(&service("prometheus")).contains(&mounted), "{mounted:?}");
    }
    let settings: toml::Table = toml::from_str(&read("deploy/compose/jeton.toml")).unwrap();
    assert_eq!(settings["admin"]["listen"].as_str(), Some("0.0.0.0:4445"));
    assert_eq!(settings["public"]["listen"].as_str(), Some("0.0.0.0:4444"));
    assert_eq!(settings["public"]["plain_http"].as_str(), Some("any"));
}

#[test]
fn the_image_runs_as_a_user_of_its_own_who_owns_the_volumes_folder() {
    let dockerfile = read("Dockerfile");
    let (_, last_stage) = dockerfile.rsplit_once("\nFROM ").unwrap();
    let user = last_stage.lines().find_map(|line| line.strip_prefix("USER ")).expect("no USER");
    assert!(!user.starts_with("root") && !user.starts_with('0'), "{user}");
    assert!(last_stage.contains("--owner=jeton --group=jeton --mode=0700 /var/lib/jeton"));
    assert!(last_stage.contains("useradd --system --uid 10001 --gid jeton") && user == "10001:10001");
    assert!(last_stage.contains("WORKDIR /etc/jeton\n"), "jeton.toml is looked for in the working folder");
    assert!(last_stage.contains(r#"CMD ["jeton", "health", "--alive"]"#));
    for copied in ["Cargo.toml", "Cargo.lock", "src", "loadtest"] {
        assert!(read(".dockerignore").lines().any(|line| line == format!("!{copied}")), "{copied} stays outside");
    }
}

#[test]
fn every_secret_is_marked_as_one_for_trying_out() {
    for entry in fs::read_dir(root().join("deploy/compose/secrets")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "README.md" {
            assert_eq!(path.extension().and_then(|e| e.to_str()), Some("demo"), "{}", path.display());
            assert!(fs::read_to_string(&path).unwrap().starts_with("demo-only-"), "{}", path.display());
        }
    }
}

/// The very files, the very commands; only addresses, Redis and the key file's place are the test's.
#[tokio::test]
async fn jeton_starts_on_these_files() {
    let redis = RedisServer::start_with(&["--appendonly", "yes"]).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("jeton.keys").to_str().unwrap().to_owned();

    let mut command = texts(&service("keys")["command"]);
    *command.last_mut().unwrap() = keys.clone();
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    Call::new(&words).run().expect(0);
    let made = fs::read(&keys).unwrap();
    Call::new(&words).run().expect(0);
    assert_eq!(made, fs::read(&keys).unwrap(), "a second start made new keys");

    let [public, admin] = [(); 2].map(|()| std::net::SocketAddr::from(([127, 0, 0, 1], ports::free())));
    let environment = [
        ("JETON_ISSUER", "http://localhost:4444".to_owned()),
        ("JETON_PUBLIC__LISTEN", public.to_string()),
        ("JETON_ADMIN__LISTEN", admin.to_string()),
        ("JETON_STORE__URL", redis.url()),
        ("JETON_KEYS__FILE", keys),
    ];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_jeton"));
    clean_environment(&mut command);
    let command = command.args(texts(&service("jeton")["command"])).current_dir(root().join("deploy/compose"));
    let process = Process::spawn("jeton", command.envs(environment.clone()));
    let server = TestServer::listening(folder, process, public, admin).await;
    server.until_store_up().await;

    let mut healthy = Call::new(&["health", "--alive"]).within(&root().join("deploy/compose"));
    for (name, value) in &environment {
        healthy = healthy.env(name, value);
    }
    healthy.run().expect(0);

    let client = |id: &str| {
        let secret = read(&format!("deploy/compose/secrets/{id}.demo")).trim_end().to_owned();
        TestClient { server: server.public, http: Http::One, id: id.to_owned(), secret }
    };
    let token = client("demo-worker").request_token("orders:read").await.expect_token();
    let answer = client("demo-orders-api").introspect(&token).await.expect_active();
    assert_eq!(answer["iss"], "http://localhost:4444");
    server.send_admin(&Request::get("/metrics")).await.expect(200);
}
