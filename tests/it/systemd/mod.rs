//! A service manager that the tests play: what the server tells it, and the sockets that it hands over. Also the unit files.

mod sockets;
mod units;

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use crate::support::airports::{CONFIG, FILES};
use crate::support::{PATIENCE, Tributary};

/// The manager's end of `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        Manager::new(UnixDatagram::bind(path).expect("a free path"))
    }

    fn new(socket: UnixDatagram) -> Self {
        let limit = socket.set_read_timeout(Some(PATIENCE));
        limit.expect("not zero");
        Manager(socket)
    }

    /// The next message that is no sign of life.
    fn next(&self) -> String {
        loop {
            let message = self.any();
            if !message.starts_with("WATCHDOG=1") {
                return message;
            }
        }
    }

    #[track_caller]
    fn any(&self) -> String {
        let mut bytes = [0; 1024];
        let length = loop {
            match self.0.recv(&mut bytes) {
                // A signal: some child of another test has ended.
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                received => break received.expect("the server says something"),
            }
        };
        String::from_utf8(bytes[..length].to_vec()).expect("UTF-8")
    }
}

/// The airports' server with these variables.
fn serve(env: &[(&str, &str)]) -> Tributary {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [&FILES[..], &[("tributary.toml", CONFIG)]].concat() {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    Tributary::serve(folder, env)
}

fn monotonic_micros() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    std::time::Duration::try_from(now)
        .expect("it has begun")
        .as_micros()
}

#[test]
fn the_manager_is_told_of_start_reloads_and_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let mut server = serve(&[("NOTIFY_SOCKET", &path.to_string_lossy())]);
    assert_eq!(manager.next(), "READY=1\nSTATUS=serving");

    let mut reload = |word| {
        let before = monotonic_micros();
        server.reload(word);
        let message = manager.next();
        let at = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let at: u128 = at.expect(&message).parse().expect("a number");
        // systemd takes an older one for the answer to another signal.
        assert!((before..=monotonic_micros()).contains(&at), "{message}");
        (manager.next(), server.folder().to_owned())
    };
    let (message, folder) = reload("serving the reloaded configuration");
    assert_eq!(message, "READY=1\nSTATUS=serving");
    std::fs::write(folder.join("tributary.toml"), "broken").expect("the folder is ours");
    let (message, _) = reload("not reloaded");
    assert!(message.starts_with("READY=1\nSTATUS="), "{message}");
    assert!(message.contains("the last reload was refused"), "{message}");

    let (status, log) = server.stop("TERM");
    assert!(status.success(), "{log}");
    assert_eq!(manager.next(), "STOPPING=1\nSTATUS=draining");
}

#[test]
fn a_server_that_is_watched_shows_that_it_lives() {
    let name = format!("tributary-test-{}", std::process::id());
    let addr = SocketAddr::from_abstract_name(&name).expect("a short name");
    let socket = UnixDatagram::bind_addr(&addr).expect("a free name");
    let manager = Manager::new(socket);
    // Ten seconds, of which a busy machine does not use up half.
    let server = serve(&[
        ("NOTIFY_SOCKET", &format!("@{name}")),
        ("WATCHDOG_USEC", "10000000"),
    ]);
    assert_eq!(manager.any(), "READY=1\nSTATUS=serving");
    assert_eq!(manager.any(), "WATCHDOG=1");
    assert_eq!(manager.any(), "WATCHDOG=1");
    drop(server);
}

#[test]
fn a_manager_that_is_gone_does_not_matter() {
    let mut server = serve(&[("NOTIFY_SOCKET", "/nowhere/notify")]);
    server.reload("serving the reloaded configuration");
    let (status, log) = server.stop("TERM");
    assert!(status.success(), "{log}");
    assert!(log.contains("can't reach the service manager"), "{log}");
}
