//! Whose certificates are believed where keys are fetched.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Roots, ready for use. Cheap to clone.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

/// Why a file holds no roots; holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootsError(String);

impl Roots {
    /// Those that browsers believe.
    ///
    /// # Errors
    /// Never in practice: where the cryptography lacks what TLS needs.
    pub fn usual() -> Result<Self, RootsError> {
        Self::of(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    /// The same, and these (PEM).
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn usual_and(pem: &[u8]) -> Result<Self, RootsError> {
        Self::of(add(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), pem)?)
    }

    /// These and no others (PEM).
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn these_alone(pem: &[u8]) -> Result<Self, RootsError> {
        Self::of(add(RootCertStore::empty(), pem)?)
    }

    fn of(roots: RootCertStore) -> Result<Self, RootsError> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| RootsError(error.to_string()))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

fn add(mut roots: RootCertStore, pem: &[u8]) -> Result<RootCertStore, RootsError> {
    let none = || RootsError("it holds no certificate in PEM".into());
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|_| none())?;
    if certificates.is_empty() {
        return Err(none());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| RootsError(format!("a certificate cannot be used: {error}")))?;
    }
    Ok(roots)
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RootsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_root_is_refused() {
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "no certificate", garbled] {
            assert!(Roots::these_alone(pem.as_bytes()).is_err() && Roots::usual_and(pem.as_bytes()).is_err(), "{pem}");
        }
        let own = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem();
        assert!(Roots::these_alone(own.as_bytes()).is_ok() && Roots::usual().is_ok());
    }
}
