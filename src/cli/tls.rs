//! TLS as a client: the server's name is always checked, but where a probe asks this machine.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::output::Failure;

/// Whose certificate a client believes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust<'a> {
    /// That of the usual roots, or of this file.
    Roots(Option<&'a Path>),
    /// Anybody's: for a question that tells nothing, put to this machine.
    Anybody,
}

/// Believes any certificate whose key the server has.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

/// Speaks TLS with `host` over a connection.
pub(super) async fn connect<S>(host: &str, stream: S, trust: Trust<'_>) -> Result<TlsStream<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(format!("`{host}` is no name that a certificate could bear")))?;
    let config = ClientConfig::builder();
    let config = match trust {
        Trust::Roots(ca_file) => config.with_root_certificates(roots(ca_file)?),
        Trust::Anybody => {
            let anybody = Anybody(ring::default_provider().signature_verification_algorithms);
            config.dangerous().with_custom_certificate_verifier(Arc::new(anybody))
        }
    };
    let config = config.with_no_client_auth();
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

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
