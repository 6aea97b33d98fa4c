//! The service under load: where it listens and under which paths its endpoints answer.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use hyper::Uri;

use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::tls::Tls;

/// Paths of the endpoints, by [`Operation`] as index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths(pub(crate) [String; 3]);

impl Default for Paths {
    fn default() -> Self {
        Self(["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"].map(str::to_owned))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Host and port as the URL has them: what `Host` and `:authority` say.
    pub(crate) authority: String,
    /// What is spoken before HTTP, if anything.
    pub(crate) tls: Option<Tls>,
    paths: Paths,
}

impl Target {
    /// `url` is `http://host[:port][/path]`; a path stands before each of `paths`. A name is resolved once, to its first address.
    pub(crate) fn new(url: &str, paths: Paths) -> Result<Self, Failure> {
        Self::trusting(url, paths, None)
    }

    /// The same, or `https://…` with whom to believe and whether sessions of TLS are resumed.
    pub(crate) fn trusting(url: &str, paths: Paths, trust: Option<(&Path, bool)>) -> Result<Self, Failure> {
        let uri: Uri = url.parse().context(|| format!("`{url}` is no URL"))?;
        let trust = match (uri.scheme_str(), trust) {
            (Some("http"), None) => None,
            (Some("https"), Some(trust)) => Some(trust),
            (Some("https"), None) => return Err(Failure::new(format!("`{url}`: --ca-file must say whom to believe"))),
            _ => {
                return Err(Failure::new(format!(
                    "`{url}`: only http:// URLs can be driven, and https:// with --ca-file"
                )));
            }
        };
        let authority = uri.authority().ok_or_else(|| Failure::new(format!("`{url}` names no host")))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let tls = trust.map(|(ca_file, resumes)| Tls::new(host, ca_file, resumes)).transpose()?;
        let port = if tls.is_some() { 443 } else { 80 };
        let address = (host, authority.port_u16().unwrap_or(port))
            .to_socket_addrs()
            .context(|| format!("resolving {authority}"))?
            .next()
            .ok_or_else(|| Failure::new(format!("{authority} has no address")))?;
        let prefix = uri.path().trim_end_matches('/');
        let paths = Paths(paths.0.map(|path| format!("{prefix}{path}")));
        Ok(Self { address, authority: authority.to_string(), tls, paths })
    }

    pub(crate) fn path(&self, operation: Operation) -> &str {
        &self.paths.0[operation as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_address_authority_and_paths() {
        let target = Target::new("http://127.0.0.1:4444/tenant/", Paths::default()).unwrap();
        assert_eq!(target.address, "127.0.0.1:4444".parse().unwrap());
        assert_eq!(target.authority, "127.0.0.1:4444");
        assert_eq!(target.path(Operation::Introspect), "/tenant/oauth2/introspect");
        let target = Target::new("http://[::1]:80", Paths::default()).unwrap();
        assert_eq!(target.address, "[::1]:80".parse().unwrap());
        assert_eq!(target.path(Operation::Issue), "/oauth2/token");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "127.0.0.1:1", "https://127.0.0.1:1", "/path", "unix:/x"] {
            assert!(Target::new(url, Paths::default()).is_err(), "{url}");
        }
    }
}
