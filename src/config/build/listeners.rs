//! Where the service listens, what it is called there, and what must guard it.

use super::Builder;
use crate::config::address::ListenAddress;
use crate::config::options::{AdminOptions, JwksOptions, MtlsOptions, PlainHttp, PublicOptions, TlsOptions};
use crate::http::proxies::{CertificateHeader, Proxies};
use crate::oauth::metadata::Issuer;
use crate::oauth::network::{Network, NetworkError};
use crate::oauth::reachable::Reachable;
use crate::oauth::secret::Secret;

/// The shortest token that opens `/admin/`.
const ADMIN_TOKEN_CHARS_MIN: usize = 32;

impl Builder<'_> {
    pub(super) fn issuer(&mut self, plain_http: PlainHttp) -> Option<Issuer> {
        let Some(text) = self.text("issuer") else {
            if self.dev.is_none() && self.settings.is_missing("issuer") {
                let hint = "write the URL by which clients know this service in jeton.toml, JETON_ISSUER or --issuer (or try `serve --dev`)";
                self.missing("issuer", hint);
            }
            return None;
        };
        let any = plain_http == PlainHttp::Any;
        match Issuer::parse(text, any) {
            Ok(issuer) => {
                if any && Issuer::parse(text, false).is_err() {
                    self.warn("issuer", "is plain http on another host than this one: right only where a proxy or mesh protects all of the way");
                }
                Some(issuer)
            }
            Err(error) => {
                self.mistake("issuer", error.0);
                None
            }
        }
    }

    pub(super) fn public(&mut self) -> PublicOptions {
        let plain_http =
            if self.text("public.plain_http") == Some("any") { PlainHttp::Any } else { PlainHttp::Loopback };
        let listen = self.address("public.listen");
        let tls = self.listener_tls("public.tls.certificate_file", "public.tls.private_key_file");
        if !listen.is_local() && self.dev.is_none() && plain_http == PlainHttp::Loopback && tls.is_none() {
            let what = format!(
                "{listen} is not loopback, and without TLS secrets and tokens would cross the network readable"
            );
            let hint = "give it a certificate in [public.tls]; where a proxy or mesh in front ends TLS say so with public.plain_http = \"any\"";
            self.mistake_with_hint("public.listen", what, hint);
        }
        let workers = self.number("public.workers");
        let proxies = self.proxies(&listen);
        PublicOptions { listen, workers, plain_http, tls, proxies }
    }

    fn proxies(&mut self, listen: &ListenAddress) -> Proxies {
        let name = "public.trusted_proxies";
        let networks = self.networks(name);
        let header = "public.client_certificate_header";
        let certificate = match self.text(header) {
            Some("client-cert") => CertificateHeader::ClientCert,
            Some("xfcc") => CertificateHeader::Xfcc,
            _ => CertificateHeader::None,
        };
        if certificate != CertificateHeader::None {
            let is_everybody = |network: &Network| network.prefix_bits() == 0;
            if networks.iter().any(is_everybody) {
                let what = format!("everybody would be a proxy, and could say by `{header}` that it is any client");
                self.mistake_with_hint(name, what, "name the networks that the proxies alone stand in");
            }
            if networks.is_empty() && matches!(listen, ListenAddress::Tcp(_)) {
                self.warn(header, format!("is never read: no proxy is trusted ({name})"));
            }
        }
        Proxies { networks, certificate }
    }

    /// The networks in a list.
    fn networks(&mut self, name: &'static str) -> Vec<Network> {
        let listed = self.text(name).unwrap_or_default().to_owned();
        let mut networks = Vec::new();
        for text in listed.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(NetworkError(why)) => {
                    self.mistake_with_hint(
                        name,
                        format!("`{text}` is {why}"),
                        "write as in \"10.0.0.0/8\" or \"192.0.2.7\"",
                    );
                }
            }
        }
        networks
    }

    /// Where keys may be fetched from.
    pub(super) fn jwks(&mut self) -> JwksOptions {
        let reachable = Reachable::with(self.networks("jwks.allowed_networks"));
        JwksOptions { reachable, ca_file: self.path("jwks.ca_file") }
    }

    /// Certificate and key of a listener: both or none.
    fn listener_tls(&mut self, certificate: &'static str, private_key: &'static str) -> Option<TlsOptions> {
        match (self.path(certificate), self.path(private_key)) {
            (Some(certificate_file), Some(private_key_file)) => {
                return Some(TlsOptions { certificate_file, private_key_file });
            }
            (Some(_), None) => self.mistake(certificate, format!("needs {private_key} beside it")),
            (None, Some(_)) => self.mistake(private_key, format!("needs {certificate} beside it")),
            (None, None) => {}
        }
        None
    }

    /// The listener that asks for certificates, where one is wanted.
    pub(super) fn mtls(&mut self, public: &PublicOptions) -> Option<MtlsOptions> {
        let own = self.listener_tls("mtls.certificate_file", "mtls.private_key_file");
        if self.text("mtls.listen").is_none() {
            // A proxy may tell of certificates where no listener of ours asks for them.
            let by_proxy = public.proxies.certificate != CertificateHeader::None;
            let used = ["mtls.client_ca_file", "mtls.certificate_file", "mtls.url"];
            let is_unused = |path: &&str| self.settings.get(path).is_some() && !(by_proxy && *path == used[0]);
            if let Some(unused) = used.into_iter().find(is_unused) {
                self.warn(unused, "is not used: there is no mtls.listen");
            }
            return None;
        }
        let listen = self.address("mtls.listen");
        self.refuse_to_share("mtls.listen", &listen, [("public.listen", Some(&public.listen))]);
        let shows_its_own = own.is_some();
        let Some(tls) = own.or_else(|| public.tls.clone()) else {
            let hint =
                "write mtls.certificate_file and mtls.private_key_file, or give both listeners one in [public.tls]";
            self.mistake_with_hint("mtls.listen", "needs a certificate: it speaks TLS alone", hint);
            return None;
        };
        Some(MtlsOptions { listen, tls, shows_its_own, url: self.mtls_url() })
    }

    /// As an issuer is written: clients put the paths of the endpoints behind it.
    fn mtls_url(&mut self) -> Option<Issuer> {
        let url = Issuer::parse(self.text("mtls.url")?, false);
        url.map_err(|error| self.mistake("mtls.url", error.0)).ok()
    }

    fn refuse_to_share<const N: usize>(
        &mut self,
        name: &str,
        listen: &ListenAddress,
        others: [(&str, Option<&ListenAddress>); N],
    ) {
        for (other_name, other) in others {
            if other.is_some_and(|other| listen.collides_with(other)) {
                self.mistake(name, format!("{listen} is also the address of {other_name}; the two need one each"));
            }
        }
    }

    pub(super) fn admin(&mut self, public: &PublicOptions, mtls: Option<&MtlsOptions>) -> AdminOptions {
        let listen = self.address("admin.listen");
        let others = [("public.listen", Some(&public.listen)), ("mtls.listen", mtls.map(|mtls| &mtls.listen))];
        self.refuse_to_share("admin.listen", &listen, others);
        let token = self.secret("admin.token");
        let chars = token.as_ref().map_or(usize::MAX, |token| token.expose().len());
        if chars < ADMIN_TOKEN_CHARS_MIN {
            let what = format!("the admin token has {chars} characters, {ADMIN_TOKEN_CHARS_MIN} are the least");
            self.mistake_with_hint("admin.token", what, "`jeton client hash --generate` prints a random one first");
        }
        let sendable = |token: &Secret| token.expose().iter().all(u8::is_ascii_graphic);
        if token.as_ref().is_some_and(|token| !sendable(token)) {
            self.mistake(
                "admin.token",
                "the admin token holds characters that a header cannot carry; use letters and digits",
            );
        }
        let tls = self.listener_tls("admin.tls.certificate_file", "admin.tls.private_key_file");
        AdminOptions { listen, token, tls }
    }
}
