//! The certificates of clients: taken in the handshake whatever they are, and judged when a request says whose it is.
//!
//! Invariants: who shows a certificate has its private key, or the handshake fails; who shows none, or one that nobody signed, is served, since
//! other methods may prove who it is (RFC 8705 section 2); the chain, its purpose and its dates are judged by what is believed now, on
//! kept and resumed connections too.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::default_provider;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::parse_x509_certificate;

use crate::oauth::client_certificate;
use crate::oauth::dpop::target::Target;
use crate::oauth::time::Timestamp;

/// Certificates of one chain, and their bytes: more than any chain of clients has, and few enough that verifying them costs little.
const CHAIN_MAX: usize = 8;
const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// A chain that is not believed is judged anew at most so often: its signatures cost whoever is attacked.
const DISBELIEVED_FOR_MILLIS: u64 = 1000;

/// What belongs to the listener that asks for certificates.
#[derive(Debug)]
pub struct Mtls {
    /// Where it is reached, as the metadata says.
    pub base_url: String,
    /// Token requests that come there.
    pub target: Target,
}

/// Who may sign certificates of clients.
#[derive(Clone)]
pub struct Authorities {
    /// `None`: nobody.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When the first of them ends. It is believed all the same (RFC 5280 section 6.1 asks of an anchor its name and its key).
    expires_at: Option<Timestamp>,
}

/// Why a file names nobody. Its text holds nothing of the file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritiesError(pub String);

/// A certificate whose private key the other end of a connection has.
pub struct PeerCertificate {
    /// The certificate itself, DER.
    pub(crate) der: Arc<[u8]>,
    /// `x5t#S256`.
    pub(crate) thumbprint: [u8; 32],
    /// Those that lead to a root, as it was sent.
    intermediates: Vec<CertificateDer<'static>>,
    last: Mutex<Option<Judgement>>,
}

/// What was found, and until when it holds while the same are believed.
struct Judgement {
    authorities: Arc<Authorities>,
    is_trusted: bool,
    until: Timestamp,
}

impl Authorities {
    /// Nobody: clients are known by certificates of their own alone.
    pub fn nobody() -> Self {
        Self { verifier: None, expires_at: None }
    }

    /// From the content of a PEM file with one or more certificates.
    ///
    /// # Errors
    /// [`AuthoritiesError`] where it holds nothing usable.
    pub fn read(certificates: &[u8]) -> Result<Self, AuthoritiesError> {
        let unusable = |_| AuthoritiesError("holds something that is no certificate in PEM".into());
        let (mut roots, mut expires_at) = (RootCertStore::empty(), None);
        for certificate in CertificateDer::pem_slice_iter(certificates) {
            let certificate = certificate.map_err(unusable)?;
            expires_at = expires_at.into_iter().chain(end(&certificate)).min();
            roots
                .add(certificate)
                .map_err(|error| AuthoritiesError(format!("holds a certificate of no use: {error}")))?;
        }
        if roots.is_empty() {
            return Err(AuthoritiesError("holds no certificate in PEM".into()));
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let verifier = verifier.build().map_err(|error| AuthoritiesError(error.to_string()))?;
        Ok(Self { verifier: Some(verifier), expires_at })
    }

    /// When the first of them ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    fn trust(&self, certificate: &PeerCertificate, now: Timestamp) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now.unix_millis()));
        let leaf = CertificateDer::from(certificate.der.as_ref());
        self.verifier
            .as_ref()
            .is_some_and(|verifier| verifier.verify_client_cert(&leaf, &certificate.intermediates, now).is_ok())
    }
}

impl PeerCertificate {
    /// The chain of a handshake, the client's own certificate first. `None` also where it is longer than any has to be.
    pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Option<Arc<Self>> {
        let (own, others) = chain.split_first()?;
        if !is_within_limits(own, others) {
            return None;
        }
        Some(Arc::new(Self {
            der: own.as_ref().into(),
            thumbprint: client_certificate::thumbprint(own),
            intermediates: others.iter().map(|other| other.clone().into_owned()).collect(),
            last: Mutex::default(),
        }))
    }

    /// Whether one of these signed it for clients, and its time is `now`.
    pub(crate) fn is_trusted_by(&self, authorities: &Arc<Authorities>, now: Timestamp) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.as_ref()
            && Arc::ptr_eq(&known.authorities, authorities)
            && now < known.until
        {
            return known.is_trusted;
        }
        let is_trusted = authorities.trust(self, now);
        let until = match is_trusted {
            true => self.first_end(),
            false => Timestamp::from_unix_millis(now.unix_millis() + DISBELIEVED_FOR_MILLIS),
        };
        *last = Some(Judgement { authorities: authorities.clone(), is_trusted, until });
        is_trusted
    }

    /// When the first of the chain ends.
    fn first_end(&self) -> Timestamp {
        let chain = std::iter::once(self.der.as_ref()).chain(self.intermediates.iter().map(AsRef::as_ref));
        let never = Timestamp::from_unix_seconds(0);
        chain.map(|der| end(der).unwrap_or(never)).min().unwrap_or(never)
    }
}

fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok().map(Timestamp::from_unix_seconds)
}

fn is_within_limits(own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
    others.len() < CHAIN_MAX && own.len() + others.iter().map(|other| other.len()).sum::<usize>() <= CHAIN_BYTES_MAX
}

/// Asks every client for a certificate and takes any: whoever judges it knows what for.
#[derive(Debug)]
pub(super) struct AskForAny;

impl ClientCertVerifier for AskForAny {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client picks its certificate by itself, one that it signed too.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // The connection would carry it as long as it lives.
        if !is_within_limits(own, intermediates) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &default_provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &default_provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl PartialEq for PeerCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der && self.intermediates == other.intermediates
    }
}

impl Eq for PeerCertificate {}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate").field("bytes", &self.der.len()).finish_non_exhaustive()
    }
}

impl fmt::Display for AuthoritiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AuthoritiesError {}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("any", &self.verifier.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_its_limits() {
        let of = |sizes: &[usize]| {
            let chain: Vec<CertificateDer<'_>> = sizes.iter().map(|size| vec![0; *size].into()).collect();
            let (own, others) = chain.split_first().unwrap();
            let taken = AskForAny.verify_client_cert(own, others, UnixTime::now()).is_ok();
            assert_eq!(taken, PeerCertificate::of(&chain).is_some(), "by a handshake as by a proxy");
            taken
        };
        assert!(of(&[1000; CHAIN_MAX]) && of(&[CHAIN_BYTES_MAX]));
        assert!(!of(&[1; CHAIN_MAX + 1]) && !of(&[CHAIN_BYTES_MAX, 1]));
    }
}
