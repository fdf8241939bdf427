//! Opens listening sockets: TCP ports, and Unix sockets with their files.
//!
//! Accepted connections inherit the options of the listening socket. A listener has one socket, whatever the number of loops, so
//! that no other process can listen on its port too. The file of a Unix socket is removed if no server answers on it; our own is removed with its [`SocketFile`], unless another file has
//! taken its place.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tracing::warn;

use crate::config::Endpoint;

/// Connections that may wait in the kernel to be accepted.
pub(super) const BACKLOG: i32 = 1024;
/// A silent client is probed after 15 seconds, then every 5 seconds; it counts as gone after three unanswered probes. So a
/// client that has vanished is noticed within half a minute.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);
/// A client that acknowledges no data for this long is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port.
    Tcp(SocketAddr),
    /// A file.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(addr) => addr.fmt(f),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// One listening socket.
pub(super) enum ListeningSocket {
    Tcp(std::net::TcpListener),
    Unix(UnixListener),
}

/// A listener that is open.
pub(super) struct Opened {
    pub(super) address: Address,
    pub(super) socket: ListeningSocket,
    /// Removes the file, if there is one.
    pub(super) file: Option<SocketFile>,
    /// The service manager opened it, and keeps it.
    pub(super) is_inherited: bool,
}

/// Opens `endpoint`, which the table called `table` configures. Clients may leave data unacknowledged for at least `silence`.
/// `inherit` takes a socket by its name from the service manager, with the same silence.
pub(super) fn open(
    endpoint: &Endpoint,
    table: &str,
    silence: Duration,
    inherit: impl FnOnce(&str, Duration) -> io::Result<Opened>,
) -> io::Result<Opened> {
    let opened = match endpoint {
        Endpoint::Inherited(name) => inherit(name, silence.max(SILENCE)),
        Endpoint::Tcp(listen) => open_tcp(listen, silence.max(SILENCE)),
        Endpoint::Unix { path, mode } => open_unix(path, *mode),
    };
    opened.map_err(|err| {
        let port = if table == "admin" {
            "the admin port "
        } else {
            ""
        };
        let why = format!("{port}can't listen on `{endpoint}` (`{table}.listen`): {err}");
        io::Error::new(err.kind(), why)
    })
}

/// Opens the admin port.
pub(super) fn open_admin(listen: &str) -> io::Result<std::net::TcpListener> {
    let opened = open(
        &Endpoint::Tcp(listen.to_owned()),
        "admin",
        SILENCE,
        no_inheritance,
    )?;
    match opened.socket {
        ListeningSocket::Tcp(socket) => Ok(socket),
        ListeningSocket::Unix(_) => Err(io::ErrorKind::Other.into()),
    }
}

/// Has no socket.
fn no_inheritance(_name: &str, _silence: Duration) -> io::Result<Opened> {
    Err(io::ErrorKind::NotFound.into())
}

fn open_tcp(listen: &str, silence: Duration) -> io::Result<Opened> {
    let addr = listen
        .to_socket_addrs()?
        .next()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    set_tcp_options(&SockRef::from(&socket), silence)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let socket = std::net::TcpListener::from(socket);
    Ok(Opened {
        // If port 0 was asked for, it has another one now.
        address: Address::Tcp(socket.local_addr()?),
        socket: ListeningSocket::Tcp(socket),
        file: None,
        is_inherited: false,
    })
}

/// Sets what accepted connections inherit.
pub(super) fn set_tcp_options(socket: &SockRef<'_>, silence: Duration) -> io::Result<()> {
    // Replies are written whole: waiting to fill a packet would only delay them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(silence))
}

fn open_unix(path: &Path, mode: u32) -> io::Result<Opened> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::new(path)?;
    // Before the socket listens: so no client can connect with other permissions.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(Opened {
        address: Address::Unix(path.to_owned()),
        socket: ListeningSocket::Unix(UnixListener::from(OwnedFd::from(socket))),
        file: Some(file),
        is_inherited: false,
    })
}

/// Removes the file of a socket that no process listens on. Other files are kept, and so are sockets that answer.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err),
    };
    if !found.file_type().is_socket() {
        let message = "the file exists and is not a socket";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    match UnixStream::connect(path) {
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server answers there",
        )),
        Err(err) => Err(err),
    }
}

/// The file of our own socket, which is removed with it.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: they identify it if another file takes its name.
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(SocketFile {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(err) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), error = %err, "can't remove the socket's file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &Path) -> Endpoint {
        Endpoint::Unix {
            path: path.to_owned(),
            mode: 0o640,
        }
    }

    #[test]
    fn vanished_clients_are_noticed() {
        let endpoint = Endpoint::Tcp("127.0.0.1:0".into());
        let longer = Duration::from_secs(45);
        for (silence, expected) in [(Duration::from_secs(10), SILENCE), (longer, longer)] {
            let opened = open(&endpoint, "server", silence, no_inheritance).expect("a free port");
            let (ListeningSocket::Tcp(socket), Address::Tcp(addr)) =
                (opened.socket, opened.address)
            else {
                panic!("it is a port");
            };
            let client = std::net::TcpStream::connect(addr).expect("it listens");
            socket.set_nonblocking(false).expect("a socket");
            let (connection, _) = socket.accept().expect("one waits");
            let connection = SockRef::from(&connection);
            assert!(connection.keepalive().expect("a socket"));
            assert!(connection.tcp_nodelay().expect("a socket"));
            let times = [
                connection.tcp_keepalive_time(),
                connection.tcp_keepalive_interval(),
            ];
            let times = times.map(|time| time.expect("a socket").as_secs());
            assert_eq!(times, [15, 5]);
            assert_eq!(connection.tcp_keepalive_retries().expect("a socket"), 3);
            let silence = connection.tcp_user_timeout().expect("a socket");
            assert_eq!(silence, Some(expected));
            drop(client);
        }
    }

    #[test]
    fn a_sockets_file_has_its_mode_and_is_removed_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("socket");
        let opened = open(&unix(&path), "server", SILENCE, no_inheritance).expect("a free path");
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
        drop(UnixStream::connect(&path).expect("it listens"));
        let err = open(&unix(&path), "server", SILENCE, no_inheritance)
            .map(drop)
            .expect_err("it is taken");
        assert!(err.to_string().contains("another server answers"), "{err}");
        drop(opened);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_left_behind_is_replaced_and_any_other_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("socket");
        // The library's listener leaves its file.
        drop(UnixListener::bind(&path).expect("a free path"));
        assert!(path.exists());
        let opened =
            open(&unix(&path), "server", SILENCE, no_inheritance).expect("no server answers");
        // A file that another process put there is not removed.
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, "text").expect("the folder is ours");
        drop(opened);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "text");
        let err = open(&unix(&path), "server", SILENCE, no_inheritance)
            .map(drop)
            .expect_err("a file");
        assert!(err.to_string().contains("not a socket"), "{err}");
    }
}
