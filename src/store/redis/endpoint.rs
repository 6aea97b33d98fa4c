//! Where a store in Redis is: one server, the sentinels that know a primary, or nodes of a cluster.

use std::fmt;
use std::path::PathBuf;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Plain TCP.
    Tcp {
        /// A name, resolved at each connect, or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// TLS over TCP; the certificate must be for `host`.
    Tls {
        /// A name, resolved at each connect, or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// The socket's file.
        path: PathBuf,
    },
    /// The primary that sentinels name.
    Sentinel {
        /// The sentinels, all of which are asked.
        sentinels: Vec<Address>,
        /// What they call the primary and its replicas.
        service: String,
        /// Whether they, and the servers, speak TLS.
        tls: bool,
    },
    /// The primaries of a cluster.
    Cluster {
        /// Some of its nodes, which tell of the others.
        seeds: Vec<Address>,
        /// Whether they speak TLS.
        tls: bool,
    },
}

/// A server's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// One server, with or without TLS.
    pub(super) fn one(address: &Address, tls: bool) -> Self {
        let Address { host, port } = address.clone();
        if tls { Self::Tls { host, port } } else { Self::Tcp { host, port } }
    }

    /// Whether what is there speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        match self {
            Self::Tls { .. } => true,
            Self::Tcp { .. } | Self::Unix { .. } => false,
            Self::Sentinel { tls, .. } | Self::Cluster { tls, .. } => *tls,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.speaks_tls() { "rediss" } else { "redis" };
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } => {
                write!(f, "{scheme}://")?;
                write_address(f, host, *port)
            }
            Self::Unix { path } => write!(f, "redis+unix://{}", path.display()),
            Self::Sentinel { sentinels, service, .. } => {
                write!(f, "{scheme}+sentinel://{}/{service}", Listed(sentinels))
            }
            Self::Cluster { seeds, .. } => write!(f, "{scheme}+cluster://{}", Listed(seeds)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, &self.host, self.port)
    }
}

struct Listed<'a>(&'a [Address]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

/// The colons of an IPv6 address would be taken for the port's.
fn write_address(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
}
