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
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
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
