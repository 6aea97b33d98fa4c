//! Sockets to listen on: bound before anything is served, so that an address in use is said at once.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// A socket that listens; closed when dropped, and its file removed where it has one.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    file: Option<SocketFile>,
}

/// Who may connect to a unix socket, by its file's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketGuard {
    /// Whom the process's umask lets.
    Umask,
    /// Of those only the owner and the group: for what needs no other proof.
    OwnerAndGroup,
}

/// The file of a unix socket; removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

/// A listener that a runtime watches.
#[derive(Debug)]
pub(super) enum WatchedListener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A listener that is about to close.
#[derive(Debug)]
pub(super) enum Backlog {
    Tcp(std::net::TcpListener),
    Unix { listener: std::os::unix::net::UnixListener, _file: SocketFile },
}

/// An accepted socket, which no runtime watches yet.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(std::net::TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    /// As the system says, `AddrInUse` among others.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections of a process before us, which the kernel still remembers, are no reason to refuse.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Self::listen(socket, None)
    }

    /// Listens on a unix socket; a file that nobody listens on any more is removed first.
    ///
    /// # Errors
    /// As the system says; `AddrInUse` where somebody listens there, `AlreadyExists` where the file is no socket.
    pub fn unix(path: &Path, guard: SocketGuard) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        if guard == SocketGuard::OwnerAndGroup {
            // Nobody can connect before it listens.
            let mode = fs::metadata(path)?.permissions().mode();
            fs::set_permissions(path, Permissions::from_mode(mode & 0o770))?;
        }
        Self::listen(socket, Some(SocketFile(path.to_path_buf())))
    }

    fn listen(socket: Socket, file: Option<SocketFile>) -> io::Result<Self> {
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, file })
    }

    /// The address it listens on, with the port that the system chose for port 0; `None` on a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}

impl WatchedListener {
    /// To be called on the runtime that accepts.
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        let Listener { socket, file } = listener;
        match file {
            None => TcpListener::from_std(socket.into()).map(Self::Tcp),
            Some(file) => Ok(Self::Unix(UnixListener::from_std(socket.into())?, file)),
        }
    }

    /// The next connection, and the address it came from.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // One that its client has closed already may refuse this; its worker will find it gone.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream.into_std()?), Some(peer.ip().to_canonical())))
            }
            Self::Unix(listener, _) => Ok((Stream::Unix(listener.accept().await?.0.into_std()?), None)),
        }
    }

    /// No longer watched: for what waits in the backlog alone.
    pub(super) fn into_backlog(self) -> io::Result<Backlog> {
        Ok(match self {
            Self::Tcp(listener) => Backlog::Tcp(listener.into_std()?),
            Self::Unix(listener, file) => Backlog::Unix { listener: listener.into_std()?, _file: file },
        })
    }
}

impl Iterator for Backlog {
    type Item = (Stream, Option<IpAddr>);

    /// The next that waits, if one does.
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                let _ = stream.set_nodelay(true);
                Some((Stream::Tcp(stream), Some(peer.ip().to_canonical())))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some((Stream::Unix(stream), None))
            }
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if !file.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => fs::remove_file(path),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already, or no longer ours to remove: the next start clears it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_file_is_removed_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = Listener::unix(&path, SocketGuard::Umask).unwrap();
        assert!(first.address().is_none());
        assert_eq!(Listener::unix(&path, SocketGuard::Umask).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::unix(&path, SocketGuard::Umask).unwrap());

        fs::write(&path, "precious").unwrap();
        assert_eq!(Listener::unix(&path, SocketGuard::Umask).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(path.exists());
    }

    #[test]
    fn a_guarded_socket_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = Listener::unix(&path, SocketGuard::OwnerAndGroup).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    }

    #[test]
    fn an_address_in_use_is_said() {
        let first = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.address().unwrap();
        assert_eq!(Listener::tcp(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
