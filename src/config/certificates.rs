//! The certificates of the listeners, read from the files that the configuration names.

use std::path::Path;

use zeroize::Zeroizing;

use super::Effective;
use super::mistake::{Mistake, Origin, Warning};
use super::moment;
use super::options::{MtlsOptions, TlsOptions};
use crate::http::client_certificates::Authorities;
use crate::http::jwks_client::Roots;
use crate::http::tls::Identity;
use crate::oauth::time::Timestamp;

/// What each listener shows; none where it speaks plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// `[public.tls]`.
    pub public: Option<Identity>,
    /// `[admin.tls]`.
    pub admin: Option<Identity>,
    /// `[mtls]`.
    pub mtls: Option<Identity>,
    /// Who may sign certificates of clients.
    pub authorities: Option<Authorities>,
    /// Who may sign certificates of servers that keys are fetched from; `None` where they cannot be read.
    pub roots_of_jwks: Option<Roots>,
}

/// The keys that name a listener's files.
struct Names {
    certificate: &'static str,
    private_key: &'static str,
}

const PUBLIC: Names = Names { certificate: "public.tls.certificate_file", private_key: "public.tls.private_key_file" };
const MTLS: Names = Names { certificate: "mtls.certificate_file", private_key: "mtls.private_key_file" };
const ADMIN: Names = Names { certificate: "admin.tls.certificate_file", private_key: "admin.tls.private_key_file" };

impl Certificates {
    /// When the first of those begins to be valid that are not yet.
    pub fn begins_after(&self, now: Timestamp) -> Option<Timestamp> {
        let identities = [&self.public, &self.mtls, &self.admin].into_iter().flatten();
        identities.map(Identity::valid_from).filter(|begin| *begin > now).min()
    }
}

impl Effective {
    /// Reads the listeners' certificates and keys: those that can be used, and every mistake in the others.
    pub fn certificates(&self) -> (Certificates, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let certificates = Certificates {
            public: self.identity(&PUBLIC, self.config.public.tls.as_ref(), &mut mistakes),
            admin: self.identity(&ADMIN, self.config.admin.tls.as_ref(), &mut mistakes),
            mtls: self.mtls_identity(&mut mistakes),
            authorities: self.authorities(&mut mistakes),
            roots_of_jwks: self.roots_of_jwks(&mut mistakes),
        };
        (certificates, mistakes)
    }

    fn mtls_identity(&self, mistakes: &mut Vec<Mistake>) -> Option<Identity> {
        let options = self.config.mtls.as_ref()?;
        // What is wrong with the public listener's certificate is said once.
        let said = &mut Vec::new();
        let (names, mistakes) = if options.shows_its_own { (&MTLS, mistakes) } else { (&PUBLIC, said) };
        self.identity(names, Some(&options.tls), mistakes)
    }

    /// Whose servers keys are fetched from.
    fn roots_of_jwks(&self, mistakes: &mut Vec<Mistake>) -> Option<Roots> {
        let name = "jwks.ca_file";
        let roots = match &self.config.jwks.ca_file {
            None => Roots::usual().map_err(|error| error.to_string()),
            Some(path) => std::fs::read(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
                .and_then(|pem| Roots::usual_and(&pem).map_err(|error| format!("{}: {error}", path.display()))),
        };
        roots.map_err(|what| mistakes.push(Mistake::new(self.origin(name), format!("`{name}`: {what}")))).ok()
    }

    fn authorities(&self, mistakes: &mut Vec<Mistake>) -> Option<Authorities> {
        let config = &self.config;
        if !config.takes_certificates() {
            return None;
        }
        let Some(path) = &config.client_ca_file else { return Some(Authorities::nobody()) };
        let read = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
        let read = read.and_then(|content| Authorities::read(&content).map_err(|error| error.to_string()));
        let name = "mtls.client_ca_file";
        read.map_err(|what| mistakes.push(Mistake::new(self.origin(name), format!("`{name}`: {what}")))).ok()
    }

    fn identity(&self, names: &Names, options: Option<&TlsOptions>, mistakes: &mut Vec<Mistake>) -> Option<Identity> {
        let TlsOptions { certificate_file, private_key_file } = options?;
        let mut read = |name: &str, path: &Path| {
            let content = std::fs::read(path).map(Zeroizing::new);
            let mistake = |error| {
                let what = format!("`{name}`: {} cannot be read: {error}", path.display());
                mistakes.push(Mistake::new(self.origin(name), what));
            };
            content.map_err(mistake).ok()
        };
        let chain = read(names.certificate, certificate_file);
        let key = read(names.private_key, private_key_file);
        let identity = Identity::read(&chain?, &key?);
        let mistake = |error| {
            let what = format!("`{}`: {error}", names.certificate);
            mistakes.push(Mistake::new(self.origin(names.certificate), what));
        };
        identity.map_err(mistake).ok()
    }

    /// What ended: certificates that no client believes any more, and authorities.
    pub(super) fn expired(&self, certificates: &Certificates, now: Timestamp) -> Vec<Warning> {
        let of = |names: &Names, identity: Option<&Identity>| {
            let identity = identity.filter(|identity| !identity.is_valid(now))?;
            let why = match identity.expires_at() {
                end if end <= now => format!("expired at {}", moment::format(end)),
                _ => format!("is not valid before {}", moment::format(identity.valid_from())),
            };
            let what = format!("`{}` {why}: no client believes it", names.certificate);
            Some(Warning::new(self.origin(names.certificate), what))
        };
        let of_authorities = || {
            let ended = certificates.authorities.as_ref()?.expires_at().filter(|end| *end <= now)?;
            let name = "mtls.client_ca_file";
            let what = format!(
                "`{name}` holds a certificate that expired at {}: what it signed is believed until it is taken out",
                moment::format(ended)
            );
            Some(Warning::new(self.origin(name), what))
        };
        let own = |options: &&MtlsOptions| options.shows_its_own;
        let mtls = self.config.mtls.as_ref().filter(own).and(certificates.mtls.as_ref());
        let of_listeners =
            [of(&PUBLIC, certificates.public.as_ref()), of(&MTLS, mtls), of(&ADMIN, certificates.admin.as_ref())];
        of_listeners.into_iter().chain([of_authorities()]).flatten().collect()
    }

    fn origin(&self, name: &str) -> Origin {
        self.settings.get(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }
}
