//! TLS of a listener: which certificate it shows, as of now, and the handshakes.
//!
//! Invariants: certificate and key are replaced together or not at all; a session that is resumed stays resumable when the certificate
//! is replaced; nothing is taken before the handshake has ended, since early data could be sent again by others.

pub(crate) mod arriving;

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use self::arriving::Arriving;
use super::client_certificates::{AskForAny, PeerCertificate};
use crate::oauth::time::Timestamp;
use crate::telemetry::labels::Listener;

/// In order of our preference: HTTP/2 where the client speaks both.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What waits, encrypted, for a client that does not read. More than an answer, and far less than many such clients could cost.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// The last second of year 9999, "no well-defined expiration date" (RFC 5280 section 4.1.2.5).
const LAST: Timestamp = Timestamp::from_unix_seconds(253_402_300_799);

/// A certificate chain and its private key, which belong together.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    /// From when on all of the chain are valid.
    valid_from: Timestamp,
    /// From when on one of the chain is no longer valid.
    expires_at: Timestamp,
}

/// Why files make no identity. Its text names the file and holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(pub String);

/// Whether a listener wants to know who its clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// It does not: they show nothing.
    NotAsked,
    /// Each is asked for a certificate, and may show none.
    Asked,
}

/// A listener's TLS. Cheap to clone; clones show the same certificate.
#[derive(Clone)]
pub struct ServerTls {
    listener: Listener,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// The identity as it is now, for rustls to ask at each handshake.
struct Shown(ArcSwap<Identity>);

impl Identity {
    /// From the content of two PEM files: the certificate with those that lead to a root behind it, and its key.
    ///
    /// # Errors
    /// [`TlsError`] where one holds nothing usable, or they do not belong together.
    pub fn read(certificates: &[u8], private_key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| TlsError("certificate_file holds no certificate in PEM".into()))?;
        let key = PrivateKeyDer::from_pem_slice(private_key)
            .map_err(|_| TlsError("private_key_file holds no private key in PEM".into()))?;
        let (valid_from, expires_at) = validity(&chain)?;
        let certified = CertifiedKey::from_der(chain, key, &default_provider());
        let certified = certified.map_err(|error| {
            TlsError(match error {
                rustls::Error::InconsistentKeys(_) => "certificate and private key do not belong together".into(),
                other => format!("certificate and private key cannot be used: {other}"),
            })
        })?;
        Ok(Self { certified: Arc::new(certified), valid_from, expires_at })
    }

    /// From when on all of the chain are valid.
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Whether clients can believe it.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.expires_at
    }

    /// From when on one of the chain is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    fn is_same(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

/// From when until when a whole chain is valid.
fn validity(chain: &[CertificateDer<'_>]) -> Result<(Timestamp, Timestamp), TlsError> {
    let (mut begin, mut end) = (Timestamp::from_unix_seconds(0), LAST);
    let moment = |time: ASN1Time| Timestamp::from_unix_seconds(u64::try_from(time.timestamp()).unwrap_or(0));
    for der in chain {
        let (_, certificate) = parse_x509_certificate(der)
            .map_err(|_| TlsError("certificate_file holds something that is no certificate".into()))?;
        let validity = certificate.validity();
        begin = begin.max(moment(validity.not_before));
        end = end.min(moment(validity.not_after));
    }
    Ok((begin, end))
}

impl ServerTls {
    /// TLS 1.3 and 1.2 for a listener, with tickets by which a client comes back without a new signature of ours.
    ///
    /// # Errors
    /// [`TlsError`] where the system gives no random bytes.
    pub fn new(listener: Listener, identity: Identity, clients: Clients) -> Result<Self, TlsError> {
        let refused = |error: rustls::Error| TlsError(error.to_string());
        let shown = Arc::new(Shown(ArcSwap::from_pointee(identity)));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?;
        let config = match clients {
            Clients::NotAsked => config.with_no_client_auth(),
            Clients::Asked => config.with_client_cert_verifier(Arc::new(AskForAny)),
        };
        let mut config = config.with_cert_resolver(shown.clone());
        if clients == Clients::Asked {
            // A ticket carries the client's whole chain: one, where most need none.
            config.send_tls13_tickets = 1;
        }
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        config.ticketer = Ticketer::new().map_err(refused)?;
        // Tickets are kept by clients: nothing here grows with them, and no lock is shared by the workers.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { listener, shown, config: Arc::new(config) })
    }

    /// Shows another identity from the next handshake on. Whether it is another.
    pub fn show(&self, identity: Identity) -> bool {
        let is_another = !self.identity().is_same(&identity);
        self.shown.0.store(Arc::new(identity));
        is_another
    }

    /// The identity as it is now.
    pub fn identity(&self) -> Arc<Identity> {
        self.shown.0.load_full()
    }

    /// The listener's name.
    pub fn listener(&self) -> Listener {
        self.listener
    }

    /// The handshake with a client whose first byte has come.
    pub(crate) async fn shake_hands(&self, stream: Arriving) -> io::Result<Box<TlsStream<Arriving>>> {
        let acceptor = TlsAcceptor::from(self.config.clone());
        let bounded = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(BUFFER_BYTES_MAX));
        acceptor.accept_with(stream, bounded).await.map(Box::new)
    }
}

/// The certificate that the client showed, in this handshake or in the one that is resumed.
pub(crate) fn certificate(stream: &TlsStream<Arriving>) -> Option<Arc<PeerCertificate>> {
    PeerCertificate::of(stream.get_ref().1.peer_certificates()?)
}

/// Whether a session was resumed, which costs no signature.
pub(crate) fn is_resumed(stream: &TlsStream<Arriving>) -> bool {
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().certified.clone())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("listener", &self.listener).finish_non_exhaustive()
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
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pair(year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(["localhost".into()]).unwrap();
        parameters.not_after = date_time_ymd(year, 1, 1);
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn read(certificates: &str, key: &str) -> Result<Identity, TlsError> {
        Identity::read(certificates.as_bytes(), key.as_bytes())
    }

    #[test]
    fn files_that_hold_nothing_usable_are_refused_by_name() {
        let (certificate, key) = pair(2099);
        let refused = |certificate: &str, key: &str| read(certificate, key).unwrap_err().to_string();
        assert!(refused("", &key).contains("certificate_file holds no certificate"));
        assert!(refused(&key, &key).contains("certificate_file holds no certificate"));
        assert!(refused(&certificate, &certificate).contains("private_key_file"));
        assert!(refused(&certificate, &pair(2099).1).contains("do not belong together"));
        let garbled = certificate.replace("MII", "AAA");
        assert!(refused(&garbled, &key).contains("certificate"), "{garbled}");
    }

    #[test]
    fn a_chain_expires_with_its_first_certificate() {
        let ((leaf, key), (issuer, _)) = (pair(2099), pair(2031));
        assert_eq!(read(&leaf, &key).unwrap().expires_at().unix_seconds(), 4_070_908_800);
        let chain = read(&format!("{leaf}{issuer}"), &key).unwrap();
        assert_eq!(chain.expires_at().unix_seconds(), 1_924_992_000);
    }

    #[test]
    fn what_is_shown_is_replaced_whole() {
        let ((one, one_key), (other, other_key)) = (pair(2031), pair(2099));
        let tls = ServerTls::new(Listener::Public, read(&one, &one_key).unwrap(), Clients::NotAsked).unwrap();
        assert!(!tls.clone().show(read(&one, &one_key).unwrap()));
        assert!(tls.clone().show(read(&other, &other_key).unwrap()));
        assert_eq!(tls.identity().expires_at().unix_seconds(), 4_070_908_800);
    }
}
