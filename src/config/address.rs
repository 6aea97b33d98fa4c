//! Where a listener stands: `127.0.0.1:4444` or `unix:PATH`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Reads an address. A relative socket path is relative to `folder`.
    ///
    /// # Errors
    /// A hint for whoever wrote it.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err("write `unix:` and the path of the socket".into());
            }
            return Ok(Self::Unix(folder.join(path)));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let hint = match text.rsplit_once(':') {
            Some(("", port)) => {
                format!("write `0.0.0.0:{port}` for all addresses or `127.0.0.1:{port}` for this machine")
            }
            Some(("localhost", port)) => format!("write `127.0.0.1:{port}`"),
            _ if text.parse::<IpAddr>().is_ok() => "a port is missing, as in `127.0.0.1:4444` or `[::1]:4444`".into(),
            _ => "write an IP address and a port, as in `127.0.0.1:4444`, or `unix:PATH`".into(),
        };
        Err(hint)
    }

    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether the two cannot both be listened on.
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(a), Self::Tcp(b)) => {
                let any = a.ip().is_unspecified() || b.ip().is_unspecified();
                a.port() == b.port() && a.port() != 0 && (any || a.ip() == b.ip())
            }
            (Self::Unix(a), Self::Unix(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListenAddress, String> {
        ListenAddress::parse(text, Path::new("/etc/jeton"))
    }

    #[test]
    fn addresses_and_sockets_are_read() {
        assert_eq!(parse("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(parse("unix:run/s").unwrap(), ListenAddress::Unix("/etc/jeton/run/s".into()));
        for (text, hint) in
            [(":80", "0.0.0.0:80"), ("localhost:1", "127.0.0.1:1"), ("::1", "[::1]:4444"), ("x", "unix:PATH")]
        {
            assert!(parse(text).unwrap_err().contains(hint), "{text}");
        }
    }

    #[test]
    fn loopback_is_local_and_all_addresses_are_not() {
        let local = |text| parse(text).unwrap().is_local();
        assert!(local("127.3.2.1:1") && local("[::1]:1") && local("unix:s") && local("[::ffff:127.0.0.1]:1"));
        assert!(!local("0.0.0.0:1") && !local("[::]:1") && !local("10.0.0.1:1"));
    }

    #[test]
    fn one_port_is_listened_on_once() {
        let collide = |a, b| parse(a).unwrap().collides_with(&parse(b).unwrap());
        assert!(collide("127.0.0.1:1", "0.0.0.0:1") && collide("unix:a", "unix:a"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0") && !collide("127.0.0.1:1", "127.0.0.2:1"));
    }
}
