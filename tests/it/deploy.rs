//! What stands under deploy/kubernetes and deploy/systemd: there is no cluster here, so the manifests are held together with each other
//! and with the configuration in them, and jeton is started and drained on just that. `make deploy-check` holds them against the
//! schemas of Kubernetes and systemd's own checker.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::cli::{Call, clean_environment};
use crate::harness::config::generate_keys;
use crate::harness::process::Process;
use crate::harness::strict::StrictLoad;
use crate::harness::{Http, RedisServer, Request, TestServer, ports, until};

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(name: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("kubernetes/{name}.yaml"))).unwrap()
}

fn pod() -> Value {
    manifest("deployment")["spec"]["template"]["spec"].clone()
}

fn container() -> Value {
    pod()["containers"][0].clone()
}

/// The number of a container's port of this name.
fn port(name: &str) -> u64 {
    let ports = container()["ports"].clone();
    let named = ports.as_array().unwrap().iter().find(|port| port["name"] == name);
    named.unwrap_or_else(|| panic!("no port {name}"))["containerPort"].as_u64().unwrap()
}

/// The configuration in the ConfigMap.
fn settings() -> toml::Table {
    toml::from_str(manifest("config")["data"]["jeton.toml"].as_str().unwrap()).unwrap()
}

fn milliseconds(option: &str) -> u64 {
    settings()["limits"][option].as_integer().unwrap().try_into().unwrap()
}

/// Writes the files of the ConfigMap, as they are mounted.
fn write_config(folder: &Path) {
    for (name, text) in manifest("config")["data"].as_object().unwrap() {
        fs::write(folder.join(name), text.as_str().unwrap()).unwrap();
    }
}

/// What the kubelet puts into every pod of a namespace that has the service.
fn service_variables() -> Vec<(String, String)> {
    let service = manifest("service");
    let name = service["metadata"]["name"].as_str().unwrap().to_uppercase();
    let address = "10.96.14.7";
    let mut variables = vec![(format!("{name}_SERVICE_HOST"), address.to_owned())];
    for (index, port) in service["spec"]["ports"].as_array().unwrap().iter().enumerate() {
        let number = port["port"].as_u64().unwrap();
        let url = format!("tcp://{address}:{number}");
        if index == 0 {
            variables.push((format!("{name}_SERVICE_PORT"), number.to_string()));
            variables.push((format!("{name}_PORT"), url.clone()));
        }
        let port_name = port["name"].as_str().unwrap().to_uppercase();
        variables.push((format!("{name}_SERVICE_PORT_{port_name}"), number.to_string()));
        let about = format!("{name}_PORT_{number}_TCP");
        variables.push((about.clone(), url));
        variables.push((format!("{about}_PROTO"), "tcp".to_owned()));
        variables.push((format!("{about}_PORT"), number.to_string()));
        variables.push((format!("{about}_ADDR"), address.to_owned()));
    }
    variables
}

#[test]
fn the_manifests_agree_with_each_other_and_with_the_configuration() {
    let (deployment, service) = (manifest("deployment"), manifest("service"));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &manifest("disruption-budget")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    assert_eq!(service["metadata"]["name"], "jeton");
    let settings = settings();
    for (section, name) in [("public", "public"), ("admin", "admin")] {
        assert_eq!(settings[section]["listen"].as_str(), Some(format!("0.0.0.0:{}", port(name)).as_str()));
    }
    let mounts = container()["volumeMounts"].clone();
    let secrets = mounts.as_array().unwrap().iter().find(|mount| mount["name"] == "secrets").unwrap();
    for file in [&settings["keys"]["file"], &settings["store"]["password_file"]] {
        let folder = Path::new(file.as_str().unwrap()).parent().unwrap();
        assert_eq!(folder.to_str(), secrets["mountPath"].as_str(), "{file} is not in the mounted secrets");
    }
    assert_eq!(pod()["volumes"][0]["configMap"]["name"], manifest("config")["metadata"]["name"]);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
}

#[test]
fn a_pod_is_given_more_time_than_its_drain_takes() {
    let drain = milliseconds("drain_delay_ms") + milliseconds("drain_timeout_ms");
    assert!(pod()["terminationGracePeriodSeconds"].as_u64().unwrap() * 1000 > drain);
    // By then everybody has heard of it: it is looked at each second, and one look is enough.
    let readiness = &container()["readinessProbe"];
    assert_eq!((&readiness["periodSeconds"], &readiness["failureThreshold"]), (&1.into(), &1.into()));
    assert!(milliseconds("drain_delay_ms") >= 3000);
}

