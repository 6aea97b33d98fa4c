//! TLS as a client: the server's name is always checked.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::output::Failure;

/// Speaks TLS with `host` over a connection. `ca_file`: whom to believe in place of the usual roots.
pub(super) async fn connect(
    host: &str,
    stream: TcpStream,
    ca_file: Option<&Path>,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(format!("`{host}` is no name that a certificate could bear")))?;
    let config = ClientConfig::builder().with_root_certificates(roots(ca_file)?).with_no_client_auth();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| {
        Failure::with_hint(format!("no TLS with {host}: {error}"), "--ca-file names who signed its certificate")
    })
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let refused = |error: &dyn std::fmt::Display| {
        Failure::new(format!("{} is no PEM file of certificates: {error}", path.display()))
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refused(&error))? {
        roots.add(certificate.map_err(|error| refused(&error))?).map_err(|error| refused(&error))?;
    }
    if roots.is_empty() { Err(refused(&"there is none in it")) } else { Ok(roots) }
}
