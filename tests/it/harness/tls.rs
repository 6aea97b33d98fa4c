//! TLS as tests speak it: one authority for all of them, and the addresses where it is spoken.
//!
//! A server that is given a certificate is known here by its addresses, and whoever of the harness connects to one speaks TLS there,
//! so that everything that runs in the clear can run over TLS as well.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a connection runs on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Names of a server in these tests.
pub(crate) const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "as.example"];

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The authority whom every client of the harness believes.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Where TLS is spoken.
static SPEAKERS: LazyLock<Mutex<HashSet<SocketAddr>>> = LazyLock::new(Mutex::default);

/// What the harness' own clients speak: kept, so that sessions are resumed as those of others are.
static HTTP1: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client(b"http/1.1", rustls::ALL_VERSIONS));
static HTTP2: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client(b"h2", rustls::ALL_VERSIONS));

impl Authority {
    /// One of its own.
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(vec![]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of a server of the tests.
    pub(crate) fn certify(&self) -> Certificate {
        self.certify_with(|_| {})
    }

    /// The same, changed before it is signed.
    pub(crate) fn certify_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.0).unwrap().pem();
        Certificate { certificate, key: key.serialize_pem() }
    }
}

impl Certificate {
    /// Writes both files, as a server's folder has them.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("tls.crt"), &self.certificate).unwrap();
        std::fs::write(folder.join("tls.key"), &self.key).unwrap();
    }

    /// The certificate alone, in DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }
}

/// From now on TLS is spoken there.
pub(crate) fn is_spoken_at(address: SocketAddr) {
    SPEAKERS.lock().unwrap().insert(address);
}

/// Nobody speaks it there any more.
pub(crate) fn is_silent_at(address: SocketAddr) {
    SPEAKERS.lock().unwrap().remove(&address);
}

/// A client that believes [`AUTHORITY`], with nothing to resume, and shows nothing.
pub(crate) fn client(protocol: &[u8], versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    client_that(protocol, versions, |config| config.with_no_client_auth())
}

/// The same, that shows this certificate where it is asked for one.
pub(crate) fn client_with(
    protocol: &[u8],
    versions: &[&'static SupportedProtocolVersion],
    shown: &Certificate,
) -> Arc<ClientConfig> {
    let chain = CertificateDer::pem_slice_iter(shown.certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    client_that(protocol, versions, |config| config.with_client_auth_cert(chain, key).unwrap())
}

/// The same, that does this where it is asked for a certificate.
pub(crate) fn client_that(
    protocol: &[u8],
    versions: &[&'static SupportedProtocolVersion],
    shows: impl FnOnce(ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = shows(config.with_root_certificates(roots));
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Connects by TLS, as this client.
pub(crate) async fn connect_as(config: &Arc<ClientConfig>, to: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = connect_plain(to).await?;
    TlsConnector::from(config.clone()).connect(ServerName::from(to.ip()), stream).await
}

/// Connects by TCP alone, whatever is spoken there.
pub(crate) async fn connect_plain(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects for HTTP/1.1, by TLS where that is spoken.
pub(crate) async fn connect_http1(to: SocketAddr) -> std::io::Result<Box<dyn Stream>> {
    connect(&HTTP1, to).await
}

/// Connects for HTTP/2, by TLS where that is spoken, else by prior knowledge.
pub(crate) async fn connect_http2(to: SocketAddr) -> std::io::Result<Box<dyn Stream>> {
    connect(&HTTP2, to).await
}

async fn connect(config: &Arc<ClientConfig>, to: SocketAddr) -> std::io::Result<Box<dyn Stream>> {
    if !SPEAKERS.lock().unwrap().contains(&to) {
        return Ok(Box::new(connect_plain(to).await?));
    }
    let stream = connect_as(config, to).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), config.alpn_protocols.first().map(Vec::as_slice));
    Ok(Box::new(stream))
}