#[test]
fn a_unit_is_given_more_time_than_the_usual_drain_takes_and_not_started_again_on_a_bad_configuration() {
    let unit = read("systemd/jeton.service");
    let value = |key: &str| {
        let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    let shown =
        Call::new(&["config", "show"]).env("JETON_STORE__URL", "memory:").env("JETON_ISSUER", "https://a.example");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("clients.toml"), "").unwrap();
    let shown = shown.within(folder.path()).run().expect(0).stdout;
    let usual = |option: &str| -> u64 {
        let line = shown.lines().find(|line| line.contains(option)).unwrap_or_else(|| panic!("{shown}"));
        line.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok()).unwrap()
    };
    let stop: u64 = value("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(stop * 1000 > usual("drain_delay_ms") + usual("drain_timeout_ms"));

    let command = value("ExecStart");
    let mut words: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(words.pop(), Some("/etc/jeton/jeton.toml"));
    fs::write(folder.path().join("jeton.toml"), "no = such").unwrap();
    words.push("jeton.toml");
    let refused = Call::new(&words).within(folder.path()).run();
    assert_eq!(refused.code.to_string(), value("RestartPreventExitStatus"), "{}", refused.stderr);
}

/// As a pod would: the ConfigMap's files, the Deployment's variables and the kubelet's. Only addresses, Redis and where the secrets
/// lie are the test's. Then it is told to end under load, by the settings of the manifests, and nobody's request fails.
#[tokio::test]
async fn a_pod_starts_is_probed_scraped_and_ends_with_no_request_failed() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    // The load's client beside those of the ConfigMap.
    let clients = fs::read_to_string(folder.path().join("clients.toml")).unwrap().replace("orders-api", "manifest-api");
    fs::write(folder.path().join("clients.toml"), clients + &crate::harness::clients::fixture()).unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    generate_keys(&folder.path().join("jeton.keys"));
    fs::write(folder.path().join("redis-password"), "any: this Redis asks for none\n").unwrap();

    let [public, admin] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())));
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    clean_environment(&mut command);
    let arguments = container()["args"].clone();
    command.args(arguments.as_array().unwrap().iter().map(|word| word.as_str().unwrap())).current_dir(folder.path());
    for variable in container()["env"].as_array().unwrap() {
        command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    command.envs(service_variables()).envs([
        ("JETON_PUBLIC__LISTEN", public.to_string()),
        ("JETON_ADMIN__LISTEN", admin.to_string()),
        ("JETON_STORE__URL", redis.url()),
        ("JETON_STORE__PASSWORD_FILE", file("redis-password")),
        ("JETON_KEYS__FILE", file("jeton.keys")),
    ]);
    let process = Process::spawn("jeton", &mut command);
    let mut server = TestServer::listening(folder, process, public, admin).await;

    let path = |probe: &str| container()[probe]["httpGet"]["path"].as_str().unwrap().to_owned();
    let [ready, alive] = [path("readinessProbe"), path("livenessProbe")];
    for probe in ["readinessProbe", "livenessProbe"] {
        assert_eq!(container()[probe]["httpGet"]["port"], "admin");
    }
    until("readiness", async || (server.send_admin(&Request::get(&ready)).await.status == 200).then_some(())).await;
    server.send_admin(&Request::get(&alive)).await.expect(200);
    let annotations = manifest("deployment")["spec"]["template"]["metadata"]["annotations"].clone();
    assert_eq!(annotations["prometheus.io/port"], port("admin").to_string());
    server.send_admin(&Request::get(annotations["prometheus.io/path"].as_str().unwrap())).await.expect(200);

    let load = StrictLoad::on(&[&server], 4, Http::One, Duration::from_millis(milliseconds("drain_delay_ms")));
    load.until_answered(100).await;
    server.signal(Signal::TERM);
    until("not ready", async || (server.send_admin(&Request::get(&ready)).await.status == 503).then_some(())).await;
    server.send_admin(&Request::get(&alive)).await.expect(200);
    assert!(server.until_exit().await.success());
    load.stop().await.expect_no_failure();
}
