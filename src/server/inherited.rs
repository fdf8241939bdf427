//! Takes the listening sockets that the service manager opened and handed to this process (systemd's socket activation).
//!
//! They outlive the process: connections that come while no server runs wait for the next one. So nothing is done to such a
//! socket that would outlive the process too, and connections that wait in it at a shutdown are left to the next server.

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::SockRef;

use super::socket::{Address, ListeningSocket, Opened, set_tcp_options};

/// What systemd calls a socket that has no name.
const NAMELESS: &str = "unknown";

/// The sockets that were handed over and are not taken yet.
pub(super) struct Inherited {
    sockets: ListenFd,
    /// The name of each, until it is taken.
    names: Vec<Option<String>>,
}

impl Inherited {
    /// Those of this process. To be called once: it removes the variables that tell of them.
    pub(super) fn of_process() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let sockets = ListenFd::from_env();
        let mut names = names.split(':').filter(|name| !name.is_empty());
        let names = (0..sockets.len()).map(|_| names.next().unwrap_or(NAMELESS).to_owned());
        Inherited {
            names: names.map(Some).collect(),
            sockets,
        }
    }

    /// The first socket with this name that is not taken yet. Its clients may leave data unacknowledged for `silence`.
    pub(super) fn take(&mut self, name: &str, silence: Duration) -> io::Result<Opened> {
        let named = |of: &Option<String>| of.as_deref() == Some(name);
        let Some(at) = self.names.iter().position(named) else {
            let message = match self.left() {
                left if left.is_empty() => {
                    "the service manager handed over no further socket".to_owned()
                }
                left => format!("the service manager handed over only: {}", left.join(", ")),
            };
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        };
        self.names[at] = None;
        let opened = if let Ok(Some(socket)) = self.sockets.take_tcp_listener(at) {
            of_tcp(socket, silence)
        } else if let Ok(Some(socket)) = self.sockets.take_unix_listener(at) {
            of_unix(socket)
        } else {
            Err(not_listening())
        };
        opened.map(|(address, socket)| Opened {
            address,
            socket,
            file: None,
            is_inherited: true,
        })
    }

    /// The names of the sockets that were not taken.
    pub(super) fn left(&self) -> Vec<&str> {
        self.names.iter().flatten().map(String::as_str).collect()
    }
}

fn of_tcp(socket: TcpListener, silence: Duration) -> io::Result<(Address, ListeningSocket)> {
    let reference = SockRef::from(&socket);
    if !reference.is_listener()? {
        return Err(not_listening());
    }
    set_tcp_options(&reference, silence)?;
    socket.set_nonblocking(true)?;
    Ok((
        Address::Tcp(socket.local_addr()?),
        ListeningSocket::Tcp(socket),
    ))
}

fn of_unix(socket: UnixListener) -> io::Result<(Address, ListeningSocket)> {
    if !SockRef::from(&socket).is_listener()? {
        return Err(not_listening());
    }
    socket.set_nonblocking(true)?;
    let addr = socket.local_addr()?;
    let path = match (addr.as_pathname(), addr.as_abstract_name()) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => PathBuf::from(std::ffi::OsString::from_vec([b"@", name].concat())),
        (None, None) => PathBuf::new(),
    };
    Ok((Address::Unix(path), ListeningSocket::Unix(socket)))
}

fn not_listening() -> io::Error {
    let message = "the socket of that name does not listen for connections";
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
