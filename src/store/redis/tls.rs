//! TLS to Redis: which roots are believed, and what we show of ourselves.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A client's TLS configuration. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

/// The files given for TLS, read: PEM.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsFiles<'a> {
    /// The roots to believe; left out: those that browsers believe.
    pub ca: Option<&'a [u8]>,
    /// A certificate chain of our own and its private key.
    pub identity: Option<(&'a [u8], &'a [u8])>,
}

/// Why no TLS configuration comes of the files. Its text names the file and holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl ClientTls {
    /// A configuration from these files.
    ///
    /// # Errors
    /// [`TlsError`] where a file holds no usable PEM, or certificate and key do not belong together.
    pub fn new(files: TlsFiles<'_>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?
            .with_root_certificates(roots(files.ca)?);
        let config = match files.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| TlsError("the private key file holds no private key in PEM".into()))?;
                builder
                    .with_client_auth_cert(certificates(certificate, "the certificate file")?, key)
                    .map_err(|error| TlsError(format!("certificate and private key cannot be used: {error}")))?
            }
        };
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
    let Some(pem) = ca else { return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "the CA file")? {
        roots.add(certificate).map_err(|error| TlsError(format!("the CA file: {error}")))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], file: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError(format!("{file} holds no certificate in PEM"))),
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_hold_nothing_usable_are_refused_by_name() {
        assert!(ClientTls::new(TlsFiles::default()).is_ok());
        let refused = |files| ClientTls::new(files).unwrap_err().to_string();
        assert!(refused(TlsFiles { ca: Some(b"no pem"), identity: None }).contains("CA file"));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".into()]).unwrap().self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
        let ca = Some(certificate);
        assert!(refused(TlsFiles { ca, identity: Some((certificate, b"x")) }).contains("private key file"));
        assert!(refused(TlsFiles { ca, identity: Some((b"x", key)) }).contains("certificate file"));
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(refused(TlsFiles { ca, identity: Some((certificate, other.as_bytes())) }).contains("cannot be used"));
        assert!(ClientTls::new(TlsFiles { ca, identity: Some((certificate, key)) }).is_ok());
    }
}
