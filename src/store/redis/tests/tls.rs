//! TLS to a real server: its certificate is checked, and ours is shown where it asks.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;
use crate::store::redis::options::Access;
use crate::store::redis::tls::{ClientTls, TlsFiles};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(vec![]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "an authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key.
    fn certify(&self, name: &str) -> (String, String) {
        self.certify_all(&[name])
    }

    fn certify_all(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn options(server: &Server, host: &str, files: TlsFiles<'_>) -> RedisOptions {
    let options = RedisOptions::parse_url(&format!("rediss://{host}:{}", server.port)).unwrap();
    options.access.store(Arc::new(Access { tls: Some(ClientTls::new(files).unwrap()), ..Access::default() }));
    RedisOptions { operation_timeout: server.options().operation_timeout, ..options }
}

#[test]
fn the_contract_holds_over_tls_and_strangers_on_either_side_are_refused() {
    on_a_worker(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let (certificate, key) = authority.certify("localhost");
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pem: &str| {
            let path = folder.path().join(name);
            fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        let (ca, certificate, key) =
            (write("ca", &authority.0.pem()), write("certificate", &certificate), write("key", &key));
        let arguments = ["--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let server = Server::start_over_tls(&arguments);
        let (own, own_key) = authority.certify("jeton");
        let authority = authority.0.pem();
        let identity = Some((own.as_bytes(), own_key.as_bytes()));
        let files = TlsFiles { ca: Some(authority.as_bytes()), identity };

        contract::holds(async || {
            let open = || open(options(&server, "localhost", files)).store;
            let pair = (open(), open());
            until(|| pair.0.is_up() && pair.1.is_up()).await;
            pair
        })
        .await;
        let nobody = TlsFiles { identity: None, ..files };
        let stranger = stranger.0.pem();
        let strangers = TlsFiles { ca: Some(stranger.as_bytes()), ..files };
        for (host, files) in [("localhost", nobody), ("localhost", strangers), ("127.0.0.1", files)] {
            let refused = open(options(&server, host, files));
            until(|| refused.witness.saw("lost") == 1).await;
            assert!(!refused.store.is_up(), "{:?}", refused.witness);
        }
    });
}

/// Files of a server on this address, and what a client believes.
fn files(authority: &Authority) -> (tempfile::TempDir, Vec<String>, Access) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.certify_all(&["localhost", "127.0.0.1"]);
    let ca = authority.0.pem();
    let mut arguments = Vec::new();
    for (option, pem) in [("--tls-ca-cert-file", &ca), ("--tls-cert-file", &certificate), ("--tls-key-file", &key)] {
        let path = folder.path().join(option);
        fs::write(&path, pem).unwrap();
        arguments.extend([option.to_owned(), path.display().to_string()]);
    }
    arguments.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
    let tls = ClientTls::new(TlsFiles { ca: Some(ca.as_bytes()), identity: None }).unwrap();
    (folder, arguments, Access { tls: Some(tls), ..Access::default() })
}

fn with_access(url: &str, access: Access) -> RedisOptions {
    let options = RedisOptions::parse_url(url).unwrap();
    options.access.store(Arc::new(access));
    RedisOptions { operation_timeout: PATIENCE / 4, ..options }
}

#[test]
fn sentinels_and_the_primary_that_they_name_may_speak_tls() {
    on_a_worker(async {
        let (_folder, arguments, access) = files(&Authority::new());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let primary = Server::start_over_tls(&arguments);
        let port = server::free_port();
        let mut lines = format!("tls-port {port}\ntls-replication yes");
        for pair in arguments.chunks(2) {
            lines.push_str(&format!("\n{} {}", pair[0].trim_start_matches('-'), pair[1]));
        }
        let _sentinel = Server::start_sentinel(&primary, &lines);
        let node = open(with_access(&format!("rediss+sentinel://localhost:{port}/main"), access));
        until(|| node.store.is_up()).await;
        let records = node.saved(1).await;
        assert_eq!(node.find(records[0].address).await, found(&records[0]));
    });
}

#[test]
fn nodes_of_a_cluster_may_speak_tls() {
    on_a_worker(async {
        let (_folder, arguments, access) = files(&Authority::new());
        let bus = server::free_port().to_string();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", &bus]);
        let server = Server::start_over_tls(&arguments);
        server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        let node = cluster::Node::open_up(with_access(&format!("rediss+cluster://localhost:{}", server.port), access));
        node.await.serves().await;
    });
}
